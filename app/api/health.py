"""`/health`: whether the process lives, and whether it should be sent requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from litestar import Router, get

from app.api.refusals import problems
from app.api.views import Health
from app.chat.live import Followers
from app.errors import Draining, SupabaseUnavailable, Unavailable
from app.store.client import Supabase

PING_SECONDS = 1.0
"""How long an answer of Supabase is good for: readiness is asked by anyone, and often."""


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

    @get("/live", operation_id="live", response_description="It does.", responses=problems(users=False))
    async def alive() -> Health:
        """Ask whether the process answers."""
        return Health()

    @get(
        "/ready",
        operation_id="ready",
        response_description="It is.",
        responses=problems("supabase_unavailable", "draining", users=False, also={503: "internal_error"}),
    )
    async def ready() -> Health:
        """Ask whether the process should be sent requests.

        It should while it is not about to end, its background jobs run, and Supabase answers.
        """
        if followers.draining:
            raise Draining(retry_after=1)
        if jobs.down:
            raise Unavailable(f"Failed and about to be started again: {', '.join(jobs.down)}.", retry_after=1)
        if not await readiness.reachable():
            raise SupabaseUnavailable(retry_after=2)
        return Health()

    return Router("/health", route_handlers=[alive, ready], tags=["health"])
