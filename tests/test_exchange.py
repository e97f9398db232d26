"""Exchanges: answers as servers send them, in any pieces, and what becomes of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import aiohttp
import pytest
from yarl import URL

from app.exchange import MOST_HEAD, MOST_WAITING, Address, exchanging, lines

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


class Server:
    """Answers each request with the pieces of `answers`, by the request's body; each piece waits for a step."""

    def __init__(self) -> None:
        self.answers: dict[bytes, tuple[bytes, ...]] = {}
        self.closes: set[bytes] = set()
        self.requests: list[bytes] = []
        self.connections = 0
        self.left = asyncio.Event()
        self.url = URL()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(length)
                self.requests.append(head + body)
                for piece in self.answers[body]:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if body in self.closes:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.left.set()
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncGenerator[Server]:
    server = Server()
    async with await asyncio.start_server(server.answer, "127.0.0.1", 0) as listening:
        server.url = URL(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/path?query=1")
        yield server


@pytest.fixture
async def session() -> AsyncGenerator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield exchanging(session)


@pytest.fixture
async def address(server: Server, session: aiohttp.ClientSession) -> Address:
    return Address(session, server.url, {"X-Common": "yes"})


async def body_of(address: Address, content: bytes) -> bytes:
    return await (await address.post(content)).whole()


async def test_what_is_sent(server: Server, address: Address) -> None:
    server.answers[b"ask"] = (OK + b"Content-Length: 2\r\n\r\nhi",)
    exchange = await address.post(b"ask", lines({"X-Own": "this one"}))
    assert (exchange.status, await exchange.whole()) == (200, b"hi")
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    first, *fields = head.split(b"\r\n")
    assert (first, body) == (b"POST /path?query=1 HTTP/1.1", b"ask")
    assert {b"X-Common: yes", b"X-Own: this one", b"Content-Length: 3"} <= set(fields)
    assert f"Host: 127.0.0.1:{server.url.port}".encode() in fields


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize(
    "answer",
    [
        CHUNKED + b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n",
        CHUNKED + b"5  \r\nhello\r\n7;why=not\r\n, world\r\n0\r\nTrailer: yes\r\n\r\n",
        OK.replace(b"\r", b"") + b"content-length: 12\n\nhello, world",
        b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + OK + b"Content-Length: 12\r\n\r\nhello, world",
    ],
    ids=["chunks", "odd chunks", "bare line feeds", "after an interim answer"],
)
async def test_an_answer_in_any_pieces(server: Server, address: Address, answer: bytes, size: int) -> None:
    server.answers[b""] = tuple(answer[start : start + size] for start in range(0, len(answer), size))
    for _ in range(2):
        assert await body_of(address, b"") == b"hello, world"
    assert server.connections == 1  # it is used again


async def test_a_body_without_a_length_ends_with_its_connection(server: Server, address: Address) -> None:
    server.answers[b""] = (OK + b"\r\n", b"hello, ", b"world")
    server.closes.add(b"")
    assert await body_of(address, b"") == b"hello, world"
    assert await body_of(address, b"") == b"hello, world"
    assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", aiohttp.ServerDisconnectedError),
        (OK, aiohttp.ServerDisconnectedError),
        (OK + b"Content-Length: 20\r\n\r\nhello", aiohttp.ClientPayloadError),
        (CHUNKED + b"5\r\nhello\r\n", aiohttp.ClientPayloadError),
        (CHUNKED + b"hello", aiohttp.ClientPayloadError),
        (b"SSH-2.0-OpenSSH_9.9\r\n", aiohttp.ClientPayloadError),
        (OK + b"X: " + bytes(MOST_HEAD).replace(b"\0", b"x"), aiohttp.ClientPayloadError),
    ],
    ids=["nothing", "half a head", "too short", "no last chunk", "no chunk", "not HTTP", "an endless head"],
)
async def test_an_answer_that_breaks_off(
    server: Server, address: Address, session: aiohttp.ClientSession, answer: bytes, error: type[Exception]
) -> None:
    server.answers[b""] = (answer,)
    server.closes.add(b"")
    with pytest.raises(error):
        await body_of(address, b"")
    assert not session.connector._acquired  # type: ignore[union-attr]
    server.answers[b"next"] = (OK + b"Content-Length: 2\r\n\r\nhi",)
    assert await body_of(address, b"next") == b"hi"


