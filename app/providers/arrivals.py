"""Arrivals: the body of an answer is read in the call that receives it, so that no task is woken for a token.

aiohttp keeps what arrives until a task reads it. The connections of `listening` tell a listener instead, once for
everything that one call of the event loop has brought. The listener takes it from aiohttp's reader, which stays in
charge of the framing, the length, the errors and the reuse of the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import aiohttp
from aiohttp.client_proto import ResponseHandler

from app.providers.wire.decoder import Decoder
from app.values import StreamItem, Take


class _Connection(ResponseHandler):
    """aiohttp's connection, which says when something has come."""

    listener: Callable[[], None] | None = None

    def resume_reading(self, resume_parser: bool = True) -> None:
        # aiohttp 3.14 does so after every read, paused or not, and feeds its parser an empty piece each time
        if self._reading_paused or self._buffer_paused:
            super().resume_reading(resume_parser)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.listener is not None:
            self.listener()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        if self.listener is not None:
            self.listener()


def listening(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """`session`, with connections that can be listened to."""
    # aiohttp 3.14 has no other way to name the class of its connections; tests/providers/test_arrivals.py needs it
    session.connector._factory = partial(_Connection, loop=asyncio.get_running_loop())  # type: ignore[union-attr]
    return session


class Left(NamedTuple):
    """What was decoded and not taken, and the failure that follows it."""

    items: list[StreamItem]
    failure: Exception | None


class Arrivals:
    """The body of one answer."""

    def __init__(self, response: aiohttp.ClientResponse, connection: _Connection) -> None:
        self._content = response.content
        self._connection = connection

    @classmethod
    def of(cls, response: Any) -> Arrivals | None:
        """The body of an httpx response, or None if it cannot be listened to: its connection is no `_Connection`, it is
        compressed, or all of it has come already."""
        answer = getattr(response.stream, "_aiohttp_response", None)
        if not isinstance(answer, aiohttp.ClientResponse) or "content-encoding" in response.headers:
            return None
        connection = answer.connection.protocol if answer.connection is not None else None
        return cls(answer, connection) if isinstance(connection, _Connection) else None

    async def through(self, decoder: Decoder[Any], take: Take) -> Left:
        """Decode what arrives, and have each item taken in the same call.

        Ends when an item is not taken, when the decoder fails, when it has read the reason to finish, and when the body
        ends; its end and its errors are then seen by the next ordinary read.
        """
        over: asyncio.Future[Left] = asyncio.get_running_loop().create_future()
        connection, content = self._connection, self._content

        def arrived() -> None:
            connection.listener = None
            if over.done():  # the task was just cancelled: what has come stays in the reader
                return
            left: list[StreamItem] = []
            failure: Exception | None = None
            try:
                # reading may let the connection go on, and bring more
                while content.exception() is None and (data := content.read_nowait()):
                    for item in decoder.feed(data):
                        if left or not take(item):
                            left.append(item)
            except Exception as error:
                failure = error
            ended = content.is_eof() or content.exception() is not None
            if left or failure is not None or ended or decoder.complete:
                over.set_result(Left(left, failure))
            else:
                connection.listener = arrived

        arrived()
        try:
            return await over
        finally:
            connection.listener = None
