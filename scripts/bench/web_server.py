"""A server of the chat's part of the API, with replies of a given speed: what `make bench-web` measures against.

It serves the page of `scripts/bench/web` under the policy of the real one, and notes when the first bytes of each
reply's text left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import ClientConnectionResetError, web

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' data:; connect-src 'self'"
)
PARAGRAPH = (
    "The **harbour** of the old town was built in `1604`, and its light still stands where the river meets the sea. "
    "Ships of every country came for salt, cork and wine; [the records](https://example.org/records) name 412.\n\n"
)
LISTS = "- a coat, because of the wind\n- shoes for wet stone\n- **water**\n\n1. Go early.\n2. Stay late.\n"
CODE = "```python\ndef tide(hour: int) -> float:\n    # metres\n    return 2.1 * sin(hour / 6.2)\n```\n\n"
TABLE = "| port | depth | ships |\n|---|---:|---:|\n| Lisboa | 12 m | 1,204 |\n| Porto | 9 m | 310 |\n\n"
REPLIES = (
    PARAGRAPH * 2,
    f"## What to pack\n\n{PARAGRAPH}{LISTS}",
    f"{PARAGRAPH}{CODE}{PARAGRAPH}",
    f"{TABLE}{PARAGRAPH}",
    f"The energy is $E = mc^2$, and a ticket costs $5.\n\n{PARAGRAPH}> Nothing is so sure as the tide.\n",
)


@dataclass
class Script:
    """How the next reply comes: its pieces, the seconds between two, and those before the first."""

    pieces: list[str]
    gap: float
    wait: float = 0.05


@dataclass
class ChatServer:
    """The server. Every path beside the API's is the page of `build`."""

    build: Path
    script: Script = field(default_factory=lambda: Script(tokens(PARAGRAPH * 4), 0.02))
    conversations: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    first_bytes: list[float] = field(default_factory=list)
    """When the first text of each reply was written, in seconds of `time.time()`."""
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> ChatServer:
        app = web.Application()
        app.router.add_get("/v1/conversations/{id}/messages", self._messages)
        app.router.add_post("/v1/chat", self._chat)
        app.router.add_get("/v1/chat/{id}/stream", self._nothing)
        app.router.add_get("/v1/{rest:.*}", self._empty)
        app.router.add_get("/{path:.*}", self._page)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def conversation(self, length: int) -> str:
        """A conversation of so many messages; its id."""
        id_ = str(uuid.uuid4())
        self.conversations[id_] = list(exchange(id_, length))
        return id_

    async def _messages(self, request: web.Request) -> web.Response:
        messages = self.conversations.get(request.match_info["id"], [])
        before = request.query.get("before")
        end = next((at for at, one in enumerate(messages) if one["id"] == before), len(messages))
        limit = int(request.query.get("limit", "50"))
        page = messages[max(0, end - limit) : end]
        return web.json_response({"items": page[::-1], "next_cursor": page[0]["id"] if end > limit else None})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        messages = self.conversations[body["id"]]
        asked = "".join(part.get("text", "") for part in body["messages"][-1]["parts"])
        question = message(body["id"], "user", asked, messages[-1]["id"] if messages else None)
        reply = message(body["id"], "assistant", "", question["id"])
        answer = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "x-vercel-ai-ui-message-stream": "v1"}
        )
        await answer.prepare(request)

        async def send(**chunk: Any) -> None:
            await answer.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")

        with contextlib.suppress(ClientConnectionResetError):  # the page has left
            await send(type="start", messageId=reply["id"], messageMetadata={"status": "streaming"})
            await send(type="text-start", id="0")
            await asyncio.sleep(self.script.wait)
            start = time.perf_counter()
            for at, piece in enumerate(self.script.pieces):
                await asyncio.sleep(max(0.0, start + at * self.script.gap - time.perf_counter()))
                if not at:
                    self.first_bytes.append(time.time())
                await send(type="text-delta", id="0", delta=piece)
            reply["content"] = "".join(self.script.pieces)
            messages += [question, reply]
            await send(type="text-end", id="0")
            await send(type="message-metadata", messageMetadata={"status": "complete"})
            await send(type="finish", finishReason="stop")
            await answer.write(b"data: [DONE]\n\n")
        return answer

    async def _nothing(self, _: web.Request) -> web.Response:
        return web.Response(status=204)

    async def _empty(self, _: web.Request) -> web.Response:
        return web.json_response({"items": [], "next_cursor": None, "default": None})

    async def _page(self, request: web.Request) -> web.StreamResponse:
        file = self.build / request.match_info["path"]
        return web.FileResponse(
            file if file.is_file() else self.build / "index.html", headers={"Content-Security-Policy": POLICY}
        )


def message(conversation: str, role: str, content: str, parent: str | None) -> dict[str, Any]:
    """A message as the API gives it."""
    reply = role == "assistant"
    usage = {"prompt_tokens": 412, "completion_tokens": 96, "cached_tokens": 0, "reasoning_tokens": 0}
    return {
        "id": str(uuid.uuid4()),
        "conversation_id": conversation,
        "role": role,
        "content": content,
        "reasoning": "",
        "status": "complete",
        "parent_id": parent,
        "version": 1,
        "siblings": None,
        "seq": 1,
        "provider": "openai" if reply else None,
        "model": "gpt-5-mini" if reply else None,
        "finish_reason": "stop" if reply else None,
        "error_code": None,
        "problem": None,
        "sources": None,
        "usage": usage | {"cost_micro_usd": 812} if reply else None,
        "tokens_used": 508 if reply else None,
        "cost_micro_usd": 812 if reply else None,
        "flagged": None,
        "feedback": None,
        "created_at": "2026-11-28T12:00:00+00:00",
        "updated_at": "2026-11-28T12:00:00+00:00",
    }


def exchange(conversation: str, length: int) -> Iterator[dict[str, Any]]:
    """Questions and replies of every form, in turn."""
    parent = None
    for at in range(length):
        role = "assistant" if at % 2 else "user"
        content = REPLIES[at // 2 % len(REPLIES)] if at % 2 else f"What about the harbour, part {at // 2 + 1}?"
        one = message(conversation, role, content, parent)
        parent = one["id"]
        yield one


def tokens(text: str) -> list[str]:
    """The text in pieces of a token's length."""
    return [text[at : at + 4] for at in range(0, len(text), 4)]
