"""Load: raw connections that send turns and read their streams to the end."""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, cast

FIRST_TOKEN = b"tok0 "
"""What the fake provider's first token is, in whatever frame a server sends it."""
SENT = re.compile(rb"@(\d+)@")
"""When a token was sent, in nanoseconds of this machine's monotonic clock."""
LAST_EVENTS = (b"event: done", b"[DONE]")
"""How a whole reply ends: Parley's, and everybody else's."""
PATIENCE_SECONDS = 120


class Request(NamedTuple):
    """What asks the server at `port` for a reply, one for each user."""

    port: int
    contents: Sequence[bytes]

    def of(self, index: int) -> bytes:
        """The request of the connection with this number."""
        return self.contents[index % len(self.contents)]


@dataclass
class Result:
    """The clients' measurements; times are in seconds."""

    first_token: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
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
        self.delays: list[float] | None = None
        """Where the seconds from the provider to here are put, for tokens that hold when they were sent."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle("connection lost")

    def data_received(self, data: bytes) -> None:
        if self.delays is not None:
            now = time.perf_counter_ns()
            self.delays += ((now - int(sent)) / 1e9 for sent in SENT.findall(data))
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

    async def work(index: int) -> None:
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(request.of(index)), "127.0.0.1", request.port
        )
        while time.perf_counter() - started < seconds:
            await client.turn(result)
        client.close()

    await asyncio.gather(*map(work, range(connections)))
    result.seconds = time.perf_counter() - started
    return result


async def arriving(request: Request, *, turns: int, per_second: float, timed: bool = False) -> Result:
    """`turns` turns at even intervals, each on its own connection. `timed`: the tokens hold when they were sent."""
    result = Result()
    started = time.perf_counter()

    async def work(index: int) -> None:
        await asyncio.sleep(max(0.0, started + index / per_second - time.perf_counter()))
        _, client = await asyncio.get_running_loop().create_connection(
            lambda: Client(request.of(index)), "127.0.0.1", request.port
        )
        if timed:
            client.delays = result.delays
        await client.turn(result)
        client.close()

    await asyncio.gather(*(work(index) for index in range(turns)))
    result.seconds = time.perf_counter() - started
    return result