async def test_bytes_behind_an_answer_end_its_connection(server: Server, address: Address) -> None:
    server.answers[b""] = (OK + b"Content-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\n",)
    assert await body_of(address, b"") == b"hi"
    server.answers[b"next"] = (OK + b"Content-Length: 2\r\n\r\nho",)
    assert await body_of(address, b"next") == b"ho"
    assert server.connections == 2


async def test_what_is_not_read_holds_the_server_back(server: Server, address: Address) -> None:
    piece = b"%x\r\n%b\r\n" % (MOST_WAITING, bytes(MOST_WAITING))
    server.answers[b""] = (CHUNKED, *([piece] * 200), b"0\r\n\r\n")
    exchange = await address.post(b"")
    await _until(lambda: exchange._paused)
    assert sum(map(len, exchange._pieces)) < 20 * MOST_WAITING
    assert len(await exchange.whole()) == 200 * MOST_WAITING


async def test_a_listener_is_called_with_what_comes_and_with_the_end(server: Server, address: Address) -> None:
    server.answers[b""] = (CHUNKED, b"5\r\nhello\r\n", b"0\r\n\r\n")
    exchange = await address.post(b"")
    came: list[bytes] = [exchange.take()]
    over = asyncio.Event()

    def listen() -> None:
        came.append(exchange.take())
        if exchange.over:
            over.set()

    exchange.listener = listen
    if not exchange.over:
        await over.wait()
    assert b"".join(came) == b"hello"
    assert not exchange.failed


@pytest.mark.parametrize("seconds", [None, 0.0], ids=["close", "leave"])
async def test_an_answer_that_is_not_wanted_ends_with_its_connection(
    server: Server, address: Address, seconds: float | None
) -> None:
    server.answers[b""] = (CHUNKED, b"5\r\nhello\r\n")
    exchange = await address.post(b"")
    if seconds is None:
        exchange.close()
    else:
        await exchange.leave(seconds)
    await asyncio.wait_for(server.left.wait(), 30)


async def test_a_cancelled_wait_for_the_end_lets_the_answer_end_all_the_same(server: Server, address: Address) -> None:
    server.answers[b""] = (CHUNKED, b"5\r\nhello\r\n")
    exchange = await address.post(b"")
    leaving = asyncio.create_task(exchange.leave(0.05))
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait({leaving})
    await asyncio.wait_for(server.left.wait(), 30)


async def test_an_answer_that_ends_in_time_leaves_its_connection(server: Server, address: Address) -> None:
    server.answers[b""] = (CHUNKED + b"5\r\nhello\r\n", b"0\r\n\r\n")
    exchange = await address.post(b"")
    await exchange.leave(30)
    assert await body_of(address, b"") == b"hello"
    assert server.connections == 1


async def test_a_cancelled_wait_for_the_head_ends_the_connection(server: Server, address: Address) -> None:
    server.answers[b""] = ()
    asking = asyncio.create_task(address.post(b""))
    await _until(lambda: bool(server.requests))
    asking.cancel()
    await asyncio.wait({asking})
    await asyncio.wait_for(server.left.wait(), 30)


async def test_a_server_that_is_not_there(session: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.ClientConnectorError):
        await Address(session, URL("http://127.0.0.1:1/"), {}).post(b"")


def test_fields_hold_no_ends_of_lines() -> None:
    with pytest.raises(ValueError, match="end of a line"):
        lines({"Authorization": "Bearer x\r\nX-Other: y"})


async def test_aiohttp_itself_uses_the_same_connections(
    server: Server, session: aiohttp.ClientSession, address: Address
) -> None:
    server.answers[b"ask"] = (OK + b"Content-Length: 2\r\n\r\nhi",)
    for _ in range(2):
        assert await body_of(address, b"ask") == b"hi"
        async with session.post(server.url, data=b"ask") as response:
            assert await response.read() == b"hi"
    assert server.connections == 1


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing says when
            await asyncio.sleep(0.001)
