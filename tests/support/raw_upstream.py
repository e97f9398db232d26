"""An HTTP server that sends exactly the bytes a test gives it, also malformed ones, which aimock cannot send.

    async def answer(exchange: Exchange) -> None:
        exchange.start()                      # 200, chunked
        exchange.send(b"data: {…}\\n\\n")     # one HTTP chunk, one write
        await exchange.gone.wait()            # until the client hangs up

    async with raw_upstream(answer) as upstream:
        ... upstream.url, upstream.exchanges[0].json ...

An answer that returns ends its response.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any


class Exchange:
    """One request and the answer to it."""

    def __init__(self, head: bytes, body: bytes, transport: asyncio.Transport) -> None:
        line, *fields = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = line.split(" ")
        self.headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        self.body = body
        self.gone = asyncio.Event()
        """Set when the connection is closed."""
        self._transport = transport
        self._chunked = False

    @property
    def json(self) -> Any:
        """The request's body."""
        return json.loads(self.body)

    def start(self, status: int = 200, content_type: str = "text/event-stream") -> None:
        """Send the head of an answer whose body follows in chunks."""
        self._chunked = True
        self._head(status, {"content-type": content_type, "transfer-encoding": "chunked"})

    def send(self, *chunks: bytes) -> None:
        """Send each as its own HTTP chunk and its own write; an empty one would end the answer."""
        for chunk in filter(None, chunks):
            self._transport.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))

    def reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole answer."""
        self._head(status, {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})})
        self._transport.write(body)

    def abort(self) -> None:
        """Cut the connection, in the middle of the answer as a rule."""
        self._chunked = False
        self._transport.abort()

    def finish(self) -> None:
        """End a chunked body."""
        if self._chunked:
            self._transport.write(b"0\r\n\r\n")

    def _head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        self._transport.write("\r\n".join(lines).encode())


Answer = Callable[[Exchange], Awaitable[None]]


class Upstream:
    """The running server: its address, the exchanges so far and how many connections it took."""

    def __init__(self, answer: Answer) -> None:
        self.url = ""
        self.exchanges: list[Exchange] = []
        self.connections: list[Connection] = []
        self.answer = answer


class Connection(asyncio.Protocol):
    """One connection, its requests one after the other."""

    def __init__(self, upstream: Upstream) -> None:
        self.open = False
        self._upstream = upstream
        self._buffer = b""
        self._exchange: Exchange | None = None
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.open = True
        self._upstream.connections.append(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        exchange = Exchange(head, rest, self.transport) if end else None
        if exchange is not None and len(rest) >= int(exchange.headers.get("content-length", 0)):
            self._buffer = b""
            self._exchange = exchange
            self._upstream.exchanges.append(exchange)
            self._answering = asyncio.create_task(self._answer(exchange))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        if self._exchange is not None:
            self._exchange.gone.set()

    async def _answer(self, exchange: Exchange) -> None:
        await self._upstream.answer(exchange)
        exchange.finish()

    async def stop(self) -> None:
        """Cut the connection and let its answer end. Raises what the answer raised."""
        self.transport.abort()
        if self._exchange is not None:
            self._exchange.gone.set()
        if self._answering is not None:
            await self._answering


@asynccontextmanager
async def raw_upstream(answer: Answer, *, host: str = "127.0.0.1") -> AsyncIterator[Upstream]:
    """A server on a free port of this machine, in this event loop. An answer must end when its client is gone."""
    upstream = Upstream(answer)
    server = await asyncio.get_running_loop().create_server(lambda: Connection(upstream), host, 0)
    port = server.sockets[0].getsockname()[1]
    upstream.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        yield upstream
    finally:
        server.close()
        for connection in upstream.connections:
            await connection.stop()
        await server.wait_closed()
