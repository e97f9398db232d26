"""Floods at the front door of a whole service: what they send goes nowhere, its memory stays, and others are served."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.support.cluster import Cluster
from tests.support.raw_http import Line, line
from tests.support.replica_client import Client
from tests.support.service import Api

MiB = 1_048_576
CONNECTIONS = 120
EACH_BYTES = MiB // 4
MOST_GROWTH = 100 * MiB
GET = b"GET /health/live HTTP/1.1\r\nHost: test\r\n"
CHUNKED = b"POST /v1/search HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
PATIENCE_SECONDS = 5.0
"""For what takes milliseconds: the machine may be busy."""


@pytest.fixture
async def replica(own: Cluster) -> Api:
    return await own.replica()


@pytest.fixture
async def owner(own: Cluster) -> Client:
    return await own.client()


def port_of(api: Api) -> int:
    port = urlsplit(api.url).port
    assert port is not None
    return port


async def pour(connection: Line, begin: bytes, piece: bytes) -> None:
    with suppress(ConnectionError):
        await connection.send(begin)
        if piece:
            await connection.flood(piece, most=EACH_BYTES)


FLOODS: dict[str, tuple[bytes, bytes, int | None]] = {
    "a header without end": (GET + b"X-Long: ", b"a" * 16_384, 431),
    "tiny header fields": (GET, b"a:\r\n" * 4096, 431),
    "a request line without end": (b"GET /", b"a" * 16_384, 414),
    "a body that nobody wants": (CHUNKED, b"4000\r\n" + b"a" * 16_384 + b"\r\n", 401),
    "not HTTP": (b"\x16\x03\x01", b"\x00" * 16_384, 400),
    "requests that nobody waits for": (b"", (GET + b"\r\n") * 300, None),
    "silence": (b"", b"", None),
    "half a head": (GET, b"", None),
}
"""What each connection begins with and goes on with, and how the last of them is answered where it is."""


@pytest.mark.parametrize("flood", FLOODS)
async def test_flood(replica: Api, owner: Client, flood: str) -> None:
    begin, piece, status = FLOODS[flood]
    conversation = await owner.new_conversation(replica)
    await owner.post(replica, conversation, {"tokens": 3})
    process = psutil.Process(replica.process.pid)
    before = process.memory_info().rss
    async with AsyncExitStack() as connections:
        lines = [await connections.enter_async_context(line(port_of(replica))) for _ in range(CONNECTIONS)]
        pouring = [asyncio.create_task(pour(one, begin, piece)) for one in lines if begin or piece]
        late = [await served(replica, owner, conversation) for _ in range(5)]
        for task in pouring:
            await task
        if status is not None:
            # not the first, which has to give way where more than 100 wait
            assert (await lines[-1].answer()).status == status
        grown = process.memory_info().rss - before
    assert max(late) < PATIENCE_SECONDS
    assert grown < MOST_GROWTH


async def served(api: Api, client: Client, conversation: str) -> float:
    """Seconds for a look at the process and a message that is answered."""
    started = time.monotonic()
    async with httpx.AsyncClient() as anyone:
        assert (await anyone.get(f"{api.url}/health/live", timeout=PATIENCE_SECONDS)).status_code == 200
    begun = await client.post(api, conversation, {"tokens": 3})
    assert (await client.follow(api, begun["message"]["id"])).ending is not None
    return time.monotonic() - started
