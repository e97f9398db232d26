"""What the tests of the database share: a connection that undoes everything, and people."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Caller, Connection, new_user


@pytest.fixture(scope="module")
def connection(stack: LocalSupabase) -> Iterator[Connection]:
    """The database owner's connection, each statement its own transaction."""
    with psycopg.connect(stack.database_url, autocommit=True) as opened:
        # out of the way of tests that are not about them; the limits' own are in tests/guard. For each module, as a
        # service that starts meanwhile sets them, too
        opened.execute(
            "update private.settings set require_premium = false, requests_per_minute = 1000000, "
            "tokens_per_minute = 1000000000"
        )
        yield opened


@pytest.fixture
def db(connection: Connection) -> Iterator[Connection]:
    """The database owner in a transaction that is rolled back."""
    with connection.transaction(force_rollback=True):
        yield connection


@pytest.fixture
def owner(db: Connection) -> Caller:
    """A user, gone after the test."""
    return new_user(db)


@pytest.fixture
def stranger(db: Connection) -> Caller:
    """Another user, gone after the test."""
    return new_user(db)


@pytest.fixture
def user(connection: Connection) -> Iterator[Caller]:
    """A user whom other connections see; deleted after the test, with everything they have."""
    created = new_user(connection)
    yield created
    connection.execute("delete from auth.users where id = %s", [created.id])


@pytest.fixture(scope="session")
def http(stack: LocalSupabase) -> Iterator[httpx.Client]:
    """A client on the stack's origin; it sends no key by itself."""
    with httpx.Client(base_url=stack.url, timeout=20) as client:
        yield client
