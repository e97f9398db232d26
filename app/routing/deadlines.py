"""Deadlines: how long a provider may be silent (before its first sign of life, before its first text, and inside the
text), and how long a whole reply may take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from app.providers.description import Patience, ProviderDescription
from app.providers.registry import PROVIDERS
from app.settings import Settings
from app.values import ProviderName


class Deadlines(msgspec.Struct, frozen=True):
    """Deadlines in seconds. The time to connect is limited by the adapters."""

    reply: float
    """For the whole reply, including failed calls to other candidates."""
    patience: Mapping[ProviderName, Patience]
    """How long each provider may be silent."""

    @classmethod
    def of(cls, settings: Settings) -> Deadlines:
        return cls(
            reply=settings.reply_timeout_seconds,
            patience={provider.name: _patience(provider, settings) for provider in PROVIDERS},
        )


def _patience(provider: ProviderDescription, settings: Settings) -> Patience:
    """The values of the settings, else the provider's own. The first token cannot come before the first sign."""
    own = provider.patience(settings.providers)
    sign, token = settings.first_sign_timeout_seconds, settings.first_token_timeout_seconds
    if token is None:
        token = max(own.first_token, sign or 0)
    return Patience(
        first_sign=min(own.first_sign if sign is None else sign, token),
        first_token=token,
        gap=own.gap if settings.token_gap_timeout_seconds is None else settings.token_gap_timeout_seconds,
    )


class Watchdog:
    """Cancels a read that takes too long. It needs one timer per call, however many tokens the call brings.

    The reader sets `since` to the loop's time before each read and to None after it, and then checks `over`. The time
    between two reads does not count against the provider. All reads of a call must run in the task that started the
    watchdog.
    """

    __slots__ = ("_cancels", "_loop", "_silence", "_task", "_timer", "end", "expired", "over", "since")

    def __init__(self, silence: float, end: float) -> None:
        """A read may take `silence` seconds. `end` is the deadline of the whole reply, in the loop's time."""
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._cancels = 0
        self._timer: asyncio.TimerHandle | None = None
        self._silence = silence
        self.end = end
        self.since: float | None = None
        self.over = False
        """No further read may begin: the last one was cancelled, or `end` passed between two reads."""
        self.expired = False
        """Whether this watchdog has cancelled the last read."""

    def start(self) -> None:
        """The first read is about to begin, in the current task."""
        self._task = asyncio.current_task()
        self._cancels = self._task.cancelling() if self._task else 0
        self.allow(self._silence)

    def allow(self, silence: float) -> None:
        """From now on a read may take `silence` seconds."""
        self.stop()
        self._silence = silence
        self._timer = self._loop.call_at(min(self._loop.time() + silence, self.end), self._check)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def heard_at(self) -> float:
        """When the provider last sent something, in the loop's time. Only valid once it has sent something."""
        return self._loop.time() if self.since is None else self.since

    def take_back(self) -> bool:
        """Undo this watchdog's cancellation of the task. False when there was none, or the task is also cancelled by
        somebody else."""
        return self.expired and self._task is not None and self._task.uncancel() <= self._cancels

    def _check(self) -> None:
        now = self._loop.time()
        reading = self.since
        due = min((now if reading is None else reading) + self._silence, self.end)
        if due > now:
            self._timer = self._loop.call_at(due, self._check)
            return
        self.over = True
        if reading is not None and self._task is not None:
            self.expired = True
            self._task.cancel()
