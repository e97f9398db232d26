"""The client's side of several replicas: event streams read event by event, and what a reader makes of them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp

from tests.support.service import Person

TERMINAL = ("done", "stopped", "error")


class Origin(Protocol):
    """Where an API can be reached: an `Api`, or a proxy in front of one."""

    @property
    def url(self) -> str: ...


@dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str
    id: int | None
    data: dict[str, Any]


@dataclass
class Transcript:
    """What a reader holds of a reply, over all its connections."""

    text: str = ""
    last_id: int | None = None
    message_id: str | None = None
    user_message_id: str | None = None
    reasoning: str = ""
    ending: Event | None = None
    reconnects: int = 0
    events: list[Event] = field(default_factory=list)

    def take(self, event: Event) -> None:
        """Do what a client does with an event. Asserts that ids grow and that nothing follows the end."""
        assert self.ending is None, f"{event} after {self.ending}"
        if event.name == "comment":
            return
        self.events.append(event)
        if event.name == "reconnect":
            self.reconnects += 1
            return
        assert event.id is not None
        assert self.last_id is None or event.id > self.last_id or event.name in TERMINAL, (self.last_id, event)
        self.last_id = event.id
        if event.name == "message.started":
            self.message_id = event.data["message_id"]
            self.user_message_id = event.data["user_message_id"]
        elif event.name == "delta":
            self.text += event.data["text"]
        elif event.name == "reasoning":
            self.reasoning += event.data["text"]
        elif event.name == "restart":
            self.text = ""
        elif event.name == "sources":
            pass
        else:
            assert event.name in TERMINAL, event
            self.ending = event
            if event.name != "done":  # only a reply that was cut off can be shorter than what was seen of it
                self.text = self.text[: event.data["length"]]
            assert len(self.text) == event.data["length"]

    def copy(self) -> Transcript:
        """The same place, for another device."""
        return Transcript(self.text, self.last_id, self.message_id, self.user_message_id, self.reasoning)


class Client:
    """A person's requests, to any replica. Use `signed_in`."""

    def __init__(self, person: Person, session: aiohttp.ClientSession) -> None:
        self.person = person
        self.session = session

    async def call(
        self, api: Origin, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, dict[str, Any], dict[str, str]]:
        """Status, JSON body and headers (in lower case) of one request. `_` in a header's name stands for `-`."""
        async with self.session.request(
            method, api.url + path, json=body, headers=_headers(headers) | self.person.headers
        ) as response:
            received = {name.lower(): value for name, value in response.headers.items()}
            return response.status, await response.json(content_type=None), received

    async def new_conversation(self, api: Origin) -> str:
        status, body, _ = await self.call(api, "POST", "/v1/conversations", {})
        assert status == 201, body
        conversation_id: str = body["id"]
        return conversation_id

    async def message(self, api: Origin, message_id: str) -> dict[str, Any]:
        status, body, _ = await self.call(api, "GET", f"/v1/messages/{message_id}")
        assert status == 200, body
        return body

    async def history(self, api: Origin, conversation_id: str) -> list[dict[str, Any]]:
        status, body, _ = await self.call(api, "GET", f"/v1/conversations/{conversation_id}/messages?limit=100")
        assert status == 200, body
        items: list[dict[str, Any]] = body["items"]
        return items

    async def stop(self, api: Origin, message_id: str) -> tuple[int, dict[str, Any]]:
        status, body, _ = await self.call(api, "POST", f"/v1/messages/{message_id}/stop")
        return status, body

    async def post(self, api: Origin, conversation_id: str, script: object, **headers: str) -> dict[str, Any]:
        """Send without reading; the 202's body."""
        path = f"/v1/conversations/{conversation_id}/messages"
        status, body, _ = await self.call(api, "POST", path, {"content": content(script)}, **headers)
        assert status == 202, body
        return body

    @asynccontextmanager
    async def sending(
        self, api: Origin, conversation_id: str, script: object, *, model: str | None = None, **headers: str
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Send and stream. Leaving closes the connection."""
        path = f"/v1/conversations/{conversation_id}/messages"
        body = {"content": content(script), "model": model}
        async with self._streaming(api, "POST", path, body, headers) as response:
            yield response

    @asynccontextmanager
    async def regenerating(
        self, api: Origin, message_id: str, **headers: str
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        async with self._streaming(api, "POST", f"/v1/messages/{message_id}/regenerate", {}, headers) as response:
            yield response

    @asynccontextmanager
    async def following(
        self, api: Origin, message_id: str, last_id: int | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        headers = {} if last_id is None else {"Last_Event_ID": str(last_id)}
        async with self._streaming(api, "GET", f"/v1/messages/{message_id}/stream", None, headers) as response:
            yield response

    @asynccontextmanager
    async def _streaming(
        self, api: Origin, method: str, path: str, body: object, headers: dict[str, str]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        response = await self.session.request(
            method,
            api.url + path,
            json=body,
            headers={"Accept": "text/event-stream"} | _headers(headers) | self.person.headers,
        )
        try:
            yield response
        finally:
            response.close()  # the connection, not only the response

    @asynccontextmanager
    async def stalling(self, api: Origin, message_id: str) -> AsyncGenerator[socket.socket]:
        """Follow a reply and read nothing of it."""
        address = urlsplit(api.url)
        request = (
            f"GET /v1/messages/{message_id}/stream HTTP/1.1\r\nhost: {address.netloc}\r\n"
            f"authorization: Bearer {self.person.token}\r\n\r\n"
        )
        loop = asyncio.get_running_loop()
        with socket.socket() as connection:
            # the smallest buffer there is: the server notices soon
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
            connection.setblocking(False)
            await loop.sock_connect(connection, (address.hostname, address.port))
            await loop.sock_sendall(connection, request.encode())
            yield connection

    async def send(self, api: Origin, conversation_id: str, script: object, **headers: str) -> Transcript:
        """Send and read to the end."""
        async with self.sending(api, conversation_id, script, **headers) as response:
            return await read(response)

    async def follow(self, api: Origin, message_id: str, transcript: Transcript | None = None) -> Transcript:
        """Read on from where `transcript` is, to the end of this connection."""
        transcript = transcript or Transcript()
        async with self.following(api, message_id, transcript.last_id) as response:
            return await read(response, transcript)


@asynccontextmanager
async def signed_in(person: Person, patience: float = 60) -> AsyncGenerator[Client]:
    """A client whose requests take at most `patience` seconds, with the streams that they are answered with."""
    # no pool: a closed connection is closed, and a request never meets one that a killed server left behind
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    timeout = aiohttp.ClientTimeout(total=patience, sock_connect=10)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout, read_bufsize=1 << 20) as session:
        yield Client(person, session)


async def events(response: aiohttp.ClientResponse) -> AsyncGenerator[Event]:
    """The events of a stream as they come, until the connection ends; a comment is an event named `comment`."""
    assert response.status == 200, await response.text()
    name, id_, data = "", None, ""
    async for line in response.content:
        if line.startswith(b":"):
            yield Event("comment", None, {})
            continue
        key, _, value = line.decode().rstrip("\n").partition(": ")
        if key == "event":
            name = value
        elif key == "id":
            id_ = int(value)
        elif key == "data":
            data = value
        elif key == "" and name:
            yield Event(name, id_, json.loads(data))
            name, id_, data = "", None, ""


async def read(
    response: aiohttp.ClientResponse,
    transcript: Transcript | None = None,
    until: Callable[[Transcript], bool] = lambda _: False,
) -> Transcript:
    """Read until the connection ends, or `until` holds."""
    transcript = transcript or Transcript()
    async with aclosing(events(response)) as stream:
        async for event in stream:
            transcript.take(event)
            if until(transcript):
                break
    return transcript


def tokens(count: int) -> Callable[[Transcript], bool]:
    """`until` for `read`: that many events with text have come."""
    return lambda transcript: sum(event.name == "delta" for event in transcript.events) >= count


async def eventually(check: Callable[[], Any], within: float = 30.0, pause: float = 0.02) -> None:
    """Wait until `check` (plain or async) returns something true. Raises AssertionError after `within` seconds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while True:
        result = check()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert loop.time() < deadline, f"not within {within} s: {check}"
        await asyncio.sleep(pause)


def content(script: object) -> str:
    """A message that tells the scripted provider what to do."""
    return script if isinstance(script, str) else json.dumps(script)


def _headers(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
