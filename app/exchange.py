"""Exchanges: a body is posted over one of aiohttp's connections, and the answer read in the calls that receive it.

aiohttp stays in charge of connections: addresses, TLS, proxies, the pool and its limits. Its way through a request and
an answer costs a turn a tenth of its CPU, and a task that is woken for each token; nothing of what it adds (redirects,
cookies, compression, tracing) is needed for a call whose address and header fields are known. The parser is the one
that uvicorn and aiohttp use themselves, with aiohttp's leniencies.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from yarl import URL

MOST_WAITING = 65_536
"""Bytes of a body that wait to be read. While there are more, the connection is not read."""
MOST_HEAD = 65_536
"""Bytes of a head; a longer one is no answer."""


class Connection(ResponseHandler):
    """aiohttp's connection, which serves an exchange while there is one."""

    exchange: Exchange | None = None

    def data_received(self, data: bytes) -> None:
        if self.exchange is not None:
            self.exchange.receive(data)
        elif self._parser is None and self.transport is not None:
            self.transport.close()  # nothing was asked
        else:
            super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.exchange is not None:
            self.exchange.lost(exc)


def exchanging(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """`session`, with connections that an `Address` can use too."""
    # aiohttp 3.14 has no other way to name the class of its connections; tests/test_exchange.py needs it
    session.connector._factory = partial(Connection, loop=asyncio.get_running_loop())  # type: ignore[union-attr]
    return session


class Address:
    """Where requests are posted, and what they have in common."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: URL,
        fields: Mapping[str, str],
        *,
        connect_seconds: float | None = None,
        pool_seconds: float | None = None,
    ) -> None:
        """`session` is one of `exchanging`. `fields` are header fields of all requests. `connect_seconds` is the limit
        for a new connection, `pool_seconds` for that and the wait for a free one."""
        self._connector = cast("aiohttp.BaseConnector", session.connector)
        # never sent: it tells the connector where to connect to, and has the fields that aiohttp would send
        self._request = aiohttp.ClientRequest("POST", url, headers=fields, loop=asyncio.get_running_loop())
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect_seconds, connect=pool_seconds)
        sent = self._request.headers
        sent.pop("Content-Length", None)
        self._head = f"POST {url.raw_path_qs} HTTP/1.1\r\n".encode() + lines(sent)

    async def post(self, content: bytes, fields: bytes = b"") -> Exchange:
        """Send `content`, with the further header fields `fields` (see `lines`), and wait for the head of the answer.

        Raises `aiohttp.ClientError` and `TimeoutError`, as aiohttp's session does.
        """
        if self._connector.closed:
            raise aiohttp.ClientConnectionError("the session is closed")
        try:
            connection = await self._connector.connect(self._request, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError(f"Connection timeout to host {self._request.url}") from error
        except OSError as error:
            if isinstance(error, aiohttp.ClientError):
                raise
            raise aiohttp.ClientOSError(*error.args) from error
        exchange = Exchange(connection)
        exchange.send(b"%bContent-Length: %d\r\n%b\r\n%b" % (self._head, len(content), fields, content))
        try:
            while not exchange.status:
                await exchange.more()
        except BaseException:
            exchange.close()
            raise
        return exchange


def lines(fields: Mapping[str, str]) -> bytes:
    """Header fields as they are sent."""
    sent = "".join([f"{name}: {value}\r\n" for name, value in fields.items()])
    if sent.count("\r") + sent.count("\n") != 2 * len(fields):
        raise ValueError("a header field has the end of a line in it")
    return sent.encode()


class Exchange:
    """One request and its answer. `status` is 0 until the head has come; `headers` are as sent, names in lower case."""

    __slots__ = (
        "_connection",
        "_error",
        "_head_bytes",
        "_parser",
        "_paused",
        "_pieces",
        "_protocol",
        "_reusable",
        "_told",
        "_until_closed",
        "headers",
        "listener",
        "on_body",
        "over",
        "status",
    )

    def __init__(self, connection: Any) -> None:
        protocol = connection.protocol
        if not isinstance(protocol, Connection):
            raise TypeError("the connection is not one of `exchanging`")
        self._connection = connection
        self._protocol: Connection = protocol
        protocol.exchange = self
        self._pieces: list[bytes] = []
        self.on_body = self._pieces.append
        """What the parser calls with each piece of the body."""
        self._parser: HttpResponseParser | None = HttpResponseParser(self)
        # as aiohttp's: servers send such heads and chunks
        self._parser.set_dangerous_leniencies(
            lenient_headers=True, lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )
        self._head_bytes = 0
        self._told: asyncio.Future[None] | None = None
        self._error: Exception | None = None
        self._paused = False
        self._reusable = True
        self._until_closed = False
        """The body has no length: it ends with the connection."""
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.over = False
        """All of the answer has come, or it has failed."""
        self.listener: Callable[[], None] | None = None
        """Called when something has come, or the end, by the call of the event loop that brought it."""

    def send(self, request: bytes) -> None:
        if self._protocol.transport is not None:
            self._protocol.transport.write(request)

    # ── reading ──

    @property
    def failed(self) -> bool:
        return self._error is not None

    def take(self) -> bytes:
        """What has come of the body since the last time."""
        pieces = self._pieces
        if len(pieces) == 1:
            data = pieces[0]
        elif not pieces:
            return b""
        else:
            data = b"".join(pieces)
        pieces.clear()
        if self._paused:
            self._resume()
        return data

    async def more(self) -> None:
        """Wait until something has come, or the end. Raises the error with which the answer broke off."""
        if self._error is not None:
            raise self._error
        if self.over or self._pieces:
            return
        # not `get_running_loop`, which is a system call in Python 3.11: it asks for the id of the process
        self._told = self._protocol._loop.create_future()
        try:
            await self._told
        finally:
            self._told = None
        if self._error is not None and not self._pieces:
            raise self._error

    async def read(self) -> bytes:
        """The next part of the body; empty at its end. Raises `aiohttp.ClientError` when it breaks off."""
        while not self._pieces:
            await self.more()
            if self.over and not self._pieces:
                return b""
        return self.take()

    def __aiter__(self) -> Exchange:
        return self

    async def __anext__(self) -> bytes:
        if data := await self.read():
            return data
        raise StopAsyncIteration

    async def whole(self) -> bytes:
        """All of the body."""
        parts = [part async for part in self]
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def header(self, name: bytes) -> bytes | None:
        return next((value for one, value in self.headers if one == name), None)

    def _pause(self) -> None:
        transport = self._protocol.transport
        if not self._paused and transport is not None:
            transport.pause_reading()
            self._paused = True

    def _resume(self) -> None:
        self._paused = False
        transport = self._protocol.transport
        if transport is not None and not transport.is_closing():
            transport.resume_reading()

    # ── the end ──

    def close(self) -> None:
        """Read no further. The connection is closed, unless all has come."""
        if not self.over:
            self.over = True
            self._reusable = False
            self._release()

    async def leave(self, seconds: float) -> None:
        """Read no further, and give the answer so many seconds to end: then its connection can be used again. Waits
        for its end; a cancellation ends the waiting only."""
        if self.over:
            return
        loop = asyncio.get_running_loop()
        ended = loop.create_future()

        def came() -> None:
            self._pieces.clear()
            if self.over and not ended.done():
                ended.set_result(None)

        def late() -> None:
            self.close()
            came()

        self.listener = came
        loop.call_later(seconds, late)
        await ended

    def _release(self) -> None:
        self._protocol.exchange = None
        self._parser = None
        connection, self._connection = self._connection, None
        if self._paused:
            self._resume()
        if self._reusable:
            connection.release()
        else:
            connection.close()

    def _fail(self, error: Exception) -> None:
        if not self.over:
            self._error = error
            self.close()
            self._tell()

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener()
        elif self._told is not None and not self._told.done():
            self._told.set_result(None)

    # ── what the connection calls ──

    def receive(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        try:
            parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._reusable = False
            if not self.over:
                self._fail(aiohttp.ClientPayloadError(f"The answer is not HTTP: {error}"))
                return
        listener = self.listener
        if listener is not None and not self.over:
            listener()
            return
        if self.over:
            self._release()
        elif not self.status:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD:
                self._fail(aiohttp.ClientPayloadError("The head of the answer is too long"))
            return
        elif sum(map(len, self._pieces)) > MOST_WAITING:
            self._pause()
        self._tell()

    def lost(self, exc: BaseException | None) -> None:
        """The connection has ended."""
        if self.over:
            return
        if self._until_closed and exc is None:
            self.over, self._reusable = True, False
            self._release()
            self._tell()
        elif self.status:
            why = "" if exc is None else f": {exc!r}"
            self._fail(aiohttp.ClientPayloadError(f"Response payload is not completed{why}"))
        elif isinstance(exc, OSError):
            self._fail(aiohttp.ClientOSError(*exc.args))
        else:
            self._fail(aiohttp.ServerDisconnectedError())

    # ── what the parser calls ──

    def on_message_begin(self) -> None:
        if self.over:  # an answer to nothing
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser is None or self.over:
            return
        status = parser.get_status_code()
        if status < HTTPStatus.OK:
            self.headers.clear()  # of an interim answer
            return
        self.status = status
        self._until_closed = not any(name in _LENGTHS for name, _ in self.headers)
        self._reusable = parser.should_keep_alive()

    def on_message_complete(self) -> None:
        if self.status:
            self.over = True


_LENGTHS = (b"content-length", b"transfer-encoding")
