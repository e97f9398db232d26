"""What all tests share: a throw-away Supabase with the repository's migrations, the API on it, users."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator

import httpx
import pytest
import structlog

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.client import new_conversation, person_client, turn
from tests.support.partitions import divide
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import Upstream


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need the embedded Supabase.

    Each process of `make test` has one of its own, and runs whole files: what a file's fixtures start is started once.
    """
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker("stack")


@pytest.fixture
def default_log() -> Iterator[None]:
    """The log takes every event, whatever a service in this process has configured before."""
    before = structlog.get_config()
    structlog.reset_defaults()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalSupabase]:
    """A running Supabase on free ports, its data gone after the session."""
    with LocalSupabase.throwaway() as running:
        if os.environ.get("PARLEY_TEST_PARTITIONS"):
            divide(running.database_url)
        yield running


@pytest.fixture(scope="session")
async def upstream() -> AsyncGenerator[Upstream]:
    """An OpenAI-compatible provider that does what the message says."""
    async with Upstream() as server:
        yield server


@pytest.fixture(scope="session")
async def api(
    stack: LocalSupabase, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """One API process whose only provider is `upstream`. Tests that stop or break it start their own."""
    log = tmp_path_factory.mktemp("api") / "api.log"
    settings = {
        "OPENAI_API_KEY": "test-key-of-the-api",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
        # one test's documents are not another one's sources
        "ENABLE_RAG": "false",
        "LOG_LEVEL": "debug",
    }
    async with running_api(stack, log, **settings) as running:
        async with person_client(running, await sign_up(stack)) as client:
            # the first turn imports the provider's SDK: how long that takes is no test's business
            await turn(client, await new_conversation(client))
        yield running


@pytest.fixture(scope="session")
async def owner(stack: LocalSupabase) -> Person:
    """A user; what tests make is theirs."""
    return await sign_up(stack)


@pytest.fixture(scope="session")
async def stranger(stack: LocalSupabase) -> Person:
    """Another user of the same project."""
    return await sign_up(stack)


@pytest.fixture(scope="session")
async def as_owner(api: Api, owner: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """The owner's client."""
    async with person_client(api, owner) as client:
        yield client


@pytest.fixture(scope="session")
async def as_stranger(api: Api, stranger: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """The stranger's client."""
    async with person_client(api, stranger) as client:
        yield client


@pytest.fixture(scope="session")
async def anonymous(api: Api) -> AsyncGenerator[httpx.AsyncClient]:
    """A client without a token."""
    async with person_client(api) as client:
        yield client
