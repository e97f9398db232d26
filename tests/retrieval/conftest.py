"""Fixtures of the retrieval tests, their APIs: one that embeds offline, and people with documents of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import Any

import httpx
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.aimock import aimock, aimock_server
from tests.support.client import person_client
from tests.support.service import Api, running_api, sign_up
from tests.support.upstream import Upstream

__all__ = ["aimock", "aimock_server"]


@pytest.fixture(scope="session")
async def offline(
    stack: LocalSupabase, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API that embeds by itself, and whose replies come from `upstream`."""
    settings = {
        "OPENAI_API_KEY": "test-key",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
    }
    async with running_api(stack, tmp_path_factory.mktemp("offline") / "api.log", **settings) as running:
        yield running


@pytest.fixture
async def reader(stack: LocalSupabase, offline: Api) -> AsyncGenerator[httpx.AsyncClient]:
    """The client of somebody who has no document yet."""
    async with person_client(offline, await sign_up(stack)) as client:
        yield client


@pytest.fixture
async def another(stack: LocalSupabase, offline: Api) -> AsyncGenerator[httpx.AsyncClient]:
    """The client of somebody else who has none."""
    async with person_client(offline, await sign_up(stack)) as client:
        yield client


@pytest.fixture
def database(stack: LocalSupabase) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection of the database's owner; every statement is its own transaction."""
    with psycopg.connect(stack.database_url, autocommit=True) as connection:
        yield connection
