"""Realtime's protocol, frame by frame: tests must see what the official clients hide.

    async with connected(url, key, version=V2) as socket:
        reply = await socket.join("room", private=True, token=token)     # {"status": …, "response": …}
        ref = await socket.push("room", "broadcast", {...})
        message = await socket.next("broadcast")                         # in order of arrival, each once

Whoever waits for a message that does not come fails after 10 s.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

V1, V2 = "1.0.0", "2.0.0"
PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Message:
    """What the server sent. `binary` says in which form."""

    topic: str
    event: str
    payload: Any
    ref: str | None
    join_ref: str | None = None
    binary: bool = False

    @property
    def sent(self) -> Any:
        """What the sender of a broadcast sent."""
        return self.payload["payload"]


class Socket:
    """One connection."""

    def __init__(self, connection: ClientConnection, version: str) -> None:
        self.connection = connection
        self.version = version
        self.inbox: list[Message] = []
        self.close_code: int | None = None
        self._refs = itertools.count(1)
        self._join_refs: dict[str, str] = {}
        self._arrived = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def join(
        self,
        topic: str,
        *,
        token: str | None = None,
        private: object = False,
        broadcast: dict[str, Any] | None = None,
        presence: dict[str, Any] | None = None,
        **config: Any,
    ) -> dict[str, Any]:
        """Join a channel and wait for the answer, which is returned."""
        payload: dict[str, Any] = {
            "config": {"broadcast": broadcast or {}, "presence": presence or {}, "private": private, **config}
        }
        if token is not None:
            payload["access_token"] = token
        ref = await self.push(topic, "phx_join", payload)
        return await self.reply(ref)

    async def push(self, topic: str, event: str, payload: Any) -> str:
        """Send a message of a channel; its ref."""
        ref = str(next(self._refs))
        wire_topic = topic if topic == "phoenix" else f"realtime:{topic}"
        if event == "phx_join":
            self._join_refs[topic] = ref
        join_ref = self._join_refs.get(topic)
        if self.version == V1:
            await self.send({"topic": wire_topic, "event": event, "payload": payload, "ref": ref})
        else:
            await self.send([join_ref, ref, wire_topic, event, payload])
        return ref

    async def push_binary(self, topic: str, event: str, payload: bytes, *, is_json: bool) -> str:
        """Send a broadcast in the binary form of version 2."""
        ref = str(next(self._refs))
        names = [self._join_refs[topic].encode(), ref.encode(), f"realtime:{topic}".encode(), event.encode(), b""]
        head = bytes([3, *map(len, names), int(is_json)])
        await self.connection.send(head + b"".join(names) + payload)
        return ref

    async def broadcast(self, topic: str, event: str, payload: Any) -> str:
        return await self.push(topic, "broadcast", {"type": "broadcast", "event": event, "payload": payload})

    async def send(self, frame: Any) -> None:
        """Send any JSON."""
        await self.connection.send(json.dumps(frame))

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────

    async def reply(self, ref: str | None) -> dict[str, Any]:
        """The answer to a message."""
        message = await self._take(lambda m: m.event == "phx_reply" and m.ref == ref)
        answer: dict[str, Any] = message.payload
        return answer

    async def next(self, *events: str) -> Message:
        """The next message of these events that no call has returned; of any event but replies without any."""
        if events:
            return await self._take(lambda message: message.event in events)
        return await self._take(lambda message: message.event != "phx_reply")

    async def closed(self) -> int | None:
        """Wait until the server has closed the connection; its code."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._reading
        return self.close_code

    def unread(self, *events: str) -> list[Message]:
        """What has arrived and nobody has taken."""
        return [message for message in self.inbox if message.event in events]

    async def _take(self, wanted: Any) -> Message:
        async with asyncio.timeout(PATIENCE_SECONDS), self._arrived:
            while True:
                for message in self.inbox:
                    if wanted(message):
                        self.inbox.remove(message)
                        return message
                if self._reading.done():
                    raise ConnectionError(f"the connection was closed: {self.close_code}")
                await self._arrived.wait()

    async def _read(self) -> None:
        try:
            async for frame in self.connection:
                async with self._arrived:
                    self.inbox.append(self._parse(frame))
                    self._arrived.notify_all()
        except ConnectionClosed:
            pass
        self.close_code = self.connection.close_code
        async with self._arrived:
            self._arrived.notify_all()

    def _parse(self, frame: str | bytes) -> Message:
        if isinstance(frame, bytes):
            assert self.version == V2
            return _parse_binary(frame)
        content = json.loads(frame)
        if self.version == V1:
            assert content.keys() == {"topic", "event", "payload", "ref"}
            return Message(**content)
        join_ref, ref, topic, event, payload = content
        return Message(topic, event, payload, ref, join_ref)

    async def aclose(self) -> None:
        await self.connection.close()
        await self._reading


def _parse_binary(frame: bytes) -> Message:
    kind, topic_size, event_size, meta_size, encoding = frame[:5]
    assert kind == 4
    at = 5
    topic, event, meta = (
        frame[at : at + topic_size],
        frame[at + topic_size : at + topic_size + event_size],
        frame[at + topic_size + event_size : at + topic_size + event_size + meta_size],
    )
    content = frame[at + topic_size + event_size + meta_size :]
    payload: dict[str, Any] = {
        "type": "broadcast",
        "event": event.decode(),
        "payload": json.loads(content) if encoding else content,
    }
    if meta:
        payload["meta"] = json.loads(meta)
    return Message(topic.decode(), "broadcast", payload, None, binary=True)


@asynccontextmanager
async def connected(url: str, key: str, version: str = V2) -> AsyncGenerator[Socket]:
    """A connection to the Realtime of the Supabase at `url`."""
    address = f"{url.replace('http', 'ws', 1)}/realtime/v1/websocket?apikey={key}&vsn={version}"
    connection = await connect(address, open_timeout=PATIENCE_SECONDS)
    socket = Socket(connection, version)
    try:
        yield socket
    finally:
        await socket.aclose()
