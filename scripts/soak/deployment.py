"""The deployment that is soaked: an embedded Supabase, a scripted provider, and two replicas behind proxies."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

from scripts.local_supabase import LocalSupabase
from scripts.soak.book import Book
from scripts.soak.gauges import Gauges, Life
from tests.support.cluster import Cluster, cluster
from tests.support.proxy import Proxy
from tests.support.service import Api

MODEL, CLAUDE, CHEAPEST = "gpt-5-mini", "claude-sonnet-5-5", "gpt-6-luna"
"""The models of the two providers, and the one that titles are asked of. They have prices, so costs are judged too."""
TITLE = {"tokens": 3, "token": "title{} "}
"""What the provider says where it is asked for a title."""
FORESEEN = ('"event": "turn.unanswered"', '"detail": "Cancel %s running task(s), timeout graceful shutdown exceeded"')
"""Errors in the log that are caused on purpose: by a provider that fails, and by requests at the end of a process."""
EXIT_SECONDS = 40.0
"""An order to end is obeyed within 10 s; the rest is for a machine that is busy."""


@dataclass
class Slot:
    """A place for a replica, with its own ways to the database and to the provider."""

    name: str
    database: Proxy
    provider: Proxy
    api: Api
    life: Life

    @property
    def url(self) -> str:
        return self.api.url

    @property
    def alive(self) -> bool:
        return self.api.process.poll() is None


class Deployment:
    """Its `url` is that of a replica that is alive, another one each time: what a load balancer does."""

    def __init__(self, stack: LocalSupabase, on: Cluster, book: Book, folder: Path, settings: dict[str, str]) -> None:
        self.stack = stack
        self.upstream = on.upstream
        self.cluster = on
        self.book = book
        self.gauges = Gauges(stack, lambda: book.now)
        self.slots: list[Slot] = []
        self._folder = folder
        self._settings = settings
        self.ended: list[str] = []
        """Parts of the stack that have ended by themselves."""
        self._restarting = asyncio.Lock()
        self._numbers = count(1)
        self._chance = random.Random(1)  # noqa: S311

    @property
    def url(self) -> str:
        return self.other().url

    def other(self, than: str | None = None) -> Slot:
        """A replica that is alive, and not `than` if there is a choice."""
        alive = [slot for slot in self.slots if slot.alive] or self.slots
        return self._chance.choice([slot for slot in alive if slot.url != than] or alive)

    async def add(self, name: str, owned: AsyncExitStack) -> None:
        """A place, and a replica in it."""
        database = await self.cluster.database()
        provider = await owned.enter_async_context(Proxy(self.upstream.url.removesuffix("/v1")))
        api, life = await self._start(name, database, provider)
        self.slots.append(Slot(name, database, provider, api, life))

    async def start(self, slot: Slot) -> None:
        """A new replica in the place of one that has ended."""
        slot.life.over = True
        slot.api, slot.life = await self._start(slot.name, slot.database, slot.provider)

    async def _start(self, name: str, database: Proxy, provider: Proxy) -> tuple[Api, Life]:
        file = self._folder / f"gauges-{next(self._numbers)}.json"
        api = await self.cluster.replica(
            database,
            provider,
            module="scripts.soak.replica",
            SOAK_GAUGES=str(file),
            OPENAI_MODEL=MODEL,
            ANTHROPIC_API_KEY="scripted",
            ANTHROPIC_BASE_URL=f"http://localhost:{urlsplit(provider.url).port}",
            CLAUDE_MODEL=CLAUDE,
            TITLES="auto",
            **self._settings,
        )
        return api, self.gauges.born(name, api.process.pid, file)

    async def roll(self, slot: Slot) -> None:
        """Ask a replica to end, as a rolling upgrade does, and start it again."""
        slot.api.terminate()
        try:
            code = await slot.api.ended(EXIT_SECONDS)
        except TimeoutError:
            self.book.violated(f"replica {slot.name} had not ended {EXIT_SECONDS:.0f} s after SIGTERM")
            slot.api.kill()
        else:
            if code != 0:
                self.book.violated(f"replica {slot.name} ended with status {code} after SIGTERM")
        await self.start(slot)

    async def restart(self, part: str) -> None:
        """End a part of the stack in an orderly way, and start it again: `postgres`, `gateway` or `realtime`."""
        [child] = [child for child in self.stack.children if child.name == part]
        async with self._restarting:
            await asyncio.to_thread(child.stop)
            await asyncio.to_thread(self.stack.restart, child)

    async def supervise(self) -> None:
        """Start parts of the stack again that end by themselves, as `make run` does."""
        while True:
            await asyncio.sleep(0.5)
            async with self._restarting:
                for child in tuple(self.stack.children):
                    if not child.alive():
                        self.ended.append(f"{child.name} ended with status {child.process.returncode}")
                        await asyncio.to_thread(self.stack.restart, child)

    def unforeseen(self) -> list[str]:
        """Lines of the replicas' logs about faults that nobody foresaw."""
        return [
            f"{log.name}: {line[:600]}"
            for log in sorted(self._folder.glob("api-*.log"))
            for line in log.read_text().splitlines()
            if ('"level":"error"' in line.replace(": ", ":") or "Traceback" in line)
            and not any(known in line for known in FORESEEN)
        ]


@asynccontextmanager
async def deployment(
    stack: LocalSupabase, book: Book, folder: Path, settings: dict[str, str]
) -> AsyncGenerator[Deployment]:
    async with cluster(stack, folder) as on, AsyncExitStack() as owned:
        on.upstream.models, on.upstream.claude_models = (MODEL, CHEAPEST), (CLAUDE,)
        on.upstream.titles = TITLE
        made = Deployment(stack, on, book, folder, settings)
        for name in ("a", "b"):
            await made.add(name, owned)
        jobs = [asyncio.create_task(made.gauges.watch()), asyncio.create_task(made.supervise())]
        try:
            yield made
        finally:
            for job in jobs:
                job.cancel()
                with suppress(asyncio.CancelledError):
                    await job
