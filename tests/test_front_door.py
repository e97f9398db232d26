"""The front door: what is refused before the parser has it, with which answer, and that nobody else notices.

The server is uvicorn as the service uses it, with a small application behind it and limits that are quickly met.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import uvicorn
from litestar.types import Receive, Scope, Send

from app.front_door import DESCRIPTORS_KEPT, Connection, FrontDoor, Limits, limits_of_this_machine
from scripts.local_supabase.processes import free_port
from tests.support.raw_http import Answer, exchange, line
from tests.support.replica_client import eventually

GET = b"GET /read HTTP/1.1\r\nhost: a\r\n"
POST = b"POST /read HTTP/1.1\r\nhost: a\r\n"
SMALL = Limits(
    head_bytes=2048,
    head_fields=20,
    head_seconds=0.5,
    body_seconds=0.5,
    body_bytes_per_second=100_000,
    unread_seconds=0.5,
    unread_bytes=100_000,
    pipelined=4,
    linger_seconds=5,
)
PATIENT = Limits()


@dataclass
class Seen:
    """What came through the door."""

    port: int
    door: FrontDoor
    server: uvicorn.Server
    requests: list[str] = field(default_factory=list)
    bodies: list[int] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/read` reads the body and says how long it is, `/unread` does not, `/gate` reads it once the gate is open,
        `/stream` never ends."""
        if scope["type"] != "http":
            raise RuntimeError("no lifespan here")  # uvicorn goes on without
        path = scope["path"]
        self.requests.append(path)
        size = 0
        if path == "/gate":
            await self.gate.wait()
        while path in ("/read", "/gate"):
            message: Any = await receive()
            if message["type"] == "http.disconnect":
                self.cut.append(str(scope.get("parley.refusal")))
                return
            size += len(message["body"])
            if not message["more_body"]:
                break
        self.bodies.append(size)
        body = b"%d" % size
        length = [] if path == "/stream" else [(b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        if path == "/stream":
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
            await self.gate.wait()
        await send({"type": "http.response.body", "body": body, "more_body": False})


@asynccontextmanager
async def serving(limits: Limits) -> AsyncGenerator[Seen]:
    door = FrontDoor(limits)
    port = free_port()
    seen = Seen(port, door, uvicorn.Server(uvicorn.Config(nobody, lifespan="off")))
    config = uvicorn.Config(
        seen.answer,
        port=port,
        interface="asgi3",
        http=partial(Connection, door=door),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    seen.server = server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(server.serve())
    try:
        await eventually(lambda: server.started, within=15)
        yield seen
    finally:
        seen.gate.set()
        server.should_exit = True
        await running


async def nobody(scope: Scope, receive: Receive, send: Send) -> None: ...


@pytest.fixture(scope="module")
async def small() -> AsyncGenerator[Seen]:
    async with serving(SMALL) as seen:
        yield seen


@pytest.fixture
async def server(small: Seen) -> Seen:
    for noted in (small.requests, small.bodies, small.cut):
        noted.clear()
    small.gate.clear()
    return small


def fields(count: int, size: int = 1) -> bytes:
    return b"".join(b"x-%04d: %s\r\n" % (number, b"v" * size) for number in range(count))


def refused(answer: Answer, status: int) -> str:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.headers["connection"] == "close"
    problem = answer.json
    assert (problem["status"], problem["request_id"]) == (status, answer.headers["x-request-id"])
    detail: str = problem["detail"]
    return detail


async def eventually_none(seen: Seen) -> None:
    """All connections are gone."""
    await eventually(lambda: not seen.server.server_state.connections, within=15)


# ── the head ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_head_in_any_pieces_is_taken(server: Seen) -> None:
    request = POST + fields(10, 20) + b"content-length: 5\r\n\r\n" + b"hello"
    for size in (1, 7, len(request)):
        pieces = [request[start : start + size] for start in range(0, len(request), size)]
        assert (await exchange(server.port, *pieces)).body == b"5"


@pytest.mark.parametrize("size", [1, 100, 4096, 100_000])
async def test_a_header_without_end(server: Seen, size: int) -> None:
    async with line(server.port) as connection:
        await connection.send(GET + b"x: ")
        await connection.flood(b"a" * size, most=max(10_000, 10 * size))
        assert "at most 2048 bytes in 20 fields" in refused(await connection.answer(), 431)
        assert await connection.ended() == b""
    assert server.requests == []


async def test_header_fields_without_end(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(GET)
        await connection.flood(b"a:\r\n" * 100, most=1_000_000)
        refused(await connection.answer(), 431)
    assert server.requests == []


async def test_too_many_header_fields(server: Seen) -> None:
    assert (await exchange(server.port, GET + fields(19) + b"\r\n")).status == 200
    refused(await exchange(server.port, GET + fields(20) + b"\r\n"), 431)
    assert server.requests == ["/read"]


async def test_a_head_of_just_the_size(server: Seen) -> None:
    request = GET + b"x: %s\r\n\r\n"
    fits = request % (b"a" * (2048 - len(request) + 2))
    assert len(fits) == 2048
    assert (await exchange(server.port, fits)).status == 200
    refused(await exchange(server.port, request % (b"a" * 2049)), 431)


async def test_a_request_line_without_end(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(b"GET /")
        await connection.flood(b"a" * 1000, most=1_000_000)
        refused(await connection.answer(), 414)


async def test_the_next_head_of_a_connection_has_the_same_limits(server: Seen) -> None:
    whole = POST + b"content-length: 5\r\n\r\nhello"
    for first in (whole, whole + GET):
        async with line(server.port) as connection:
            await connection.send(first)
            assert (await connection.answer()).body == b"5"
            await connection.send((b"" if first.endswith(GET) else GET) + fields(10, 300) + b"\r\n")
            refused(await connection.answer(), 431)


async def test_a_head_behind_another_request_is_measured_too(server: Seen) -> None:
    """In one piece with the end of the one before, of which it is not known where it ends."""
    large = GET + fields(15, 150) + b"\r\n"
    assert 2048 < len(large) < 3000
    async with line(server.port) as connection:
        await connection.send(POST + b"content-length: 1000\r\n\r\n" + b"a" * 900)
        await asyncio.sleep(0)
        await connection.send(b"a" * 100 + large)
        answers = await connection.ended()
    assert answers.count(b"HTTP/1.1") <= 2
    assert server.requests == ["/read"]


async def test_many_requests_on_a_connection(server: Seen) -> None:
    async with line(server.port) as connection:
        for number in range(30):
            await connection.send(POST + b"content-length: %d\r\n\r\n" % number + b"a" * number)
            assert (await connection.answer()).body == b"%d" % number


async def test_requests_that_come_at_once_are_answered_in_order(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(
            b"".join(POST + b"content-length: %d\r\n\r\n" % number + b"a" * number for number in range(4))
        )
        assert [(await connection.answer()).body for _ in range(4)] == [b"0", b"1", b"2", b"3"]


async def test_requests_that_wait_on_a_connection_are_limited(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n" + (GET + b"\r\n") * 100)
        await connection.ended()
    await eventually_none(server)
    assert len(server.requests) <= 1


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\na header\r\n\r\n", b"\x16\x03\x01\x02\x00"])
async def test_what_is_not_http(server: Seen, sent: bytes) -> None:
    refused(await exchange(server.port, sent), 400)
    assert server.requests == []


async def test_an_answer_that_is_under_way_is_not_written_into(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(b"GET /stream HTTP/1.1\r\nhost: a\r\n\r\n")
        await asyncio.sleep(0.05)
        await connection.send(b"nonsense\r\n\r\n")
        rest = await connection.ended()
    assert rest.count(b"HTTP/1.1") == 1
    assert b" 400 " not in rest


async def test_upgrades_are_ignored_without_a_word(server: Seen, caplog: pytest.LogCaptureFixture) -> None:
    upgrade = GET + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"
    with caplog.at_level(logging.WARNING):
        assert (await exchange(server.port, upgrade)).status == 200
    assert caplog.records == []


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("sent", [b"G", GET, GET + b"x: y", b"\r\n"])
async def test_a_head_that_does_not_come(server: Seen, sent: bytes) -> None:
    async with line(server.port) as connection:
        await connection.send(sent)
        assert "0.5 s" in refused(await connection.answer(), 408)
        assert await connection.ended() == b""


async def test_a_head_that_comes_drop_by_drop(server: Seen) -> None:
    async def drops() -> None:
        while True:
            await connection.send(b"a: b\r\n")
            await asyncio.sleep(0.1)

    async with line(server.port) as connection:
        await connection.send(GET)
        dripping = asyncio.create_task(drops())
        refused(await connection.answer(), 408)
        dripping.cancel()
        await asyncio.gather(dripping, return_exceptions=True)


async def test_a_next_head_that_does_not_come(server: Seen) -> None:
    for half in (b"GET /", b"\r\n"):
        async with line(server.port) as connection:
            await connection.send(GET + b"\r\n")
            assert (await connection.answer()).status == 200
            await connection.send(half)
            refused(await connection.answer(), 408)


async def test_a_connection_that_says_nothing_is_closed_without_a_word(server: Seen) -> None:
    async with line(server.port) as connection:
        assert await connection.ended() == b""


async def test_a_body_that_does_not_come(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(POST + b"content-length: 1000\r\n\r\nabc")
        assert "100000 bytes/s" in refused(await connection.answer(), 408)
    await eventually_none(server)
    assert len(server.cut) == 1
    assert server.cut[0].startswith("The body comes too slowly")


async def test_a_body_has_time_by_its_length(server: Seen) -> None:
    """Longer than the first patience, at a pace that is fast enough."""
    async with line(server.port) as connection:
        await connection.send(POST + b"content-length: 4000000\r\n\r\n")
        for _ in range(20):
            await connection.send(b"a" * 200_000)
            await asyncio.sleep(0.05)
        assert (await connection.answer()).body == b"4000000"


async def test_a_client_is_not_late_while_nobody_reads(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(b"POST /gate HTTP/1.1\r\nhost: a\r\ncontent-length: 8000000\r\n\r\n")
        sending = asyncio.create_task(connection.send(b"a" * 8_000_000))
        await asyncio.sleep(1.2)
        server.gate.set()
        await sending
        assert (await connection.answer()).body == b"8000000"


async def test_a_request_has_the_time_that_its_answer_takes(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(b"POST /gate HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\na")
        await asyncio.sleep(1.2)
        server.gate.set()
        assert (await connection.answer()).status == 200


# ── bodies ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_connection_that_ends_inside_a_body(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(POST + b"content-length: 1000\r\n\r\nabc")
        connection.end()
        refused(await connection.answer(), 400)


async def test_a_connection_that_ends_inside_a_head(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(GET)
        connection.end()
        refused(await connection.answer(), 400)


@pytest.mark.parametrize("endless", [b"x-t: " + b"a" * 990 + b"\r\n", b"a:\r\n" * 100])
async def test_fields_behind_a_body_without_end(server: Seen, endless: bytes) -> None:
    async with line(server.port) as connection:
        await connection.send(POST + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n")
        await connection.flood(endless, most=1_000_000)
        refused(await connection.answer(), 431)


async def test_a_chunk_that_never_begins(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(POST + b"transfer-encoding: chunked\r\n\r\n3;x=")
        await connection.flood(b"a" * 1000, most=1_000_000)
        refused(await connection.answer(), 431)


async def test_small_chunks_are_a_body(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(POST + b"transfer-encoding: chunked\r\n\r\n")
        await connection.send(b"1\r\na\r\n" * 5000 + b"0\r\n\r\n")
        assert (await connection.answer()).body == b"5000"


async def test_a_body_that_nobody_wants_may_be_sent_to_its_end(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(b"POST /unread HTTP/1.1\r\nhost: a\r\ncontent-length: 90000\r\n\r\n" + b"a" * 90_000)
        assert (await connection.answer()).status == 200
        await connection.send(GET + b"\r\n")
        assert (await connection.answer()).status == 200


async def test_a_body_that_nobody_wants_has_an_end(server: Seen) -> None:
    head = b"POST /unread HTTP/1.1\r\nhost: a\r\ncontent-length: 900000000\r\n\r\n"
    async with line(server.port) as connection:
        await connection.send(head)
        assert (await connection.answer()).status == 200
        assert await connection.flood(b"a" * 50_000, most=100_000_000) < 100_000_000
    async with line(server.port) as connection:
        await connection.send(head)
        assert (await connection.answer()).status == 200
        for _ in range(3):
            await asyncio.sleep(0.1)
            await connection.send(b"a")
        assert await connection.ended() == b""


async def test_client_that_waits_for_100_continue(server: Seen) -> None:
    async with line(server.port) as connection:
        await connection.send(POST + b"expect: 100-continue\r\ncontent-length: 3\r\n\r\n")
        assert (await connection.answer()).status == 100
        await connection.send(b"abc")
        assert (await connection.answer()).body == b"3"


# ── connections ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_whoever_waits_longest_gives_way() -> None:
    """One address is everybody here: a flood displaces itself, and who sends a request is served."""
    limits = Limits(waiting_of_address=5, waiting_seconds=0)
    async with serving(limits) as seen:
        held = [await asyncio.open_connection("127.0.0.1", seen.port) for _ in range(5)]
        for _, writer in held:
            writer.write(b"GET / HTTP/1.1\r\n")
        await asyncio.sleep(0.2)
        for _ in range(3):
            assert (await exchange(seen.port, GET + b"\r\n")).status == 200
        displaced = await held[0][0].readuntil(b"\r\n\r\n")
        assert displaced.startswith(b"HTTP/1.1 408 ")
        assert len(seen.door) <= 5
        for _, writer in held:
            writer.transport.abort()
        await eventually_none(seen)
        assert len(seen.door) == 0


async def test_those_who_came_just_now_do_not_give_way() -> None:
    async with serving(Limits(waiting_of_address=5, waiting=10, waiting_seconds=30)) as seen:
        held = [await asyncio.open_connection("127.0.0.1", seen.port) for _ in range(20)]
        await asyncio.sleep(0.1)
        for reader, writer in held:
            writer.write(GET + b"\r\n")
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
            writer.transport.abort()


async def test_a_full_process_says_so() -> None:
    async with serving(Limits(connections=3, waiting_seconds=30)) as seen:
        held = [await asyncio.open_connection("127.0.0.1", seen.port) for _ in range(3)]
        await asyncio.sleep(0.1)
        answer = await exchange(seen.port, GET + b"\r\n")
        refused(answer, 503)
        assert answer.headers["retry-after"] == "5"
        held.pop()[1].transport.abort()
        for _, writer in held:
            writer.transport.abort()


async def test_a_full_process_closes_those_who_wait() -> None:
    async with serving(Limits(connections=3, waiting_seconds=0)) as seen:
        held = [await asyncio.open_connection("127.0.0.1", seen.port) for _ in range(3)]
        await asyncio.sleep(0.1)
        assert (await exchange(seen.port, GET + b"\r\n")).status == 200
        assert await held[0][0].read() == b""
        for _, writer in held:
            writer.transport.abort()


def test_file_descriptors_are_left_for_the_rest_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    for files, connections in ((1024, 1024 - DESCRIPTORS_KEPT), (1_000_000, 8000), (resource.RLIM_INFINITY, 8000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, files=files: (files, files))
        assert limits_of_this_machine().connections == connections


async def test_refusals_are_logged_now_and_then(default_log: None) -> None:
    import structlog

    with structlog.testing.capture_logs() as lines:
        async with serving(SMALL) as seen:
            for _ in range(20):
                await exchange(seen.port, b"nonsense\r\n\r\n")
    logged = [entry for entry in lines if entry["event"] == "connection.refused"]
    assert 1 <= len(logged) < 10
    assert (logged[0]["status"], logged[0]["address"], logged[0]["refused"]) == (400, "127.0.0.1", 1)
