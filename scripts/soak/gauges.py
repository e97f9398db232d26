"""Gauges: what each process holds, once a second: memory, sockets, files, tasks, connections of the database."""

from __future__ import annotations

import asyncio
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from scripts.local_supabase import LocalSupabase
from scripts.soak.database import query


@dataclass(frozen=True)
class Sample:
    at: float
    rss_mb: float
    files: int
    sockets: int
    tasks: int
    blocks: int
    """Of memory that Python has in use, in thousands."""
    busy: int
    """Replies, completions and readers."""


@dataclass
class Life:
    """One process of the API, from its start to its end."""

    name: str
    pid: int
    gauges: Path
    samples: list[Sample] = field(default_factory=list)
    over: bool = False

    def take(self, at: float) -> None:
        try:
            process = psutil.Process(self.pid)
            with process.oneshot():
                rss, files = process.memory_info().rss, process.num_fds()
            sockets = len(process.net_connections("inet"))
            held = json.loads(self.gauges.read_text())
        except (psutil.Error, FileNotFoundError):
            return
        busy = held["replies"] + held["completions"] + held["readers"] + held["journal"]
        self.samples.append(Sample(at, rss / 1e6, files, sockets, held["tasks"], held["blocks"] // 1000, busy))

    def memory(self, start: float, end: float) -> float | None:
        """The median memory between two times, in MB; None without a sample."""
        found = [sample.rss_mb for sample in self.samples if start <= sample.at <= end]
        return statistics.median(found) if found else None


@dataclass
class Gauges:
    """Samples all lives while `watch` runs."""

    stack: LocalSupabase
    clock: Callable[[], float]
    lives: list[Life] = field(default_factory=list)
    database: list[tuple[float, int]] = field(default_factory=list)
    """When, and how many connections of clients the database had."""

    def born(self, name: str, pid: int, gauges: Path) -> Life:
        life = Life(name, pid, gauges)
        self.lives.append(life)
        return life

    async def watch(self) -> None:
        while True:
            await self.take()
            await asyncio.sleep(1)

    async def take(self) -> None:
        for life in self.lives:
            if not life.over:
                life.take(self.clock())
        count = (
            "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
        )
        rows = await query(self.stack, count, absent=True)
        if rows:
            self.database.append((self.clock(), rows[0]["count"]))
