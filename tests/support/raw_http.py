"""HTTP over a plain socket: a client that may send anything, in any pieces, at any pace.

async with line(port) as connection:
    await connection.send(b"GET / HTTP/1.1\\r\\n")
    answer = await connection.answer()
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

PATIENCE_SECONDS = 30.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        """Raises ConnectionError once the other side has closed."""
        self._writer.write(data)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._writer.drain()

    async def flood(self, piece: bytes, *, most: int) -> int:
        """Send `piece` again and again until the other side takes no more, or `most` bytes are sent: how many were."""
        sent = 0
        with suppress(ConnectionError, TimeoutError):
            while sent < most and not self._reader.at_eof():
                self._writer.write(piece)
                async with asyncio.timeout(5):
                    await self._writer.drain()
                sent += len(piece)
                await asyncio.sleep(0)
        return sent

    def end(self) -> None:
        """Nothing more is sent; the answer may still come."""
        self._writer.write_eof()

    async def answer(self) -> Answer:
        """The next one. Raises IncompleteReadError when the connection ends without one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(first.split()[1]), headers, body)

    async def ended(self) -> bytes:
        """What still comes until the other side closes."""
        rest = b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionError):
                while piece := await self._reader.read(65536):
                    rest += piece
        return rest

    def close(self) -> None:
        self._writer.close()


@asynccontextmanager
async def line(port: int) -> AsyncGenerator[Line]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


async def exchange(port: int, *pieces: bytes) -> Answer:
    """What the server says to these pieces, sent one after the other."""
    async with line(port) as connection:
        with suppress(ConnectionError):
            for piece in pieces:
                await connection.send(piece)
        return await connection.answer()
