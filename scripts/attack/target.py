"""The target: an embedded Supabase, a provider and an API process of their own, with the default limits."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import aiohttp
import psutil
import psycopg
from psycopg import sql

from scripts.attack.provider import PRICED
from scripts.calls.recorder import User, sign_up
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.node import REPOSITORY
from scripts.local_supabase.processes import Child, free_port, wait_until

READY_SECONDS = 30
END_SECONDS = 12
SETTLE_SECONDS = 40


class Target:
    """What is attacked, and what its operator sees of it."""

    def __init__(self, stack: LocalSupabase, database: psycopg.Connection, provider_url: str) -> None:
        self.stack = stack
        self._database = database
        self._provider_url = provider_url
        self.url = ""
        self.port = 0
        self.api: Child
        self.process: psutil.Process

    @contextmanager
    def api_process(self, name: str, *, supabase_url: str | None = None) -> Iterator[tuple[Child, int]]:
        """A ready API process and its port."""
        port = free_port()
        environment = {
            "SUPABASE_URL": supabase_url or self.stack.url,
            "SUPABASE_PUBLISHABLE_KEY": self.stack.publishable_key,
            "SUPABASE_SECRET_KEY": self.stack.secret_key,
            "OPENAI_API_KEY": "attack",
            "OPENAI_BASE_URL": f"{self._provider_url}/v1",
            "OPENAI_MODEL": PRICED,
            "EMBEDDING_MODEL": "local",
            "SEARCH_THRESHOLD": "0",
            "PARLEY_PORT": str(port),
        }
        api = self.stack.run_beside(
            name, [sys.executable, "-m", "app"], cwd=REPOSITORY, env=_own_environment() | environment
        )
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until(lambda: _answers(f"{url}/health/ready"), seconds=READY_SECONDS, child=api)
            yield api, port
        finally:
            api.stop(END_SECONDS)

    async def user(self, plan: str | None = "premium", limits: Mapping[str, int] | None = None) -> User:
        """A new user, with that plan, or with one of their own that has these limits (columns of private.plans)."""
        user = await asyncio.to_thread(sign_up, self.stack)
        if limits:
            plan = f"plan-{uuid.uuid4().hex[:12]}"
            columns = {"plan": plan, **limits}
            self._database.execute(
                sql.SQL("insert into private.plans ({}) values ({})").format(
                    sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join(map(sql.Placeholder, columns))
                ),
                columns,
            )
        if plan is not None:
            self._database.execute("insert into public.entitlements (user_id, plan) values (%s, %s)", [user.id, plan])
        return user

    def session(self, user: User | None = None, *, connections: int = 100) -> aiohttp.ClientSession:
        """Requests of a user, or of nobody, to the API."""
        headers = {"Authorization": f"Bearer {user.token}"} if user else {}
        connector = aiohttp.TCPConnector(limit=connections)
        return aiohttp.ClientSession(self.url, headers=headers, connector=connector, timeout=_patience())

    def data_api(self, user: User) -> aiohttp.ClientSession:
        """Requests of a user to the Data API, past our API."""
        headers = {"Authorization": f"Bearer {user.token}", "apikey": self.stack.publishable_key}
        return aiohttp.ClientSession(f"{self.stack.url}/rest/v1/", headers=headers, timeout=_patience())

    def row(self, statement: str, *arguments: object) -> tuple[Any, ...]:
        """The first row, as the database's owner sees it."""
        row = self._database.execute(statement.encode(), arguments).fetchone()
        assert row is not None
        return row

    async def settled(self, user: User) -> None:
        """Wait until nothing is reserved for the user any more. Raises TimeoutError."""
        async with asyncio.timeout(SETTLE_SECONDS):
            while self.row("select count(*) from private.reservations where user_id = %s", user.id) != (0,):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # the service is another process

    def charged(self, user: User) -> dict[str, int]:
        """The sums of the ledger: `replies`, `prompt`, `tokens` and `cost` in micro-dollars."""
        sums = self.row(
            "select count(distinct reply_id), coalesce(sum(prompt_tokens), 0)::bigint, "
            "coalesce(sum(tokens), 0)::bigint, coalesce(sum(cost_micro_usd), 0)::bigint "
            "from private.usage_ledger where user_id = %s",
            user.id,
        )
        return dict(zip(("replies", "prompt", "tokens", "cost"), sums, strict=True))

    async def sent(self, id: str) -> list[dict[str, Any]]:
        """The calls that the provider was made by prompts with that `id`."""
        async with aiohttp.ClientSession() as session, session.get(f"{self._provider_url}/sent") as answer:
            return [call for call in await answer.json() if call["id"] == id]

    def failures(self) -> int:
        """Answers 500 in the API's log so far: faults of ours that nobody foresaw."""
        lines = (json.loads(line) for line in self.api.log.read_text().splitlines() if line.startswith("{"))
        return sum(line.get("status") == 500 for line in lines)


@contextmanager
def target() -> Generator[Target]:
    """A target for the time of the block. All its processes are ended, and its data is deleted."""
    with LocalSupabase.throwaway() as stack:
        port = free_port()
        provider = stack.run_beside(
            "provider",
            [sys.executable, "-m", "scripts.attack.provider", str(port)],
            cwd=REPOSITORY,
            env=_own_environment(),
        )
        try:
            wait_until(lambda: _answers(f"http://127.0.0.1:{port}/models"), seconds=READY_SECONDS, child=provider)
            with psycopg.connect(stack.database_url, autocommit=True) as database:
                made = Target(stack, database, f"http://127.0.0.1:{port}")
                with made.api_process("api") as (made.api, made.port):
                    made.url = f"http://127.0.0.1:{made.port}"
                    made.process = psutil.Process(made.api.process.pid)
                    yield made
        finally:
            provider.stop()


class Memory:
    """The most memory that a process had while `watch` ran, in bytes above what it had before."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._before = self._now()
        self.grown = 0

    async def watch(self) -> None:
        while True:
            self.grown = max(self.grown, self._now() - self._before)
            await asyncio.sleep(0.1)

    def _now(self) -> int:
        return int(self._process.memory_info().rss)


def script(id: str, **behaviour: object) -> str:
    """A message that tells the provider what to do."""
    return json.dumps({"id": id, **behaviour})


def until(seconds: float) -> Iterator[None]:
    """Turns of a loop that ends after `seconds`."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        yield


def _own_environment() -> dict[str, str]:
    """Without the developer's own settings and keys."""
    return {known: os.environ[known] for known in ("PATH", "HOME", "LANG") if known in os.environ}


def _patience() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=60)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
