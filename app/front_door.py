"""The front door: limits on connections and on the head of a request, checked before the parser sees the data.

The head is the request line with the header fields. uvicorn 0.54 limits neither its size nor the time for sending it;
its parser keeps an unfinished head and copies it with each piece that arrives. Here the size, the number of fields and
the time of a head are limited, as are the time of a body and the number of connections that wait for a head. A refusal
is answered with a problem, as everywhere. A connection that has sent nothing is closed without an answer. See
docs/decisions/0022-front-door.md.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec

from app import observe
from app.errors import AppError, Draining, InvalidRequest
from app.line import Line

DESCRIPTORS_KEPT = 256
"""File descriptors that are kept for the database, the providers and the readers of files."""
PIECE_OF_HEAD = 4096
"""Bytes of a head that are parsed before its fields are counted; most heads are shorter."""
LINGERING = 64
"""How many connections above the limit are given time to read their answer; further ones are closed at once."""
LOG_SECONDS = 1.0
"""The shortest time between two log lines about refusals. A line counts the refusals since the one before."""


@dataclass(frozen=True)
class Limits:
    head_bytes: int = 32_768
    """Of the request line and the header fields together; of the fields after a chunked body, too."""
    head_fields: int = 100
    head_seconds: float = 10
    """From the first byte of a head, or from the connection's start, to its end."""
    body_seconds: float = 20
    """The time for a body, plus one second for each `body_bytes_per_second` received."""
    body_bytes_per_second: int = 16_384
    unread_seconds: float = 20
    """How long a client may continue to send a body after its request was answered."""
    unread_bytes: int = 33_554_432
    pipelined: int = 16
    """Requests of one connection that wait for the answer to an earlier one."""
    connections: int = 8_000
    waiting: int = 1_000
    """Connections of the process that wait for a head."""
    waiting_of_address: int = 100
    waiting_seconds: float = 1
    """A connection that has waited for less is not closed in favour of a new one."""
    linger_seconds: float = 2
    """The time between a refusal and the end of the connection: closing at once can lose the answer."""
    linger_bytes: int = 1_048_576
    """How much is read and discarded in this time."""


def limits_of_this_machine() -> Limits:
    """The limits, with no more connections than the process may have open files, minus `DESCRIPTORS_KEPT`."""
    if sys.platform == "win32":
        return Limits()
    import resource

    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return Limits()
    return Limits(connections=max(1, min(Limits.connections, files - DESCRIPTORS_KEPT)))


