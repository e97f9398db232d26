"""Memory of a process with as many readers as it takes: part of `make bench`.

Each of `REPLIES` users follows a reply of their own on 50 connections, the most that a reply may have. A token comes
once a second, so that the readers' system calls do not fill the core.
"""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple

from scripts.bench.scenarios import Figures
from scripts.bench.servers import Beside, Contender, access_token

REPLIES = 100
OF_A_REPLY = 50
"""Readers, with the one who has sent the message."""
MODEL = "fake-60-1000-0"
PATIENCE_SECONDS = 60
_STARTED = re.compile(rb'event: message\.started\ndata: \{[^\n]*"message_id":"([0-9a-f-]{36})"')
_TEXT = b"event: delta"


class _Reader(NamedTuple):
    stream: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def of(cls, port: int, request: bytes) -> _Reader:
        reader = cls(*await asyncio.open_connection("127.0.0.1", port, limit=4096))
        reader.writer.write(request)
        return reader

    async def until(self, seen: re.Pattern[bytes] | bytes) -> bytes:
        """Read until `seen` has come; returns its first group. Raises `RuntimeError` at the end of the stream."""
        pattern = re.compile(seen) if isinstance(seen, bytes) else seen
        got = b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (match := pattern.search(got)) is None:
                if not (piece := await self.stream.read(4096)):
                    raise RuntimeError(f"the stream ended: {got[-300:]!r}")
                got = got[-4096:] + piece
        return match[1] if pattern.groups else b""


async def followed(
    server: Contender, ports: Beside, *, replies: int = REPLIES, of_a_reply: int = OF_A_REPLY
) -> Figures:
    """The memory of a fresh server while `replies` replies have `of_a_reply` readers each, all of whom read on."""
    idle = server.megabytes()
    request = server.request(MODEL)
    readers: list[_Reader] = []
    try:
        for user in range(replies):
            sender = await _Reader.of(server.port, request.of(user))
            readers.append(sender)
            id = (await sender.until(_STARTED)).decode()
            head = (
                f"GET /v1/messages/{id}/stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
                f"Authorization: Bearer {access_token(ports.supabase, user)}\r\nAccept: text/event-stream\r\n\r\n"
            )
            more = [await _Reader.of(server.port, head.encode()) for _ in range(of_a_reply - 1)]
            readers += more
            await asyncio.gather(*(reader.until(_TEXT) for reader in more))
        full = server.megabytes()
        await asyncio.gather(*(reader.until(_TEXT) for reader in readers))  # all of them, once more
    finally:
        for reader in readers:
            reader.writer.transport.abort()
    return {"followers": len(readers), "followed_mb": full, "follower_kb": (full - idle) * 1024 / len(readers)}
