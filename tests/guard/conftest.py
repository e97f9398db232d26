"""In charge of what the tests of limits share: the database's owner, plans of any size, and the limits put back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle
from tests.support import upstream as scripted
from tests.support.callers import Caller, Connection, new_conversation, new_user
from tests.support.service import Api, running_api
from tests.support.upstream import Upstream


@pytest.fixture(scope="session")
def owned(stack: LocalSupabase) -> Iterator[Connection]:
    """The database owner's connection, each statement its own transaction."""
    with psycopg.connect(stack.database_url, autocommit=True) as opened:
        yield opened


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


@pytest.fixture(scope="module")
def kept_settings(owned: Connection) -> Iterator[None]:
    """Puts the limits back that the services of the other tests have set, once the module's own are over."""
    before = owned.execute(
        "select require_premium, requests_per_minute, tokens_per_minute, screen_input from private.settings"
    ).fetchone()
    yield
    owned.execute(
        "update private.settings set (require_premium, requests_per_minute, tokens_per_minute, screen_input) "
        "= (%s, %s, %s, %s)",
        before,
    )


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