class FrontDoor:
    """The state that all connections of a process share: which of them wait for a head."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        # both are ordered: the longest waiting is first
        self._waiting: dict[Connection, None] = {}
        self._of_address: dict[str, dict[Connection, None]] = {}
        self._refused = 0
        self._logged_at = float("-inf")

    def __len__(self) -> int:
        return len(self._waiting)

    def enter(self, connection: Connection) -> None:
        """Add a connection that waits for a head. If there are too many, the longest waiting one is closed."""
        if connection in self._waiting:
            return
        same = self._of_address.setdefault(connection.address, {})
        if len(same) >= self.limits.waiting_of_address:
            self._make_room(same)
        if len(self._waiting) >= self.limits.waiting:
            self._make_room(self._waiting)
        self._waiting[connection] = None
        # again, because closing the last one of an address removes its entry
        self._of_address.setdefault(connection.address, same)[connection] = None

    def leave(self, connection: Connection) -> None:
        if connection not in self._waiting:
            return
        del self._waiting[connection]
        same = self._of_address[connection.address]
        del same[connection]
        if not same:
            del self._of_address[connection.address]

    def has_room(self, connections: int) -> bool:
        """Whether a new connection may stay, given the number of connections including it."""
        return connections <= self.limits.connections or self._make_room(self._waiting)

    def _make_room(self, waiting: dict[Connection, None]) -> bool:
        oldest = next(iter(waiting), None)
        if oldest is None or oldest.waited() < self.limits.waiting_seconds:
            return False
        oldest.give_up(at_once=True)
        return True

    def log_refusal(self, status: int, address: str, now: float) -> None:
        self._refused += 1
        if now - self._logged_at >= LOG_SECONDS:
            observe.event("connection.refused", status=status, address=address, refused=self._refused)
            self._logged_at, self._refused = now, 0


class Connection(Line):
    """A connection of uvicorn with the limits of the front door. The application gets two things from it: itself, to
    write to and to close at once (`scope["parley.line"]`), and, for a body that ended early, the error that its sender
    was told (`scope["parley.refusal"]`)."""

    def __init__(self, *arguments: Any, door: FrontDoor, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._door = door
        self._limits = limits = door.limits
        self._patience = min(limits.head_seconds, limits.body_seconds, limits.unread_seconds)
        self._timer: asyncio.TimerHandle | None = None
        self._refused = False
        self._dropped = 0
        self._wrong: AppError | None = None
        # the client has not finished a head or a body that it began; since when
        self._owing = True
        self._since = 0.0
        # the head
        self._in_head = True
        self._begun = False
        self._head_bytes = 0
        self._shared = False
        """The current piece contains the end of another request, so its bytes of the new head are not counted."""
        self._uncounted = False
        # the body
        self._received = 0
        self._unseen = 0
        self._answered_at: float | None = None
        self._answered_bytes = 0

    @property
    def address(self) -> str:
        return self.client[0] if self.client is not None else ""

    # ── what the transport calls ──

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._since = self.loop.time()
        if not self._door.has_room(len(self.connections)):
            full = Draining("This server has as many connections as it can.", retry_after=5)
            self._refuse(full, at_once=len(self.connections) > self._limits.connections + LINGERING)
            return
        self._door.enter(self)
        self._timer = self.loop.call_later(self._patience, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        self._door.leave(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._dropped += len(data)
            if self._dropped > self._limits.linger_bytes:
                self.flow.pause_reading()
            return
        for piece in self._pieces(data):
            received, was_head = self._received, self._in_head
            self._shared = False
            super().data_received(piece)  # type: ignore[arg-type]  # the parser takes any buffer
            if self._refused or self.transport.is_closing():
                return
            if self._in_head:
                if was_head and not self._shared:
                    self._head_bytes += len(piece)
            else:
                self._unseen = self._unseen + len(piece) if received == self._received and not was_head else 0
            if not self._judge():
                return
        self._wait_for_the_rest()

    def _pieces(self, data: bytes) -> Iterator[bytes | memoryview]:
        """The data in pieces, small enough to check the limits before the parser has created many objects."""
        if len(data) <= PIECE_OF_HEAD and self._head_bytes + len(data) <= self._limits.head_bytes:
            yield data
            return
        view = memoryview(data)
        while view:
            size = self._limits.head_bytes
            if self._in_head:
                size = min(PIECE_OF_HEAD, size - self._head_bytes)
            yield view[:size]
            view = view[size:]

    def eof_received(self) -> None:
        if self._refused or not self._owing:
            return
        if not self._in_head and not self._is_answered():
            self._refuse(InvalidRequest("The connection ended before the body did.", status=400))
        elif self._in_head and (self._begun or self._head_bytes):
            self._refuse(InvalidRequest("The connection ended before the request did.", status=400))

    # ── what the parser calls ──

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._begun = True
        self._uncounted = self._shared
        self.scope["parley.line"] = self  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        limits = self._limits
        if len(self.headers) > limits.head_fields or (self._uncounted and self._size_of_head() > limits.head_bytes):
            self._wrong = self._too_large()
        elif len(self.pipeline) >= limits.pipelined:
            self._wrong = InvalidRequest(f"At most {limits.pipelined} requests may wait on a connection.", status=400)
        if self._wrong is not None:
            # stops the parser; its caller then calls `send_400_response`
            raise ValueError
        super().on_headers_complete()
        self._in_head = self._owing = False
        self._received = self._unseen = 0
        self._answered_at = None
        self._door.leave(self)

    def on_body(self, body: bytes) -> None:
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = self._shared = True
        self._begun = self._owing = False
        self._head_bytes = 0

    def send_400_response(self, msg: str) -> None:
        """Called for data that the parser refuses."""
        self._refuse(self._wrong or InvalidRequest("This is not HTTP/1.1 as RFC 9112 has it.", status=400))

    def _unsupported_upgrade_warning(self) -> None:
        """Logs nothing: the request is answered like any other, and many of them would fill the log."""

    # ── limits ──

    def _judge(self) -> bool:
        """Check the size limits. Returns False after refusing the request."""
        limits = self._limits
        if self._in_head:
            if self._head_bytes < limits.head_bytes and (not self._begun or len(self.headers) <= limits.head_fields):
                return True
        elif self._unseen <= limits.head_bytes and len(self.headers) <= 2 * limits.head_fields:
            if self._answered_at is None or self._received - self._answered_bytes <= limits.unread_bytes:
                return True
            self.transport.abort()
            return False
        self._refuse(self._too_large())
        return False

    def _size_of_head(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _too_large(self) -> AppError:
        limits = self._limits
        most = f"at most {limits.head_bytes} bytes in {limits.head_fields} fields are taken"
        if self._in_head and not self.headers and len(self.url) > limits.head_bytes // 2:
            return InvalidRequest(f"The request line is too long: with the header fields, {most}.", status=414)
        return InvalidRequest(f"The header fields are too large: with the request line, {most}.", status=431)

    def _is_answered(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait_for_the_rest(self) -> None:
        """Note whether a head or a body is unfinished, and since when."""
        if self._in_head and not (self._begun or self._head_bytes):
            return
        if not self._owing:
            self._owing = True
            self._since = self.loop.time()
        if self._in_head:
            self._door.enter(self)
        elif self._answered_at is None and self._is_answered():
            self._answered_at, self._answered_bytes = self.loop.time(), self._received
        if self._timer is None:
            self._timer = self.loop.call_later(self._patience, self._look)

    def _look(self) -> None:
        """Check whether the client is late. One timer per connection does this, so an ordinary request sets none."""
        self._timer = None
        if self._refused or not self._owing or self.transport.is_closing():
            return
        left = self._due() - self.loop.time()
        if left > 0:
            self._timer = self.loop.call_later(min(left, self._patience), self._look)
        else:
            self.give_up()

    def _due(self) -> float:
        """When the client is late."""
        limits = self._limits
        if self._in_head:
            return self._since + limits.head_seconds
        if self._is_answered():
            if self._answered_at is None:
                self._answered_at, self._answered_bytes = self.loop.time(), self._received
            return self._answered_at + limits.unread_seconds
        if self.flow.read_paused:  # the application is slow, not the client
            self._since = self.loop.time()
        return self._since + limits.body_seconds + self._received / limits.body_bytes_per_second

    def waited(self) -> float:
        """Seconds since the unfinished head or body began."""
        return self.loop.time() - self._since

    def give_up(self, *, at_once: bool = False) -> None:
        """Stop waiting for the client. If it has sent nothing, or has its answer, the connection is just closed."""
        if self._in_head and (self._begun or self._head_bytes):
            late = f"The request's head has not come within {self._limits.head_seconds:g} s."
            if at_once:
                late = "The request's head has not come, and other connections wait."
            self._refuse(InvalidRequest(late, status=408), at_once=at_once)
        elif not self._in_head and not self._is_answered():
            pace = self._limits.body_bytes_per_second
            self._refuse(InvalidRequest(f"The body comes too slowly: send at least {pace} bytes/s.", status=408))
        else:
            self._door.leave(self)
            self.transport.abort()

    # ── refusing ──

    def _refuse(self, error: AppError, *, at_once: bool = False) -> None:
        """Answer with `error`, discard further data, and close the connection: at once, or after `linger_seconds`."""
        if self._refused or self.transport.is_closing():
            return
        self._refused = True
        self._door.leave(self)
        self._unset_keepalive_if_required()
        if self._timer is not None:
            self._timer.cancel()
        cycle = self.cycle
        if not self._is_answered():
            if self._in_head or self.pipeline or cycle.response_started:
                # the client would read this answer as part of another one
                self.transport.abort()
                return
            self.scope["parley.refusal"] = error  # type: ignore[typeddict-unknown-key]
            cycle.waiting_for_100_continue = False
            cycle.disconnected = True
            cycle.message_event.set()
        elif not self._in_head:
            self.transport.abort()
            return
        self._door.log_refusal(error.status, self.address, self.loop.time())
        if self.headers is not None:
            self.headers.clear()
        self.transport.write(_answer(error, self.server_state.default_headers))
        if at_once:
            self.transport.close()
            return
        self.transport.write_eof()
        self.flow.resume_reading()
        self._timer = self.loop.call_later(self._limits.linger_seconds, self.transport.abort)


def _answer(error: AppError, default_headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The bytes of the whole response, in the form that the application uses."""
    request_id = secrets.token_hex(8)
    body = msgspec.json.encode(error.problem(request_id))
    headers = {
        b"content-type": b"application/problem+json",
        b"content-length": b"%d" % len(body),
        b"connection": b"close",
        b"x-request-id": request_id.encode(),
    }
    if error.retry_after is not None:
        headers[b"retry-after"] = b"%d" % error.retry_after
    lines = [f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}".encode()]
    lines += [b"%s: %s" % field for field in (*default_headers, *headers.items())]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
