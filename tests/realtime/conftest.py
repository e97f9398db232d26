"""What the tests of Realtime share: connections of both versions, the owner's SQL, people."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.realtime.people import Connection, Someone, Tokens, new_conversation, new_someone
from tests.support.cluster import Cluster, cluster
from tests.support.replica_client import Client, signed_in
from tests.support.service import Api, Person
from tests.support.sockets import V2, Socket, connected

Connect = Callable[..., AbstractAsyncContextManager[Socket]]
NewClient = Callable[[], Awaitable[Client]]


@pytest.fixture(scope="session")
def tokens(stack: LocalSupabase) -> Tokens:
    return Tokens(stack)


@pytest.fixture(scope="session")
async def db(stack: LocalSupabase) -> AsyncGenerator[Connection]:
    """The database owner's connection, each statement its own transaction."""
    async with await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def connect(stack: LocalSupabase) -> Connect:
    """Opens a connection with the publishable key: `async with connect() as socket`, `connect(V1)`."""
    return lambda version=V2, key=stack.publishable_key: connected(stack.url, key, version)


@pytest.fixture
async def owner(db: Connection, tokens: Tokens) -> Someone:
    """A new user."""
    return await new_someone(db, tokens)


@pytest.fixture
async def stranger(db: Connection, tokens: Tokens) -> Someone:
    """Another new user."""
    return await new_someone(db, tokens)


@pytest.fixture
async def conversation(db: Connection, owner: Someone) -> str:
    """A conversation of the owner; its id."""
    return await new_conversation(db, owner)


@pytest.fixture(scope="module")
async def open_topics(stack: LocalSupabase) -> AsyncGenerator[None]:
    """Policies for topics of the tests' own: test:open for anybody signed in, test:read to read alone, and so on."""
    rules = {
        "select": "extension = 'broadcast' and realtime.topic() ~ '^test:(open|read)' or "
        "extension = 'presence' and realtime.topic() ~ '^test:(open|presence)'",
        "insert": "extension = 'broadcast' and realtime.topic() ~ '^test:(open|write)' or "
        "extension = 'presence' and realtime.topic() ~ '^test:(open|presence)'",
    }
    async with await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True) as connection:
        for action, rule in rules.items():
            clause = "using" if action == "select" else "with check"
            await connection.execute(
                f'create policy "tests {action}" on realtime.messages for {action} to authenticated {clause} ({rule})'
            )
        yield
        for action in rules:
            await connection.execute(f'drop policy "tests {action}" on realtime.messages')


@pytest.fixture(scope="session")
async def service(stack: LocalSupabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Cluster]:
    """Real API processes and the scripted provider they ask."""
    async with cluster(stack, tmp_path_factory.mktemp("realtime")) as running:
        yield running


@pytest.fixture(scope="session")
async def replicas(service: Cluster) -> tuple[Api, Api]:
    """Two of them; the second stores, and so pushes, more often than by default."""
    return await service.replica(), await service.replica(JOURNAL_INTERVAL_MS="100")


@pytest.fixture(scope="session")
def api(replicas: tuple[Api, Api]) -> Api:
    return replicas[0]


@pytest.fixture
async def new_client(db: Connection, tokens: Tokens) -> AsyncGenerator[NewClient]:
    """Makes new users who may use the API, and their requests to it."""
    async with AsyncExitStack() as opened:

        async def make() -> Client:
            someone = await new_someone(db, tokens)
            await db.execute("insert into public.entitlements (user_id, plan) values (%s, 'premium')", [someone.id])
            person = Person(someone.id, f"{someone.id}@parley.example", someone.token)
            return await opened.enter_async_context(signed_in(person))

        yield make


@pytest.fixture
async def client(new_client: NewClient) -> Client:
    """A new user's requests to the API."""
    return await new_client()
