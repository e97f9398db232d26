"""Minimal HTTP for the bench's own servers, so that they use little CPU compared with what is measured."""

from __future__ import annotations

import asyncio
import socket
from typing import cast


class Connection(asyncio.Protocol):
    """A keep-alive connection that passes each request to `handle`."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            marker = head.lower().find(b"content-length:")
            length = int(head[marker + 15 :].split(b"\r\n", 1)[0]) if marker >= 0 else 0
            if len(self._buffer) < end + 4 + length:
                return
            body = self._buffer[end + 4 : end + 4 + length]
            self._buffer = self._buffer[end + 4 + length :]
            self.handle(head.split(b" ", 2)[1], head, body)

    def handle(self, path: bytes, head: bytes, body: bytes) -> None:
        raise NotImplementedError

    def reply(self, body: bytes, status: bytes = b"200 OK") -> None:
        if self.transport is not None:
            self.transport.write(
                b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (status, len(body), body)
            )
