"""What the checks are tried on: a project behind a gateway that refuses on demand, and a provider that is scripted."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from app.check.command import checked
from app.check.findings import Finding, Report
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.realtime.limits import Limits
from scripts.local_supabase.realtime.server import Config, running
from tests.support.gateway import Gateway
from tests.support.upstream import MODEL, Upstream

Realtime = Callable[[], AbstractAsyncContextManager[str]]


class Configuration:
    """Settings with which all is well; a test changes them, and has them checked."""

    def __init__(self, stack: LocalSupabase, gateway: Gateway, upstream: Upstream) -> None:
        self.gateway = gateway
        self.upstream = upstream
        self.environ = {
            "SUPABASE_URL": gateway.url,
            "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
            "SUPABASE_SECRET_KEY": stack.secret_key,
            "OPENAI_API_KEY": "sk-canary-0123456789",
            "OPENAI_BASE_URL": upstream.url,
            "OPENAI_MODEL": MODEL,
            "EMBEDDING_MODEL": "text-embedding-3-small",
            "WEB": "off",
            "PARLEY_PORT": "1",
        }

    async def report(self, *, reply: bool = False, seconds: float = 30.0, **settings: str) -> Report:
        return await checked(self.environ | settings, reply=reply, seconds=seconds)

    async def finding(self, name: str, *, reply: bool = False, seconds: float = 30.0, **settings: str) -> Finding:
        """What the check `name` found; of several findings with this name, the worst."""
        report = await self.report(reply=reply, seconds=seconds, **settings)
        order = ("failed", "warning", "skipped", "ok")
        return min((one for one in report.checks if one.name == name), key=lambda one: order.index(one.status))


@pytest.fixture
async def configuration(stack: LocalSupabase, default_log: None) -> AsyncGenerator[Configuration]:
    async with Gateway(stack.url) as gateway, Upstream() as upstream:
        yield Configuration(stack, gateway, upstream)


@pytest.fixture
def private_realtime(stack: LocalSupabase) -> Realtime:
    """Realtime that allows private channels only, as a hosted project that is set up well; with its address."""

    @asynccontextmanager
    async def serving() -> AsyncGenerator[str]:
        config = Config(
            port=0,
            database_url=stack.superuser_url,
            publishable_key=stack.publishable_key,
            secret_key=stack.secret_key,
            public_key={name: value for name, value in stack.signing_key.items() if name != "d"},
            private_only=True,
            limits=Limits(),
        )
        async with running(config) as port:
            yield f"http://127.0.0.1:{port}"

    return serving
