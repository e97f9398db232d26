"""Replicas: API processes on one database, asking one scripted provider, started and killed at will."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.proxy import Proxy
from tests.support.replica_client import Client, signed_in
from tests.support.service import ROOT, Api, running_api, sign_up
from tests.support.upstream import MODEL, Upstream


class Cluster:
    """Starts replicas and signs people up. All of it ends with the context that made it."""

    def __init__(self, stack: LocalSupabase, upstream: Upstream, folder: Path, owned: AsyncExitStack) -> None:
        self.stack = stack
        self.upstream = upstream
        self._folder = folder
        self._owned = owned
        self._numbers = count()

    async def replica(
        self,
        database: Proxy | None = None,
        provider: Proxy | None = None,
        *,
        module: str = "app",
        code: str = str(ROOT),
        **settings: str,
    ) -> Api:
        """A ready API process. It reaches the database through `database`, and the provider through `provider`; `code`
        is the folder of another version."""
        address = urlsplit(provider.url if provider else self.upstream.url)
        settings = {
            "OPENAI_API_KEY": "scripted",
            # another name for the same machine, so that the proxy is for the database alone
            "OPENAI_BASE_URL": f"http://localhost:{address.port}/v1",
            "OPENAI_MODEL": MODEL,
            "DEFAULT_AI_PROVIDER": "openai",
            # these replicas stay: they must not take the documents of other tests to a provider without embeddings
            "EMBEDDING_MODEL": "local",
        } | settings
        if database is not None:
            settings |= {"HTTP_PROXY": database.url, "NO_PROXY": "localhost"}
        log = self._folder / f"api-{next(self._numbers)}.log"
        return await self._owned.enter_async_context(running_api(self.stack, log, module=module, code=code, **settings))

    async def client(self, patience: float = 60) -> Client:
        """A new user's client, which gives a request so many seconds."""
        return await self._owned.enter_async_context(signed_in(await sign_up(self.stack), patience))

    async def database(self) -> Proxy:
        """A proxy to the database, for replicas to be started with."""
        return await self._owned.enter_async_context(Proxy(self.stack.url))

    async def in_front_of(self, api: Api) -> Proxy:
        """A proxy between clients and a replica."""
        return await self._owned.enter_async_context(Proxy(api.url))


@asynccontextmanager
async def cluster(stack: LocalSupabase, folder: Path) -> AsyncGenerator[Cluster]:
    async with Upstream() as upstream, AsyncExitStack() as owned:
        yield Cluster(stack, upstream, folder, owned)


@pytest.fixture
async def own(stack: LocalSupabase, tmp_path: Path) -> AsyncGenerator[Cluster]:
    """A provider and replicas of the test's own, to be broken."""
    async with cluster(stack, tmp_path) as running:
        yield running
