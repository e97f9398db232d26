"""A replica in a network namespace of its own, whose ways to Supabase, its provider and its clients can be cut."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.rows import dict_row

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.netns.namespaces import CLIENTS, NEAR, PROVIDER, SUPABASE, Namespace, Wire, why_not
from tests.support.cluster import Cluster, cluster
from tests.support.limits import kept_settings, owned
from tests.support.proxy import Proxy
from tests.support.replica_client import Client
from tests.support.rows import Rows
from tests.support.service import Api, running_api
from tests.support.upstream import MODEL

__all__ = ["kept_settings", "owned"]

GAP_SECONDS = 8
"""A provider's silence inside a text is noticed after it."""


@dataclass
class Place:
    """Where a replica runs, and everything around it."""

    cluster: Cluster
    wire: Wire
    near: Namespace
    far: Namespace
    owned: AsyncExitStack
    folder: Path

    async def replica(self) -> Api:
        """A replica at the near end of the wire. Its `url` leads there through the far end, as clients come."""
        port = free_port()
        stack = self.cluster.stack
        clients = Proxy(
            f"http://{NEAR}:{port}",
            listener=socket.create_server(("127.0.0.1", port)),
            dialer=lambda: self.far.do(lambda: _bound(CLIENTS)),
        )
        supabase = Proxy(stack.url, listener=self.far.listener(SUPABASE))
        provider = Proxy(self.cluster.upstream.url.removesuffix("/v1"), listener=self.far.listener(PROVIDER))
        for way in (clients, supabase, provider):
            await self.owned.enter_async_context(way)
        settings = {
            "PARLEY_HOST": NEAR,
            "PARLEY_PORT": str(port),
            # the tokens name the stack's own address, so that stays the project's
            "HTTP_PROXY": supabase.url,
            "NO_PROXY": str(urlsplit(provider.url).hostname),
            "OPENAI_API_KEY": "scripted",
            "OPENAI_BASE_URL": f"{provider.url}/v1",
            "OPENAI_MODEL": MODEL,
            "EMBEDDING_MODEL": "local",
            "TOKEN_GAP_TIMEOUT_SECONDS": str(GAP_SECONDS),
        }
        log = self.folder / f"near-{port}.log"
        running = running_api(stack, log, prefix=self.near.prefix, **settings)
        return await self.owned.enter_async_context(running)


def _bound(address: str) -> socket.socket:
    """A socket that connects from this address."""
    made = socket.socket()
    made.bind((address, 0))
    return made


@pytest.fixture(scope="session", autouse=True)
def permitted() -> None:
    """Skips these tests where there can be no network namespaces, and says why."""
    if (reason := why_not()) is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session")
async def place(
    permitted: None, stack: LocalSupabase, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Place]:
    folder = tmp_path_factory.mktemp("netns")
    near, far = Namespace(), Namespace()
    wire = Wire(near, far)
    wire.open()
    try:
        async with cluster(stack, folder) as on, AsyncExitStack() as owned_here:
            yield Place(on, wire, near, far, owned_here, folder)
    finally:
        wire.close()
        near.close()
        far.close()


@pytest.fixture(scope="session")
async def shared_replica(place: Place) -> Api:
    return await place.replica()


@pytest.fixture
async def near(place: Place, shared_replica: Api) -> AsyncGenerator[Api]:
    """The replica whose ways are cut. They are mended afterwards."""
    yield shared_replica
    for way in place.wire.ways.values():
        way.mend()


@pytest.fixture(scope="session")
async def other(place: Place) -> Api:
    """A replica on the same database whose network is well."""
    return await place.cluster.replica()


@pytest.fixture
async def client(place: Place) -> Client:
    """A new user."""
    return await place.cluster.client()


@pytest.fixture(scope="session")
def rows(permitted: None, stack: LocalSupabase) -> Iterator[Rows]:
    with psycopg.connect(stack.database_url, autocommit=True, row_factory=dict_row) as connection:
        yield Rows(connection)
