"""Load: raw connections that send turns and read their streams to the end."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import NamedTuple, cast

FIRST_TOKEN = b"tok0 "
"""What the fake provider's first token is, in whatever frame a server sends it."""
LAST_EVENTS = (b"event: done", b"[DONE]")
"""How a whole reply ends: Parley's, and everybody else's."""
PATIENCE_SECONDS = 120


class Request(NamedTuple):
    """What asks the server at `port` for a reply."""

    port: int
    content: bytes


@dataclass
class Result:
    """The clients' measurements; times are in seconds."""

    first_token: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def replies_per_second(self) -> float:
        return len(self.total) / self.seconds if self.seconds else 0.0

    def percentile(self, times: list[float], share: float) -> float:
        return sorted(times)[min(len(times) - 1, int(share * len(times)))] if times else float("nan")

    @property
    def first_token_median(self) -> float:
        return statistics.median(self.first_token) if self.first_token else float("nan")


class Client(asyncio.Protocol):
    """One connection, one turn at a time."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._transport: asyncio.Transport | None = None
        self._done: asyncio.Future[str] | None = None
        self._tail = b""
        self.first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle("connection lost")

    def data_received(self, data: bytes) -> None:
        seen = self._tail + data
        if not self.first and FIRST_TOKEN in seen:
            self.first = time.perf_counter()
        if seen.endswith(b"0\r\n\r\n"):
            self._settle("" if any(last in seen for last in LAST_EVENTS) else f"not whole: {seen[-200:]!r}")
        elif not self.first and b"HTTP/1.1 " in seen and b"HTTP/1.1 200" not in seen:
            self._settle(repr(seen[:200]))
        self._tail = seen[-400:]

    def _settle(self, failure: str) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(failure)

    async def turn(self, result: Result) -> None:
        assert self._transport is not None
        self._tail, self.first = b"", 0.0
        self._done = asyncio.get_running_loop().create_future()
        started = time.perf_counter()
        self._transport.write(self._request)
        failure = await asyncio.wait_for(self._done, PATIENCE_SECONDS)
        if failure:
            result.failed.append(failure)
        else:
            result.first_token.append(self.first - started)
            result.total.append(time.perf_counter() - started)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()


async def closed_loop(request: Request, *, connections: int, seconds: float) -> Result:
    """`connections` clients, each of which sends its next turn when the last one has ended."""
    result = Result()
    started = time.perf_counter()

    async def work() -> None:
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(request.content), "127.0.0.1", request.port
        )
        while time.perf_counter() - started < seconds:
            await client.turn(result)
        client.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    result.seconds = time.perf_counter() - started
    return result


async def arriving(request: Request, *, turns: int, per_second: float) -> Result:
    """`turns` turns at even intervals, each on its own connection."""
    result = Result()
    started = time.perf_counter()

    async def work(index: int) -> None:
        await asyncio.sleep(max(0.0, started + index / per_second - time.perf_counter()))
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(request.content), "127.0.0.1", request.port
        )
        await client.turn(result)
        client.close()

    await asyncio.gather(*(work(index) for index in range(turns)))
    result.seconds = time.perf_counter() - started
    return result
