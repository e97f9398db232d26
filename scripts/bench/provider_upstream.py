"""A server that imitates all four providers for the bench: 50 tokens per reply, each in its own write.

`python -m scripts.bench.provider_upstream PORT`. The path decides which provider it imitates.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import ClassVar

import uvloop

from scripts.bench.wire import Connection

TOKENS = 50
LIFETIME_SECONDS = 600

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = [f"tok{number} " for number in range(TOKENS)]


def encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def openai_events() -> list[bytes]:
    """Events as api.openai.com sends them."""
    same = {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "gpt-5-mini",
        "service_tier": "default",
        "system_fingerprint": "fp_0123456789",
    }

    def event(delta: dict[str, object], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return b"data: %b\n\n" % encoded({**same, "choices": [choice], "usage": None, "obfuscation": "1a2B3c4D5e"})

    usage = {"prompt_tokens": 12, "completion_tokens": TOKENS, "total_tokens": 12 + TOKENS}
    return [
        event({"role": "assistant", "content": "", "refusal": None}),
        *(event({"content": word}) for word in WORDS),
        event({}, "stop"),
        b"data: %b\n\n" % encoded({**same, "choices": [], "usage": usage}),
        b"data: [DONE]\n\n",
    ]


def claude_events() -> list[bytes]:
    """Events as api.anthropic.com sends them."""
    usage = {
        "input_tokens": 12,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 1,
        "service_tier": "standard",
    }
    message: dict[str, object] = {
        "id": "msg_0123456789",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }
    events: list[dict[str, object]] = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": TOKENS},
        },
        {"type": "message_stop"},
    ]
    return [b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), encoded(event)) for event in events]


def gemini_events() -> list[bytes]:
    """Events as generativelanguage.googleapis.com sends them, but with one token each."""
    usage = {"promptTokenCount": 12, "candidatesTokenCount": TOKENS, "totalTokenCount": 12 + TOKENS}

    def event(word: str, **more: object) -> bytes:
        candidate = {"content": {"parts": [{"text": word}], "role": "model"}, "index": 0, **more}
        answer = {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": "gemini-3.8-flash",
            "responseId": "0123456789",
        }
        return b"data: %b\r\n\r\n" % encoded(answer)

    return [*map(event, WORDS), event("", finishReason="STOP")]


def ollama_lines() -> list[bytes]:
    """Lines as Ollama sends them."""
    same = {"model": "llama3.2", "created_at": "2026-01-01T00:00:00.000000000Z"}
    counts = {"done_reason": "stop", "total_duration": 1, "prompt_eval_count": 12, "eval_count": TOKENS}
    lines = [{**same, "message": {"role": "assistant", "content": word}, "done": False} for word in WORDS]
    end = {**same, "message": {"role": "assistant", "content": ""}, "done": True, **counts}
    return [encoded(line) + b"\n" for line in [*lines, end]]


class Provider(Connection):
    """Answers every request with the stream of the provider that the path names."""

    wires: ClassVar[dict[bytes, tuple[bytes, list[bytes]]]] = {
        b"/chat/completions": (b"text/event-stream; charset=utf-8", openai_events()),
        b"/messages": (b"text/event-stream; charset=utf-8", claude_events()),
        b":streamGenerateContent": (b"text/event-stream", gemini_events()),
        b"/api/chat": (b"application/x-ndjson", ollama_lines()),
    }
    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    def handle(self, path: bytes, head: bytes, body: bytes) -> None:
        wire = next((wire for ending, wire in self.wires.items() if path.partition(b"?")[0].endswith(ending)), None)
        if wire is None:
            self.reply(b"{}")
            return
        task = asyncio.get_running_loop().create_task(self._stream(*wire))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _stream(self, content_type: bytes, events: list[bytes]) -> None:
        self._write(HEAD % content_type)
        for number, event in enumerate(events):
            self._write(b"%x\r\n%b\r\n" % (len(event), event))
            if number % 8 == 7:
                await asyncio.sleep(0)  # let other streams run
        self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=2048)
    async with server:
        await asyncio.wait({asyncio.create_task(server.serve_forever())}, timeout=LIFETIME_SECONDS)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
