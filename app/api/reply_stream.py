"""A reply as a stream for one reader: follows it until its end, the reader's, or this process's.

What is written is a `Reader`'s: the events of the native API, or the chunks of another protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

from litestar import Request, Response
from litestar.types import Receive, Scope, Send

from app.chat.live import Follower, Followers
from app.line import Line
from app.values import Ending

MAX_FRAME_CHARACTERS = 32_768
"""Of a long reply that somebody catches up with, so that what waits in memory for a slow connection stays small."""

HEARTBEAT = b": keep-alive\n\n"
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    # no-transform and x-accel-buffering: a proxy that compresses or collects would hold the tokens back
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Reader(Protocol):
    """What one follower is sent."""

    trails: bool
    """Whether anything may follow the end of the reply, see `after`."""

    def news(self, follower: Follower) -> bytes:
        """Everything that it has not been sent yet; empty when it is up to date."""

    def ended(self, follower: Follower, ending: Ending) -> bytes:
        """How the reply ended, all of which was sent."""

    def elsewhere(self, follower: Follower) -> bytes:
        """That the reply goes on, and cannot be read here any longer."""

    async def after(self, follower: Follower) -> bytes:
        """What follows the end of the reply."""


class ReplyStream(Response[None]):
    """The response in which `reader` is written."""

    def __init__(
        self, followers: Followers, follower: Follower, reader: Reader, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(None, headers=headers)
        self._followers = followers
        self._follower = follower
        self._reader = reader

    def to_asgi_response(self, request: Request[Any, Any, Any], **_: Any) -> Any:  # type: ignore[override]
        return self._respond

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        line: Line = scope["parley.line"]  # type: ignore[typeddict-item]  # our server's, see app/line.py
        follower, reader = self._follower, self._reader
        own = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        if self._followers.draining:
            own.append((b"connection", b"close"))  # else it comes back by the same one, and so to this server
        try:
            line.hold()
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS + own})
            last = await Writing(follower, line, partial(_next, reader, follower)).run()
            if last is None:
                return
            if reader.trails:
                await send({"type": "http.response.body", "body": last, "more_body": True})
                last = await reader.after(follower)
            await send({"type": "http.response.body", "body": last, "more_body": False})
        finally:
            self._followers.unfollow(follower)


class Writing:
    """Writes to a line what its follower has not been sent: at once, in the call that brings it, as long as the line
    takes it. The request's task waits for the end meanwhile."""

    __slots__ = ("_follower", "_line", "_next", "_over")

    def __init__(self, follower: Follower, line: Line, next_frame: Callable[[], tuple[bytes, bool]]) -> None:
        """`next_frame` makes the next part of the stream, and says whether it is the last; empty when the follower is
        up to date. What it makes counts as sent."""
        self._follower = follower
        self._line = line
        self._next = next_frame
        self._over: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()

    async def run(self) -> bytes | None:
        """Write until the reply ends or the reader is sent elsewhere. Returns the last frame; None when the reader was
        cut."""
        follower, line = self._follower, self._line
        follower.connect(self._write, line.abort)
        try:
            line.open(self._write, follower.drop)
            self._write()
            line.flush()  # nothing may have come since the place at which the reader goes on
            return await self._over
        finally:
            line.close()
            follower.connect(None, None)

    def _write(self) -> None:
        """There may be something to write, and room for it. Called for every token."""
        if self._over.done():
            return
        follower, line = self._follower, self._line
        reply = follower.reply
        try:
            while not follower.cut:
                if line.paused:
                    follower.wait()
                    return
                frame, last = self._next()
                if last:
                    self._over.set_result(frame)
                if last or not frame:
                    return
                line.write(frame)
                follower.sent()
                # nearly always that was all
                up_to_date = follower.offset == reply.length and follower.reasoned == reply.reasoned
                if up_to_date and reply.ending is None and not follower.reconnect:
                    return
            self._over.set_result(None)
        except Exception as error:  # of this reader, and not of whoever brings the news to all of them
            self._over.set_exception(error)


def _next(reader: Reader, follower: Follower) -> tuple[bytes, bool]:
    """See `Writing`."""
    if news := reader.news(follower):
        return news, False
    ending = follower.reply.ending
    if ending is not None:
        return reader.ended(follower, ending), True
    if follower.reconnect:
        return reader.elsewhere(follower), True
    return (HEARTBEAT, False) if follower.beat else (b"", False)


async def disconnected(receive: Receive) -> None:
    """Wait until whoever sent the request disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass


@contextmanager
def reader_of(receive: Receive) -> Iterator[Callable[[], bool]]:
    """Watches whoever sent the request; the function that it gives says whether they are gone."""
    leaving = asyncio.create_task(disconnected(receive))
    try:
        yield leaving.done
    finally:
        leaving.cancel()
