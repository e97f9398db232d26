"""What the tests of limits share: a database with its first limits, a user with a plan, two replicas."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle
from tests.support import upstream as scripted
from tests.support.callers import Caller, Connection, new_conversation, new_user
from tests.support.client import person_client
from tests.support.limits import kept_settings, owned
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import Upstream

__all__ = ["kept_settings", "owned"]


@pytest.fixture
def db(owned: Connection) -> Iterator[Connection]:
    """The database owner in a transaction that is rolled back, with the settings a new database has."""
    with owned.transaction(force_rollback=True):
        owned.execute(
            "update private.settings set require_premium = default, requests_per_minute = default, "
            "tokens_per_minute = default, screen_input = default"
        )
        yield owned


@pytest.fixture
def user(db: Connection) -> Caller:
    """A user with the plan `premium`, gone after the test."""
    created = new_user(db)
    entitle(db, created.id, "premium")
    return created


@pytest.fixture
def conversation(db: Connection, user: Caller) -> object:
    return new_conversation(db, user)


@pytest.fixture(scope="package")
async def replicas(
    stack: LocalSupabase, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[tuple[Api, Api]]:
    """Two API processes on one database."""
    logs = tmp_path_factory.mktemp("replicas")
    settings = {
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "local",
        "RATE_LIMIT_UNAUTHENTICATED_PER_MINUTE": "120",
    }
    async with (
        running_api(stack, logs / "one.log", **settings) as one,
        # behind a proxy on this machine, so to speak: each test can have an address of its own
        running_api(stack, logs / "two.log", FORWARDED_ALLOW_IPS="127.0.0.1", **settings) as two,
    ):
        yield one, two


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    """A new user with the plan `premium`."""
    return await sign_up(stack)


@pytest.fixture
async def client(replicas: tuple[Api, Api], person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """The person's, on the first replica."""
    async with person_client(replicas[0], person) as opened:
        yield opened
