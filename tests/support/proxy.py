"""Bad networks: a TCP proxy that is slow, drips, resets, swallows, or loses the answer to one request."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(eq=False)
class _Link:
    """One forwarded connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    request: bytes = b""
    """The head of the newest request seen on it."""

    def reset(self) -> None:
        for writer in (self.client, self.server):
            _reset(writer)


@dataclass
class Proxy:
    """Forwards to `target` (an http:// origin); use it as an async context manager. Its faults may change at any time.

    `latency` is waited before every piece, in seconds, each way. `rate` limits each connection, in bytes a second.
    `listener` is where it listens, if not on a port of its own; `dialer` makes the sockets that it connects with.
    """

    target: str
    latency: float = 0
    rate: float | None = None
    url: str = ""
    listener: socket.socket | None = None
    dialer: Callable[[], socket.socket] | None = None
    lost: int = 0
    """Answers that have been lost on demand."""
    _down: bool = False
    _hole: bool = False
    _losing: list[bytes] = field(default_factory=list)
    _links: set[_Link] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _server: asyncio.Server | None = None

    async def __aenter__(self) -> Proxy:
        listener = self.listener or socket.create_server(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._connected, sock=listener)
        host, port = listener.getsockname()
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def links(self) -> int:
        """Connections that are open through it."""
        return len(self._links)

    def cut(self) -> None:
        """Reset every open connection; new ones work."""
        for link in tuple(self._links):
            link.reset()

    def down(self) -> None:
        """Reset every connection, the open ones now and new ones as they come, until `up`."""
        self._down = True
        self.cut()

    def black_hole(self) -> None:
        """Accept everything and pass nothing on, until `up`. What is swallowed is gone."""
        self._hole = True

    def up(self) -> None:
        """End an outage. Connections that lost bytes in a black hole are reset: they cannot go on."""
        if self._hole:
            self.cut()
        self._down = self._hole = False

    def lose_answer(self, part: bytes) -> None:
        """Pass the next request on whose first line holds `part`, and reset the connection in place of its answer."""
        self._losing.append(part)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # no coroutine: asyncio 3.11 logs an error where a task of its own making is cancelled
        task = asyncio.create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._down:
            _reset(writer)
            return
        try:
            server_reader, server_writer = await self._dial()
        except BaseException as error:
            # also when the proxy ends meanwhile: nobody else would close this connection
            _reset(writer)
            if isinstance(error, OSError):
                return
            raise
        link = _Link(writer, server_writer)
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._pump(link, reader, server_writer, asking=True)),
            asyncio.create_task(self._pump(link, server_reader, writer, asking=False)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._links.discard(link)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            writer.close()
            server_writer.close()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = urlsplit(self.target).hostname, urlsplit(self.target).port
        if self.dialer is None:
            return await asyncio.open_connection(host, port)
        dialed = self.dialer()
        dialed.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(dialed, (host, port))
        except BaseException:
            dialed.close()
            raise
        return await asyncio.open_connection(sock=dialed)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asking: bool
    ) -> None:
        try:
            while piece := await reader.read(65536):
                if asking:
                    if piece.split(b" ", 1)[0] in (b"GET", b"POST", b"PATCH", b"DELETE", b"HEAD"):
                        link.request = piece.split(b"\r\n", 1)[0]
                elif self._loses(link):
                    link.reset()
                    return
                if self.latency:
                    await asyncio.sleep(self.latency)
                if self._hole:
                    continue
                await self._pass_on(piece, writer)
        except ConnectionError:
            link.reset()

    def _loses(self, link: _Link) -> bool:
        for part in self._losing:
            if part in link.request:
                self._losing.remove(part)
                self.lost += 1
                return True
        return False

    async def _pass_on(self, piece: bytes, writer: asyncio.StreamWriter) -> None:
        if self.rate is None:
            writer.write(piece)
            await writer.drain()
            return
        # a tenth of a second's worth at a time
        step = max(1, int(self.rate / 10))
        for start in range(0, len(piece), step):
            writer.write(piece[start : start + step])
            await writer.drain()
            await asyncio.sleep(0.1)


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, as a machine does that has lost the connection."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
