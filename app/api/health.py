"""`/health`: whether the process is alive, and whether it is ready for requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

from litestar import Router, get

from app.api.refusals import problems
from app.api.views import Health
from app.chat.live import Followers
from app.errors import AppError, Draining, Unavailable

CHECK_SECONDS = 1.0
"""How long what Supabase said is good for: readiness is asked by anyone, and often. Each check is two calls."""


class Checked(Protocol):
    """What readiness depends on outside of the process."""

    async def check(self) -> None: ...


class Jobs(Protocol):
    """The background jobs of the process."""

    @property
    def down(self) -> tuple[str, ...]: ...


class Readiness:
    """Has the project checked at most once a `CHECK_SECONDS`, however many ask, and not at all while nobody does."""

    def __init__(self, project: Checked, clock: Callable[[], float] = time.monotonic) -> None:
        self._project = project
        self._clock = clock
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")
        self._problem: AppError | None = None

    async def problem(self) -> AppError | None:
        """Why no request can be served, or None."""
        async with self._lock:
            if self._clock() - self._asked_at > CHECK_SECONDS:
                try:
                    await self._project.check()
                except AppError as error:
                    self._problem = error
                else:
                    self._problem = None
                self._asked_at = self._clock()
        return self._problem


def health_routes(project: Checked, followers: Followers, jobs: Jobs) -> Router:
    readiness = Readiness(project)

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
        """Ask whether the process is ready for requests.

        It is ready while it is not shutting down, its background jobs run, and Supabase answers and accepts its keys.
        Otherwise the problem's detail names the job, or the setting that is refused and what refuses it.
        """
        if followers.draining:
            raise Draining(retry_after=1)
        if jobs.down:
            raise Unavailable(
                f"Background jobs that failed and will be started again: {', '.join(jobs.down)}.", retry_after=1
            )
        if (problem := await readiness.problem()) is not None:
            raise problem
        return Health()

    return Router("/health", route_handlers=[alive, ready], tags=["health"])
