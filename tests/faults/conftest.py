"""What the fault tests share: replicas, people, and the database's own view."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.cluster import Cluster, cluster, own
from tests.support.limits import kept_settings, owned
from tests.support.replica_client import Client
from tests.support.rows import rows
from tests.support.service import Api
from tests.support.upstream import Upstream

__all__ = ["kept_settings", "own", "owned", "rows"]


@pytest.fixture(scope="session")
async def shared(stack: LocalSupabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Cluster]:
    """The provider and the replicas of the tests that break neither."""
    async with cluster(stack, tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture(scope="session")
async def replicas(shared: Cluster) -> tuple[Api, Api]:
    """Two API processes, for tests that leave them as they are."""
    return await shared.replica(), await shared.replica()


@pytest.fixture(scope="session")
def upstream(shared: Cluster) -> Upstream:
    return shared.upstream


@pytest.fixture
async def client(shared: Cluster) -> Client:
    """A new user."""
    return await shared.client()


@pytest.fixture
async def stranger(shared: Cluster) -> Client:
    """Another new user."""
    return await shared.client()
