"""What the API's tests share beside the session's fixtures: the mock of the real providers' wire, the limits that are
put back, and a service whose project can be held or made to refuse."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.aimock import aimock, aimock_server
from tests.support.gateway import Gateway
from tests.support.limits import kept_settings, owned
from tests.support.service import Api, running_api
from tests.support.upstream import Upstream

__all__ = ["aimock", "aimock_server", "kept_settings", "owned"]


@pytest.fixture(scope="module")
async def project(stack: LocalSupabase) -> AsyncGenerator[Gateway]:
    """The gateway before the project of `service`."""
    async with Gateway(stack.url) as running:
        yield running


@pytest.fixture(scope="module")
async def service(
    stack: LocalSupabase, project: Gateway, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API whose project is behind the gateway."""
    settings = {
        "SUPABASE_URL": project.url,
        "OPENAI_API_KEY": "test-key-of-the-api",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
        "ENABLE_RAG": "false",
    }
    async with running_api(stack, tmp_path_factory.mktemp("service") / "api.log", **settings) as api:
        yield api
