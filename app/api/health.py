"""`/health`: whether the process lives, and whether it should be sent requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import msgspec
from litestar import Router, get

from app.api.openapi import not_ready
from app.chat.live import Followers
from app.errors import Draining, SupabaseUnavailable, Unavailable
from app.store.client import Supabase

PING_SECONDS = 1.0
"""How long an answer of Supabase is good for: readiness is asked by anyone, and often."""


class Health(msgspec.Struct, frozen=True):
    status: str


class Jobs(Protocol):
    """The background jobs of the process."""

    @property
    def down(self) -> tuple[str, ...]: ...


class Readiness:
    """Asks Supabase at most once a `PING_SECONDS`, however many ask."""

    def __init__(self, supabase: Supabase, clock: Callable[[], float] = time.monotonic) -> None:
        self._supabase = supabase
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._reachable = False

    async def reachable(self) -> bool:
        async with self._lock:
            if self._clock() - self._asked_at > PING_SECONDS:
                self._reachable = await self._supabase.ping()
                self._asked_at = self._clock()
        return self._reachable


def health_routes(supabase: Supabase, followers: Followers, jobs: Jobs) -> Router:
    readiness = Readiness(supabase)

    @get("/live", operation_id="live")
    async def alive() -> Health:
        """The process answers."""
        return Health("ok")

    @get("/ready", operation_id="ready", responses=not_ready())
    async def ready() -> Health:
        """The process takes requests: it is not draining, its background jobs run, and Supabase answers."""
        if followers.draining:
            raise Draining(retry_after=1)
        if jobs.down:
            raise Unavailable(f"Failed and about to be started again: {', '.join(jobs.down)}.", retry_after=1)
        if not await readiness.reachable():
            raise SupabaseUnavailable(retry_after=2)
        return Health("ok")

    return Router("/health", route_handlers=[alive, ready], tags=["health"])
