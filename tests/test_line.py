"""The line to a reader, on our server: what leaves together, and what does not wait for something else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

import pytest

from scripts.bench.servers import Contender, beside, parley
from tests.support.upstream import MODEL, Upstream


@pytest.fixture
async def upstream() -> AsyncGenerator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def server(upstream: Upstream) -> AsyncGenerator[Contender]:
    with beside() as ports:
        own = ports._replace(upstream=int(upstream.url.removesuffix("/v1").rpartition(":")[2]))
        with parley(own, model=MODEL) as server:
            yield server


async def until(reader: asyncio.StreamReader, end: bytes) -> bytes:
    seen = b""
    while not seen.endswith(end):
        piece = await reader.read(65_536)
        assert piece, seen
        seen += piece
    return seen


async def test_stream_on_one_connection(server: Contender, upstream: Upstream) -> None:
    """Two replies, one after the other, and a reader of the second that holds all there is when it comes."""
    upstream.script = {"tokens": 3, "stepped": True, "id": "it"}
    request = server.request(MODEL)
    sent = request.of(0)
    reader, writer = await asyncio.open_connection("127.0.0.1", request.port)
    writer.write(sent)
    (await upstream.call("it")).step(3)
    whole = await until(reader, b"0\r\n\r\n")
    assert whole.startswith(b"HTTP/1.1 200 OK\r\n")
    assert whole.count(b"event: message.started") == whole.count(b"event: done") == 1

    # the connection is used again
    upstream.calls.clear()
    writer.write(sent)
    call = await upstream.call("it")
    begun = await until(reader, b"\n\n\r\n")
    [message] = re.findall(rb'"message_id":"([0-9a-f-]+)"', begun)

    # a reader that holds all there is gets its head at once
    follower, following = await asyncio.open_connection("127.0.0.1", request.port)
    authorization = re.search(rb"Authorization: [^\r]+\r\n", sent)
    assert authorization is not None
    following.write(
        b"GET /v1/messages/%b/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 1\r\n%b\r\n" % (message, authorization[0])
    )
    head = await follower.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")

    call.step(3)
    for one in (reader, follower):
        rest = await until(one, b"0\r\n\r\n")
        assert b"tok0 " in rest
        assert rest.count(b"event: done") == 1
    for end in (writer, following):
        end.close()
        await end.wait_closed()
