"""In charge of the time a provider may take: to its first token, between tokens, and for the whole reply."""

from __future__ import annotations

import asyncio

import msgspec

from app.settings import Settings


class Deadlines(msgspec.Struct, frozen=True):
    """Seconds. The time to connect is the adapters' affair."""

    first_token: float
    gap: float
    reply: float

    @classmethod
    def of(cls, settings: Settings) -> Deadlines:
        return cls(
            first_token=settings.first_token_timeout_seconds,
            gap=settings.token_gap_timeout_seconds,
            reply=settings.reply_timeout_seconds,
        )


class Watchdog:
    """Cancels a read that takes too long, with one timer a call however many tokens that call brings.

    Whoever reads sets `since` to the loop's time before each read and to None after it, and then looks at
    `over`. The time between two reads is the reader's own and is not held against the provider. All reads of a
    call belong to the task that started the watchdog.
    """

    __slots__ = ("_cancels", "_end", "_loop", "_silence", "_task", "_timer", "expired", "over", "since")

    def __init__(self, silence: float, end: float) -> None:
        """A read may take `silence` seconds; `end`, in the loop's time, is when everything is over."""
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._cancels = 0
        self._timer: asyncio.TimerHandle | None = None
        self._silence = silence
        self._end = end
        self.since: float | None = None
        self.over = False
        """No further read is worth it: the last one was cancelled, or the end came between two reads."""
        self.expired = False
        """The last read was cancelled by us."""

    def start(self) -> None:
        """The first read begins now, in the current task."""
        self._task = asyncio.current_task()
        self._cancels = self._task.cancelling() if self._task else 0
        self.since = self._loop.time()
        self.allow(self._silence)

    def allow(self, silence: float) -> None:
        """From now on a read may take `silence` seconds."""
        self.stop()
        self._silence = silence
        self._timer = self._loop.call_at(min(self._loop.time() + silence, self._end), self._check)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def take_back(self) -> bool:
        """Undo our own cancelling of the task. False when there was none, or somebody else cancels it as well."""
        return self.expired and self._task is not None and self._task.uncancel() <= self._cancels

    def _check(self) -> None:
        now = self._loop.time()
        reading = self.since
        due = min((now if reading is None else reading) + self._silence, self._end)
        if due > now:
            self._timer = self._loop.call_at(due, self._check)
            return
        self.over = True
        if reading is not None and self._task is not None:
            self.expired = True
            self._task.cancel()
