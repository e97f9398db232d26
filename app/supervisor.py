"""Supervision of the process's parts: restarts background jobs that have died, and closes everything in time.

A job that has died is logged, and readiness fails until it runs again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from app import observe

Job = Callable[[], Awaitable[object]]

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a job that died is started again. The pause doubles each time, until a run lasts `STEADY_SECONDS`."""
STEADY_SECONDS = 60.0
LEAST_SECONDS = 0.05
"""The time that each part has to close, even when the parts before it have used up the common time."""


class Supervisor:
    """Keeps jobs running. A job that ends is started again, so it must be safe to restart."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._down: set[str] = set()

    @property
    def down(self) -> tuple[str, ...]:
        """The names of the jobs that have died and are not running again yet."""
        return tuple(sorted(self._down))

    def keep(self, name: str, job: Job) -> None:
        """Run `job`, which must not return. It counts as `down` while it waits to be started again."""
        self._start(name, job, forever=True)

    def once(self, name: str, job: Job) -> asyncio.Task[None]:
        """Run `job` until it has returned once. The process serves meanwhile."""
        return self._start(name, job, forever=False)

    async def aclose(self) -> None:
        """Cancel every job, and wait until it has ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, name: str, job: Job, *, forever: bool) -> asyncio.Task[None]:
        task = asyncio.create_task(self._run(name, job, forever=forever))
        self._tasks.add(task)
        return task

    async def _run(self, name: str, job: Job, *, forever: bool) -> None:
        time = asyncio.get_running_loop().time
        pause = FIRST_PAUSE
        while True:
            started = time()
            try:
                await job()
                if not forever:
                    return
                observe.event("task.failed", task=name, error="returned")
            except Exception as error:
                observe.unforeseen("task.failed", error, task=name)
            except asyncio.CancelledError as error:
                if _told_to_end():
                    raise
                observe.unforeseen("task.failed", error, task=name)
            if time() - started > STEADY_SECONDS:
                pause = FIRST_PAUSE
            if forever:
                self._down.add(name)
            await asyncio.sleep(pause)
            self._down.discard(name)
            pause = min(2 * pause, LONGEST_PAUSE)


def _told_to_end() -> bool:
    """Whether this task itself was cancelled, not only something that it awaited."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Closing:
    """Closes the parts of the process, within `seconds` for all together. A part that fails to close is logged, and the
    others are still closed."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until: float | None = None

    async def close(self, name: str, close: Job) -> None:
        """Await `close()` for the rest of the time."""
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._seconds
        closing = asyncio.ensure_future(close())
        await asyncio.wait((closing,), timeout=max(self._until - now, LEAST_SECONDS))
        if not closing.done():
            closing.cancel()
            observe.event("service.unclosed", part=name)
        elif not closing.cancelled() and (error := closing.exception()) is not None:
            observe.unforeseen("service.unclosed", error, part=name)
