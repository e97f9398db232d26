"""A member: a user with a client that behaves as good clients do, and notes down every request and its outcome."""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from app.errors import ERRORS
from scripts.soak.book import Asked, Attempt, Book, Kind
from scripts.soak.deployment import Deployment
from tests.support.replica_client import Client, Origin, content

RETRYABLE = frozenset(
    {"draining", "interrupted", "supabase_unavailable", "provider_unavailable", "rate_limited", "lost"}
)
"""What a client tries again. `rate_limited` includes the fair shares of a process."""
LONGEST_WAIT = 3.0
"""Of a Retry-After, in seconds: an hour is played in minutes."""
LOST = "lost"
_CODES = {error.title: code for code, error in ERRORS.items()}


class GaveUp(Exception):
    """A request was not answered however often it was tried. It is in the book."""


@dataclass
class Reply:
    """What a request was answered with at last."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass
class Member:
    client: Client
    on: Deployment
    book: Book
    chance: random.Random
    patience: float
    """For how many seconds a request is tried again."""
    conversations: list[str] = field(default_factory=list)
    keys: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.client.person.id

    def asks(self, kind: Kind, script: dict[str, Any], **known: Any) -> Asked:
        """A new text that says to the provider what to do; every token of the reply names its owner."""
        script = {"tokens": 5, **script, "id": uuid.uuid4().hex, "token": f"{self.id}-{{}} 😀 "}
        asked = Asked(kind, self.id, script, began=self.book.now, **known)
        self.book.asked.append(asked)
        return asked

    def note(self, kind: str, began: float, outcome: str) -> None:
        now = self.book.now
        self.book.attempts.append(Attempt(kind, began, now - began, outcome))

    async def request(
        self,
        kind: str,
        method: str,
        path: str,
        body: object = None,
        *,
        good: Collection[int] = (200, 201, 202, 204),
        also: Collection[int] = (),
        at: Origin | None = None,
        unsure: Asked | None = None,
        data: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """Ask, and ask again as long as `patience` lasts. `also` are statuses that this case may bring beside the good
        ones. `unsure` is what an attempt may have begun unheard. Raises GaveUp."""
        deadline = time.monotonic() + self.patience
        origin: Origin = at or self.on.other()
        while True:
            began = self.book.now
            try:
                async with self.client.session.request(
                    method,
                    origin.url + path,
                    json=body,
                    data=data() if callable(data) else data,
                    headers=self.client.person.headers | (headers or {}),
                ) as response:
                    reply = await answered(response)
            except (aiohttp.ClientError, TimeoutError):
                self.note(kind, began, LOST)
                if unsure is not None:
                    unsure.unknown += 1
                outcome, wait = LOST, 0.1
            else:
                if reply.status in good or reply.status in also:
                    self.note(kind, began, "ok")
                    return reply
                outcome, wait = self.refused(kind, began, f"{method} {path}", reply)
            if outcome not in RETRYABLE or time.monotonic() > deadline:
                raise GaveUp(outcome)
            await asyncio.sleep(wait)
            origin = self.on.other(origin.url)

    def refused(self, kind: str, began: float, request: str, reply: Reply) -> tuple[str, float]:
        """Note a problem; its code, and how long to wait then. One that nobody should be told is a violation."""
        code = reply.body.get("code") if isinstance(reply.body, dict) else None
        if isinstance(reply.body, dict) and isinstance(reply.body.get("error"), dict):  # the surface of OpenAI's API
            code = reply.body["error"].get("code") or reply.body["error"].get("type")
        # `/v1/chat` answers with words
        code = code or _CODES.get(str(reply.body))
        outcome = {"rate_limit_exceeded": "rate_limited"}.get(str(code), str(code))
        self.note(kind, began, outcome)
        if outcome not in RETRYABLE or reply.status not in (429, 503):
            self.book.violated(f"{request} was answered with {reply.status} {reply.body}")
        elif "retry-after" not in reply.headers:
            self.book.violated(f"{request} was answered with {reply.status} {outcome} without Retry-After")
        return outcome, min(float(reply.headers.get("retry-after", 1)), LONGEST_WAIT)

    @asynccontextmanager
    async def streaming(
        self, at: Origin, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """A response that is read as it comes. Leaving closes the connection."""
        response = await self.client.session.request(
            method,
            at.url + path,
            json=body,
            headers={"Accept": "text/event-stream"} | (headers or {}) | self.client.person.headers,
        )
        try:
            yield response
        finally:
            response.close()

    async def conversation(self) -> str:
        """One of mine, or a new one."""
        if len(self.conversations) < 3 or self.chance.random() < 0.1:
            reply = await self.request("conversation", "POST", "/v1/conversations", {})
            self.conversations.append(reply.body["id"])
            return self.conversations[-1]
        return self.chance.choice(self.conversations)

    def body(self, asked: Asked, **more: Any) -> dict[str, Any]:
        """A third of all messages ask for the second provider."""
        chosen = {"provider": "claude"} if self.chance.random() < 0.33 else {}
        return {"content": content(asked.script), **chosen, **more}


async def answered(response: aiohttp.ClientResponse) -> Reply:
    """The whole answer. JSON is parsed, anything else is text."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    raw = await response.read()
    is_json = headers.get("content-type", "").partition(";")[0] in ("application/json", "application/problem+json")
    return Reply(response.status, json.loads(raw) if is_json else raw.decode(), headers)
