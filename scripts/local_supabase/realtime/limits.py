"""The limits of a project, and counters of messages per second."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

_BUCKETS = 12
_BUCKET_SECONDS = 5.0


@dataclass(frozen=True)
class Limits:
    """A paid project's limits, https://supabase.com/docs/guides/realtime/limits. Tests set their own."""

    connections: int = 10_000
    messages_per_second: float = 2_500
    joins_per_second: float = 2_500
    channels_per_connection: int = 100
    presence_messages_per_second: float = 1_000
    presence_calls: int = 5
    presence_window_seconds: float = 30
    payload_kilobytes: int = 3_000
    # the following are the same in every project
    frame_bytes: int = 5_000_000
    idle_seconds: float = 60
    confirm_token_seconds: float = 300
    # our own limit: a client that does not read is disconnected when this many frames wait for it
    waiting_frames: int = 5_000
    waiting_bytes: int = 32_000_000

    @property
    def payload_bytes(self) -> int:
        return self.payload_kilobytes * 1000 + 500


class Rate:
    """Events per second, averaged over the last minute in buckets of 5 s."""

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.limit = limit
        self._clock = clock
        self._buckets: deque[int] = deque([0], _BUCKETS)
        self._bucket_ends = clock() + _BUCKET_SECONDS

    def add(self, count: int = 1) -> None:
        self._turn()
        self._buckets[-1] += count

    @property
    def average(self) -> float:
        self._turn()
        return sum(self._buckets) / (len(self._buckets) * _BUCKET_SECONDS)

    @property
    def exceeded(self) -> bool:
        return self.average > self.limit

    def _turn(self) -> None:
        late = self._clock() - self._bucket_ends
        if late >= 0:
            passed = int(late / _BUCKET_SECONDS) + 1
            self._buckets.extend([0] * min(passed, _BUCKETS))
            self._bucket_ends += passed * _BUCKET_SECONDS


class Window:
    """At most `calls` in `seconds`, counted from the first."""

    def __init__(self, calls: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._calls = calls
        self._seconds = seconds
        self._clock = clock
        self._count = 0
        self._ends = 0.0

    def admit(self) -> bool:
        """Count one call; False when there are too many."""
        if self._clock() >= self._ends:
            self._count = 0
            self._ends = self._clock() + self._seconds
        self._count += 1
        return self._count <= self._calls
