"""The limits as the database has them: its owner's connection, and the limits put back after a module."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection


@pytest.fixture(scope="session")
def owned(stack: LocalSupabase) -> Iterator[Connection]:
    """The database owner's connection, each statement its own transaction."""
    with psycopg.connect(stack.database_url, autocommit=True) as opened:
        yield opened


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


@contextmanager
def without_cost(stack: LocalSupabase, models: Collection[tuple[str, str]]) -> Iterator[None]:
    """Providers' models that the catalog does not know have a price, as long as this lasts: nothing."""
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        for provider, model in models:
            database.execute("insert into private.model_prices values (%s, %s, 0, 0, 0)", [provider, model])
        yield
        for provider, model in models:
            database.execute("delete from private.model_prices where (provider, model) = (%s, %s)", [provider, model])
