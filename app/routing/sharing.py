"""Shared breakers: one state for all replicas, in pybreaker's Redis storage.

That storage is synchronous, so it is used in one thread only. The event loop works on each breaker's copy in memory,
which is at most about a second old. While Redis does not answer, every replica uses its own state.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import pybreaker
import redis

from app.observe import event, unforeseen
from app.routing.breaker import OPEN_SECONDS, Breaker
from app.values import ProviderName

Key = tuple[ProviderName, str]
State = tuple[str, datetime | None]

T = TypeVar("T")

REFRESH_SECONDS = 1.0
REDIS_TIMEOUT_SECONDS = 0.5
TRIAL_SECONDS = int(OPEN_SECONDS)
"""How long a replica's claim to the trial lasts. If the replica dies, the claim is gone before the next half-open."""


class RedisSharing:
    """Copies breaker states to and from Redis."""

    def __init__(
        self,
        client: redis.Redis,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`clock` is the clock of the breakers. `wall` returns seconds since 1970, for times that replicas exchange."""
        self._redis = client
        self._clock = clock
        self._wall = wall
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="breakers")
        self._storages: dict[Key, pybreaker.CircuitRedisStorage] = {}
        self._changed: dict[Key, Breaker] = {}
        self._given_back: set[Key] = set()
        self._adopting = False
        self._exchange: asyncio.Task[None] | None = None
        self._exchanged_at = -REFRESH_SECONDS
        self._breakers: Mapping[Key, Breaker] = {}

    @classmethod
    def connect(cls, url: str) -> RedisSharing:
        return cls(
            redis.Redis.from_url(
                url, socket_timeout=REDIS_TIMEOUT_SECONDS, socket_connect_timeout=REDIS_TIMEOUT_SECONDS
            )
        )

    def changed(self, breaker: Breaker) -> None:
        """Share the new state in the background."""
        if not self._adopting:
            self._changed[breaker.key] = breaker
            self._start()

    def refresh(self, breakers: Mapping[Key, Breaker]) -> None:
        """Fetch the shared states if the copies are older than `REFRESH_SECONDS`. Returns at once."""
        self._breakers = breakers
        if self._clock() - self._exchanged_at >= REFRESH_SECONDS:
            self._start()

    async def claim(self, breaker: Breaker) -> bool:
        """Claim the one trial of this breaker. True also while Redis does not answer."""
        name = _trial(breaker.key)
        try:
            return bool(await self._in_thread(lambda: self._redis.set(name, 1, nx=True, ex=TRIAL_SECONDS)))
        except redis.RedisError:
            return True

    def give_back(self, breaker: Breaker) -> None:
        """Let any replica claim the trial."""
        self._given_back.add(breaker.key)
        self._start()

    async def settle(self) -> None:
        """Wait until all changes so far have been exchanged."""
        while self._exchange is not None:
            await self._exchange

    async def aclose(self) -> None:
        await self.settle()
        await self._in_thread(self._redis.close)
        self._thread.shutdown(wait=False)

    def _start(self) -> None:
        if self._exchange is None:
            self._exchange = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        try:
            while True:
                self._exchanged_at = self._clock()
                changed, self._changed = self._changed, {}
                freed, self._given_back = self._given_back, set()
                ours = {key: self._state(breaker) for key, breaker in changed.items()}
                asked = [key for key in self._breakers if key not in ours]
                try:
                    self._adopt(await self._in_thread(partial(self._swap, ours, freed, asked)))
                except redis.RedisError as error:
                    event("breaker.sharing_failed", error=type(error).__name__)
                    self._changed = changed | self._changed
                    self._given_back |= freed
                    return
                except Exception as error:  # the replica keeps its own states
                    unforeseen("breaker.sharing_failed", error)
                    return
                if not self._changed and not self._given_back:
                    return
        finally:
            self._exchange = None

    def _state(self, breaker: Breaker) -> State:
        if breaker.state == pybreaker.STATE_CLOSED:
            return breaker.state, None
        opened = self._wall() - (self._clock() - breaker.opened_at)
        # the storage drops the fraction, so round up: no replica may try again too early
        return pybreaker.STATE_OPEN, datetime.fromtimestamp(math.ceil(opened), UTC)

    def _swap(self, ours: Mapping[Key, State], freed: Iterable[Key], asked: Iterable[Key]) -> dict[Key, State]:
        # pybreaker's storage hides failures of Redis and reports the circuit as closed, so check Redis first
        self._redis.ping()
        for key in freed:
            self._redis.delete(_trial(key))
        for key, (state, opened_at) in ours.items():
            storage = self._storage(key)
            if opened_at is not None:
                storage.opened_at = opened_at
            storage.state = state
        storages = {key: self._storage(key) for key in asked}
        return {key: (storage.state, storage.opened_at) for key, storage in storages.items()}

    def _storage(self, key: Key) -> pybreaker.CircuitRedisStorage:
        storage = self._storages.get(key)
        if storage is None:
            storage = self._storages[key] = pybreaker.CircuitRedisStorage(
                pybreaker.STATE_CLOSED, self._redis, namespace=_namespace(key)
            )
        return storage

    def _adopt(self, theirs: Mapping[Key, State]) -> None:
        self._adopting = True
        try:
            for key, (state, opened_at) in theirs.items():
                breaker = self._breakers.get(key)
                if breaker is None or key in self._changed:
                    continue
                ago = None if opened_at is None else max(0.0, self._wall() - opened_at.timestamp())
                breaker.adopt(state, None if ago is None else self._clock() - ago)
        finally:
            self._adopting = False

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call)


def _trial(key: Key) -> str:
    return f"{_namespace(key)}:trial"


def _namespace(key: Key) -> str:
    provider, model = key
    return f"parley:{provider}:{model}"
