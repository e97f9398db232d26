"""A reply as a stream for one reader: follows it until its end, the reader's, or this process's.

What is written is a `Reader`'s: the events of the native API, or the chunks of another protocol.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from litestar import Request, Response
from litestar.types import Receive, Scope, Send

from app.chat.live import Follower, Followers
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
        follower = self._follower
        follower.connect(scope.get("parley.abort"))  # type: ignore[arg-type]  # our server's, see app/serve.py
        own = [(name.lower().encode(), value.encode()) for name, value in self.headers.items()]
        if self._followers.draining:
            own.append((b"connection", b"close"))  # else it comes back by the same one, and so to this server
        leaving = asyncio.create_task(_drop_with(receive, follower))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS + own})
            if await _write_all(self._reader, follower, send):
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            leaving.cancel()
            self._followers.unfollow(follower)


async def _write_all(reader: Reader, follower: Follower, send: Send) -> bool:
    """Write until the reply ends or the reader is sent elsewhere; False when the reader was cut."""
    reply = follower.reply
    while not follower.cut:
        last = False
        frame = reader.news(follower)
        if not frame:
            if reply.ending is not None:
                frame = reader.ended(follower, reply.ending)
                last = True
            elif follower.reconnect:
                frame = reader.elsewhere(follower)
                last = True
            elif follower.beat:
                frame = HEARTBEAT
            else:
                await follower.changed()
                continue
        follower.sending()
        await send({"type": "http.response.body", "body": frame, "more_body": True})
        follower.sent()
        if last:
            if rest := await reader.after(follower):
                await send({"type": "http.response.body", "body": rest, "more_body": True})
            return True
    return False


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


async def _drop_with(receive: Receive, follower: Follower) -> None:
    """A reader that disconnects ends its following and nothing else."""
    await disconnected(receive)
    follower.drop()
