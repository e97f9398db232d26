"""Trouble: everything that goes wrong with the machines while the crowd goes on, one thing after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from scripts.soak.book import Book
from scripts.soak.deployment import MODEL, Deployment

RECOVERY_SECONDS = 20.0
"""After an outage of the database turns begin again within 17 s; the rest is for a machine that is busy."""
UNAVAILABLE = ("supabase_unavailable", "lost")


@dataclass
class Trouble:
    on: Deployment
    book: Book
    outage: float
    """Seconds that an outage lasts."""
    say: Callable[[str], None]

    def schedule(self) -> list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]]:
        """When, as a part of the whole time, and what."""
        return [
            (0.08, self.provider_refuses),
            (0.14, self.provider_throttles),
            (0.20, self.answers_lost),
            (0.26, self.killed),
            (0.38, self.partition),
            (0.46, self.realtime),
            (0.52, self.gateway),
            (0.60, self.postgres),
            (0.72, self.rolling),
            (0.88, self.slow_database),
        ]

    async def run(self, seconds: float) -> None:
        """All of it, spread over that time; where one thing takes long, the next comes later. What the provider does
        holds nothing else up."""
        async with asyncio.TaskGroup() as beside:
            for part, cause in self.schedule():
                await asyncio.sleep(max(0.0, part * seconds - self.book.now))
                self.say((cause.__doc__ or "").split("\n")[0].rstrip("."))
                if cause in (self.provider_refuses, self.provider_throttles):
                    beside.create_task(cause())
                else:
                    await cause()

    async def provider_refuses(self) -> None:
        """Both providers answer everything with 500."""
        with self.book.fault("providers: 500", "provider_unavailable", after=40):
            self.on.upstream.script = {"status": 500}
            await asyncio.sleep(self.outage)
            self.on.upstream.script = {}

    async def provider_throttles(self) -> None:
        """OpenAI's API answers everything with 429 and Retry-After; Claude's answers."""
        with self.book.fault("OpenAI's API: 429", "provider_unavailable", after=40):
            self.on.upstream.by_model[MODEL] = {"status": 429, "retry_after": 2}
            await asyncio.sleep(self.outage)
            del self.on.upstream.by_model[MODEL]

    async def answers_lost(self) -> None:
        """Answers of the database are lost, after it has done what it was asked."""
        calls = (
            "begin_turn",
            "journal_write",
            "finish_replies",
            "begin_completion",
            "finish_completions",
            "stop_reply",
        )
        with self.book.fault("database: lost answers", *UNAVAILABLE, after=RECOVERY_SECONDS):
            for slot in self.on.slots:
                for call in calls:
                    slot.database.lose_answer(f"/rpc/{call}".encode())
            await asyncio.sleep(self.outage)

    async def killed(self) -> None:
        """Replica a is killed (SIGKILL) and comes back."""
        slot = self.on.slots[0]
        with self.book.fault("replica a: kill -9", "lost", after=3):
            slot.api.kill()
            await asyncio.sleep(self.outage)
            await self.on.start(slot)

    async def partition(self) -> None:
        """Replica b loses the database: everything that it sends is swallowed."""
        slot = self.on.slots[1]
        with self.book.fault("replica b: no database", *UNAVAILABLE, after=RECOVERY_SECONDS):
            slot.database.black_hole()
            await asyncio.sleep(self.outage)
            slot.database.up()

    async def realtime(self) -> None:
        """Realtime is restarted."""
        with self.book.fault("Realtime: restart"):
            await self.on.restart("realtime")

    async def gateway(self) -> None:
        """Auth and the Data API (PostgREST) are restarted."""
        with self.book.fault("Data API: restart", *UNAVAILABLE, after=RECOVERY_SECONDS):
            await self.on.restart("gateway")

    async def postgres(self) -> None:
        """Postgres is restarted."""
        with self.book.fault("Postgres: restart", *UNAVAILABLE, after=RECOVERY_SECONDS):
            await self.on.restart("postgres")

    async def rolling(self) -> None:
        """Both replicas are drained and started again, one after the other."""
        for slot in self.on.slots:
            with self.book.fault(f"replica {slot.name}: drain and restart", "draining", "interrupted", "lost", after=2):
                await self.on.roll(slot)

    async def slow_database(self) -> None:
        """The database is slow: 200 ms each way, and 200 KB/s."""
        with self.book.fault("database: slow", *UNAVAILABLE, "rate_limited", after=RECOVERY_SECONDS):
            for slot in self.on.slots:
                slot.database.latency, slot.database.rate = 0.2, 200_000
            await asyncio.sleep(self.outage)
            for slot in self.on.slots:
                slot.database.latency, slot.database.rate = 0, None
