"""A replica in the tests' own process, whose inside can be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import aiohttp

from app.main import Service
from app.serve import listening, make_server
from app.settings import load_settings
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.support.replica_client import eventually
from tests.support.service import environment
from tests.support.upstream import MODEL, Upstream


@dataclass
class Inside:
    """A running service and where it listens."""

    url: str
    service: Service
    pools: list[aiohttp.BaseConnector]
    """Of every HTTP client it has made, its own and the SDKs'."""

    @property
    def in_use(self) -> dict[str, int]:
        """Everything that a request or a reply holds while it lasts."""
        service = self.service
        return {
            "connections": sum(len(pool._acquired) for pool in self.pools),
            "replies being written": len(service.turns),
            "readers": len(service.followers),
            "replies being journaled": len(service.journal._entries),
            "replies followed elsewhere": len(service.finder._followed),
        }


@asynccontextmanager
async def inside(stack: LocalSupabase, upstream: Upstream) -> AsyncGenerator[Inside]:
    """Serve on a free port, as `python -m app` does, but for its signals."""
    port = free_port()
    settings = {
        "PARLEY_PORT": str(port),
        "OPENAI_API_KEY": "scripted",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": MODEL,
        "DEFAULT_AI_PROVIDER": "openai",
        "LOG_LEVEL": "error",
        "EMBEDDING_MODEL": "local",
    }
    pools: list[aiohttp.BaseConnector] = []
    make_pool = aiohttp.BaseConnector.__init__

    def make_known_pool(self: aiohttp.BaseConnector, **options: Any) -> None:
        pools.append(self)
        make_pool(self, **options)

    with patch.object(aiohttp.BaseConnector, "__init__", make_known_pool), listening("127.0.0.1", port) as sockets:
        server = make_server(load_settings(environment(stack, **settings)))
        server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
        serving = asyncio.create_task(server.serve(sockets))
        try:
            await eventually(lambda: server.started, within=15)
            yield Inside(f"http://127.0.0.1:{port}", server.service, pools)
        finally:
            server.should_exit = True
            await serving
