"""An API that gives titles, and its provider: replies by `scripted-1`, titles by the cheapest model that it lists."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.support.callers import Connection
from tests.support.client import new_conversation, person_client
from tests.support.limits import kept_settings, owned
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import MODEL, Upstream

__all__ = ["kept_settings", "owned"]

CHEAP = "gpt-6-luna"


@pytest.fixture
def db(owned: Connection) -> Iterator[Connection]:
    """The database owner in a transaction that is rolled back."""
    with owned.transaction(force_rollback=True):
        yield owned


@pytest.fixture(scope="package")
async def titling() -> AsyncGenerator[Upstream]:
    """A provider that lists two models of the catalog as well."""
    async with Upstream(models=(MODEL, "gpt-4o-mini", CHEAP)) as server:
        yield server


@pytest.fixture
def provider(titling: Upstream) -> Iterator[Upstream]:
    """The same, without calls of other tests. It answers a title with `Tea in Kyoto`."""
    titling.calls.clear()
    titling.by_model = {CHEAP: {"id": "title", "pieces": ["Tea in ", "Kyoto"]}}
    yield titling
    titling.script = {}


@pytest.fixture(scope="package")
def metrics() -> str:
    """The address of the metrics of `titled`."""
    return f"http://127.0.0.1:{free_port()}/metrics"


@pytest.fixture(scope="package")
async def titled(
    stack: LocalSupabase, titling: Upstream, metrics: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    log = tmp_path_factory.mktemp("titles") / "api.log"
    async with starting(stack, log, titling, METRICS_PORT=str(httpx.URL(metrics).port)) as running:
        yield running


def starting(stack: LocalSupabase, log: Path, provider: Upstream, **settings: str) -> AbstractAsyncContextManager[Api]:
    """A process of its own, whose breakers know nothing of other tests."""
    return running_api(
        stack,
        log,
        **{
            "OPENAI_API_KEY": "test",
            "OPENAI_BASE_URL": provider.url,
            "OPENAI_MODEL": MODEL,
            "EMBEDDING_MODEL": "local",
            "TITLES": "auto",
            **settings,
        },
    )


def give_plan(db: Connection, user_id: object, *, premium: bool, monthly_budget_micro_usd: int | None = None) -> str:
    """A plan of the user's own; its name."""
    plan = f"plan-{uuid.uuid4().hex[:12]}"
    db.execute(
        "insert into private.plans (plan, premium, monthly_budget_micro_usd) values (%s, %s, %s)",
        [plan, premium, monthly_budget_micro_usd],
    )
    db.execute(
        "insert into public.entitlements (user_id, plan) values (%s, %s) "
        "on conflict (user_id) do update set plan = excluded.plan",
        [user_id, plan],
    )
    return plan


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    return await sign_up(stack)


@pytest.fixture
async def client(titled: Api, person: Person, provider: Upstream) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(titled, person) as opened:
        yield opened


@pytest.fixture
async def conversation(client: httpx.AsyncClient) -> str:
    return await new_conversation(client)
