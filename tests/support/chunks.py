"""Chats as `useChat` sends and reads them: its bodies, and a reader that is as strict as the AI SDK's own."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.client import PATIENCE_SECONDS
from tests.support.described import check_component

PARTS = {"text", "reasoning"}


def new_id() -> str:
    """An id as the AI SDK makes them: 16 characters."""
    return secrets.token_hex(8)


def said(text: str, message_id: str | None = None) -> dict[str, Any]:
    """A message of the user's."""
    return {"id": message_id or new_id(), "role": "user", "parts": [{"type": "text", "text": text}]}


@dataclass
class ChatTranscript:
    """What one reader has received: the message as `useChat` then has it, and how the stream ended."""

    chunks: list[dict[str, Any]] = field(default_factory=list)
    message_id: str | None = None
    parts: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    error: str | None = None
    over: bool = False
    comments: int = 0
    titles: list[str] = field(default_factory=list)
    _open: dict[str, dict[str, Any]] = field(default_factory=dict)
    _buffer: bytes = b""

    def feed(self, piece: bytes) -> None:
        *frames, self._buffer = (self._buffer + piece).split(b"\n\n")
        for frame in frames:
            assert not self.over, f"after [DONE]: {frame!r}"
            if frame.startswith(b":"):
                self.comments += 1
            elif frame == b"data: [DONE]":
                assert self.finish_reason is not None or self.error is not None, "an end that is none"
                self.over = True
            else:
                assert frame.startswith(b"data: ")
                self._take(json.loads(frame[6:]))

    @property
    def text(self) -> str:
        return "".join(part["text"] for part in self.parts if part["type"] == "text")

    @property
    def reasoning(self) -> str:
        return "".join(part["text"] for part in self.parts if part["type"] == "reasoning")

    def _take(self, chunk: dict[str, Any]) -> None:
        check_component("UIMessageChunk", chunk)
        assert self.error is None, f"after an error: {chunk}"
        assert self.finish_reason is None, f"after the end: {chunk}"
        self.chunks.append(chunk)
        kind, _, what = chunk["type"].partition("-")
        if kind == "start":
            assert len(self.chunks) == 1
            self.message_id = chunk["messageId"]
            self.metadata |= chunk["messageMetadata"]
        elif kind in PARTS:
            if what == "start":
                part = {"type": kind, "text": "", "state": "streaming"}
                self._open[chunk["id"]] = part
                self.parts.append(part)
            elif what == "delta":
                self._open[chunk["id"]]["text"] += chunk["delta"]
            else:
                self._open.pop(chunk["id"])["state"] = "done"
        elif kind == "source":
            self.parts.append(chunk)
        elif kind == "message":
            self.metadata |= chunk["messageMetadata"]
        elif kind == "data":
            self.titles.append(chunk["data"]["title"])
        elif kind == "reset":
            self.parts.clear()
            self._open.clear()
        elif kind == "finish":
            assert not self._open
            self.finish_reason = chunk["finishReason"]
        else:
            assert kind == "error"
            self.error = chunk["errorText"]


class ChatReader:
    """A connection that reads a stream, chunk by chunk."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.transcript = ChatTranscript()
        self._pieces = response.aiter_raw()

    async def until(self, *kinds: str) -> None:
        """Read on until another chunk of these types has come."""
        seen = len(self.transcript.chunks)
        while not any(chunk["type"] in kinds for chunk in self.transcript.chunks[seen:]):
            self.transcript.feed(await anext(self._pieces))

    async def to_end(self) -> ChatTranscript:
        async for piece in self._pieces:
            self.transcript.feed(piece)
        assert self.transcript.over, f"the stream ended after {self.transcript.chunks[-1:]}"
        return self.transcript


@asynccontextmanager
async def reading_chat(client: httpx.AsyncClient, method: str, url: str, **request: Any) -> AsyncGenerator[ChatReader]:
    """Open a stream as a browser's fetch does; leaving the block closes the connection."""
    async with asyncio.timeout(PATIENCE_SECONDS), client.stream(method, url, **request) as response:
        if response.status_code != 200:
            await response.aread()
        assert response.status_code == 200, response.text
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
        yield ChatReader(response)


async def send_chat(client: httpx.AsyncClient, chat: str, *messages: dict[str, Any], **body: Any) -> ChatTranscript:
    """Send a message as `useChat` does, with all messages before it, and read its reply."""
    body = {"id": chat, "messages": list(messages), "trigger": "submit-message", **body}
    async with reading_chat(client, "POST", "/v1/chat", json=body) as reader:
        return await reader.to_end()


async def resume_chat(client: httpx.AsyncClient, chat: str) -> ChatTranscript | None:
    """What a client gets that comes back; None where there is nothing to resume."""
    response = await client.get(f"/v1/chat/{chat}/stream")
    if response.status_code == 204:
        return None
    assert response.status_code == 200, response.text
    transcript = ChatTranscript()
    transcript.feed(response.content)
    assert transcript.over
    return transcript


async def chat_messages(client: httpx.AsyncClient, chat: str) -> list[dict[str, Any]]:
    """The messages that `useChat` begins with."""
    response = await client.get(f"/v1/chat/{chat}/messages", params={"limit": 100})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items
