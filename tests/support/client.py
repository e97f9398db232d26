"""The API as a frontend calls it: one client a person, and readers of event streams.

async with person_client(api, owner) as client:
    conversation = await new_conversation(client)
    transcript = await send(client, conversation, "Hello")          # the whole stream
    async with reading(client, "GET", f"/v1/messages/{id}/stream") as reader:
        await reader.until("delta")                                 # stop wherever the test wants to
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.described import check_response
from tests.support.service import Api, Person
from tests.support.sse import Transcript

PATIENCE_SECONDS = 30.0
EVENT_STREAM = {"Accept": "text/event-stream"}
WAIT = {"Prefer": "wait"}


def person_client(api: Api, person: Person | None = None) -> httpx.AsyncClient:
    """A client of one person, or of nobody, which fails for an answer that is not described in OpenAPI. Use it as an
    async context manager."""
    return httpx.AsyncClient(
        base_url=api.url,
        headers=person.headers if person else {},
        timeout=PATIENCE_SECONDS,
        event_hooks={"response": [check_response]},
    )


class EventReader:
    """A connection that reads a stream, event by event."""

    def __init__(self, response: httpx.Response, after: int) -> None:
        self.response = response
        self.transcript = Transcript(after)
        self._chunks = response.aiter_raw()

    async def until(self, *names: str) -> None:
        """Read on until another event of these names has come."""
        seen = len(self.transcript.events)
        while not any(event.name in names for event in self.transcript.events[seen:]):
            self.transcript.feed(await anext(self._chunks))

    async def to_end(self) -> Transcript:
        """Read until the response ends; the last event must be a terminal one."""
        async for chunk in self._chunks:
            self.transcript.feed(chunk)
        assert self.transcript.ending is not None, f"the stream ended after {self.transcript.events[-1:]}"
        return self.transcript


@asynccontextmanager
async def reading(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    after: int | None = None,
    patience: float = PATIENCE_SECONDS,
    **request: Any,
) -> AsyncGenerator[EventReader]:
    """Open a stream; leaving the block closes the connection. `after` is the Last-Event-ID, `patience` the seconds that
    all of it may take."""
    headers = EVENT_STREAM | ({"Last-Event-ID": str(after)} if after is not None else {}) | request.pop("headers", {})
    async with asyncio.timeout(patience), client.stream(method, url, headers=headers, **request) as response:
        if response.status_code != 200:
            await response.aread()
        assert response.status_code == 200, response.text
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield EventReader(response, after or 0)


async def new_conversation(client: httpx.AsyncClient, **body: Any) -> str:
    """Create a conversation; its id."""
    response = await client.post("/v1/conversations", json=body)
    assert response.status_code == 201, response.text
    return str(response.json()["id"])


def script(**behaviour: Any) -> str:
    """A message that tells the scripted provider what to do: `tokens`, `gap`, `first`, `pieces`, `status`, …"""
    return json.dumps(behaviour)


async def send(client: httpx.AsyncClient, conversation: str, content: str, **body: Any) -> Transcript:
    """Send a message and read the stream of its reply to the end."""
    body = {"content": content, **body}
    async with reading(client, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
        return await reader.to_end()


async def turn(client: httpx.AsyncClient, conversation: str, content: str = "Hello", **body: Any) -> dict[str, Any]:
    """Send a message and wait for the finished reply."""
    response = await client.post(
        f"/v1/conversations/{conversation}/messages", json={"content": content, **body}, headers=WAIT
    )
    assert response.status_code == 200, response.text
    reply: dict[str, Any] = response.json()
    return reply


async def history(client: httpx.AsyncClient, conversation: str) -> list[dict[str, Any]]:
    """The first page of a conversation's messages."""
    response = await client.get(f"/v1/conversations/{conversation}/messages", params={"limit": 100})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The response is this problem, in the promised form. Returns its body."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body.pop("type") == f"urn:parley:problem:{code}"
    assert body.pop("code") == code
    assert body.pop("status") == status
    assert body.pop("title")
    assert body.pop("request_id") == response.headers["x-request-id"]
    assert set(body) <= {"detail"}
    return body
