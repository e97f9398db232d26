"""A line: a connection of the server to whose transport a streamed response is written directly, after its head.

uvicorn's way through an ASGI message costs a coroutine, a dictionary and three checks for every token, and needs a task
that waits. The head and the end of a response still go that way, so the server knows when it begins and ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class _Head:
    """Stands in for the transport while the server writes a head."""

    __slots__ = ("_transport", "parts")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.parts.append(data)

    def close(self) -> None:
        self._transport.close()


class Line(HttpToolsProtocol):
    """`scope["parley.line"]` of a request."""

    _resumed: Callable[[], None] | None = None
    _gone: Callable[[], None] | None = None
    _running: RequestResponseCycle | None = None
    """The request that is being answered; others may have come behind it."""
    _head: _Head | None = None
    paused = False
    """More should not be written now, because too much waits in the transport already."""

    def hold(self) -> None:
        """Keep the head of the response back, so that it leaves with the first frames: each write is a system call."""
        if self._running is not None:
            self._running.transport = self._head = _Head(self.transport)  # type: ignore[assignment]

    def open(self, resumed: Callable[[], None], gone: Callable[[], None]) -> None:
        """Begin to write frames; the head must have been sent. `resumed` is called when a paused connection takes more,
        `gone` when it is lost."""
        self._resumed, self._gone = resumed, gone
        if self._running is not None:
            self._running.transport = self.transport
        # as the server does for whoever waits for the client to leave: a connection that is not read is never lost
        self.flow.resume_reading()
        if self not in self.connections:
            gone()

    def close(self) -> None:
        """The end of the response follows, or the connection's."""
        self._resumed = self._gone = None
        self.flush()

    def flush(self) -> None:
        """Let the head go, if it is still held back."""
        if self._head is not None:
            self._write(b"")

    def write(self, frame: bytes) -> None:
        """Write a part of the body; the server has said that it comes in chunks."""
        data = b"%x\r\n%b\r\n" % (len(frame), frame)
        if self._head is None and not self.transport.is_closing():
            self.transport.write(data)
        else:
            self._write(data)

    def abort(self) -> None:
        """Close the connection at once, whatever waits in the transport."""
        self.transport.abort()

    def _write(self, data: bytes) -> None:
        if self._head is not None:
            data = b"".join((*self._head.parts, data))
            self._head = None
        if not self.transport.is_closing():
            self.transport.write(data)

    # ── what the server and the transport call ──

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._gone is not None:
            self._gone()
        # the scope of a request has its line: without these, the collector would have to look for each connection
        self.scope = self.cycle = self._running = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        super().pause_writing()
        self.paused = True

    def resume_writing(self) -> None:
        super().resume_writing()
        self.paused = False
        if self._resumed is not None:
            self._resumed()
