"""Clients that hang up at random moments, many at once."""

from __future__ import annotations

import asyncio
import json
import random
import uuid
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.support.replica_client import Client, content

AT_ONCE = 40


@dataclass
class Seat:
    """A person with a conversation to send into, and a reply to follow."""

    client: Client
    conversation: str
    message_id: str

    @property
    def mark(self) -> str:
        """What every message and reply of this person holds, and of nobody else."""
        return self.client.person.id


async def storm(url: str, seats: list[Seat], connects: int, chance: random.Random) -> None:
    """Connect that many times, `AT_ONCE` at a time, and hang up: within the request, before its answer, within it."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        seat = chance.choice(seats)
        request = _request(url, seat, chance)
        if chance.random() < 0.1:
            request = request[: chance.randrange(len(request))]
        async with turn:
            await _hang_up(url, request, chance.uniform(0, 0.15), abort=chance.random() < 0.5)

    await asyncio.gather(*(one() for _ in range(connects)))


def _request(url: str, seat: Seat, chance: random.Random) -> bytes:
    kind = chance.choice(["send", "send", "send and wait", "follow", "history"])
    headers = {
        "host": urlsplit(url).netloc,
        "authorization": f"Bearer {seat.client.person.token}",
        "accept": "text/event-stream" if kind in ("send", "follow") else "application/json",
    }
    messages = f"/v1/conversations/{seat.conversation}/messages"
    if kind == "history":
        return _bytes("GET", messages, headers)
    if kind == "follow":
        return _bytes("GET", f"/v1/messages/{seat.message_id}/stream", headers)
    if kind == "send and wait":
        headers["prefer"] = "wait"
    if chance.random() < 0.5:
        headers["idempotency-key"] = uuid.uuid4().hex
    asked = {"id": uuid.uuid4().hex, "tokens": 4, "gap": 0.02, "token": f"{seat.mark} "}
    return _bytes("POST", messages, headers, json.dumps({"content": content(asked)}))


def _bytes(method: str, path: str, headers: dict[str, str], body: str = "") -> bytes:
    if body:
        headers |= {"content-type": "application/json", "content-length": str(len(body))}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", body]).encode()


async def _hang_up(url: str, request: bytes, after: float, *, abort: bool) -> None:
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(request)
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(after):
            while await reader.read(4096):
                pass
    if abort:
        writer.transport.abort()
    else:
        writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
