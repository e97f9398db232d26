"""A fake provider for the bench. It has OpenAI's API, and sends each token in its own write, as real providers do.

`python -m scripts.bench.upstream PORT`. The model's name sets the reply: `fake-<tokens>-<gap ms>-<first token ms>`.
With `-timed` behind it, each token holds when it was sent.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from typing import ClassVar

from scripts.bench.wire import Connection

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
MODEL = re.compile(rb'"model"\s*:\s*"fake-(\d+)-(\d+)-(\d+)(-timed)?"')
MODELS = ("fake-50-0-0", "fake-20-50-0", "fake-60-50-0", "fake-60-50-0-timed", "fake-200-50-0", "fake-60-1000-0")
LIFETIME_SECONDS = 1800


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(content), content)


def event(delta: dict[str, str], finish: str | None = None) -> bytes:
    body = {
        "id": "chatcmpl-0123456789",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "fake",
        "system_fingerprint": "fp",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}],
    }
    return chunk(b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n")


class Provider(Connection):
    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    def handle(self, path: bytes, head: bytes, body: bytes) -> None:
        match = MODEL.search(body)
        if match is None:
            listed = [{"id": id, "object": "model", "created": 1, "owned_by": "bench"} for id in MODELS]
            self.reply(json.dumps({"object": "list", "data": listed}).encode())
            return
        tokens, gap, first = (int(part) for part in match.groups()[:3])
        timed = match[4] is not None
        task = asyncio.get_running_loop().create_task(self._stream(tokens, gap / 1000, first / 1000, timed=timed))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _stream(self, tokens: int, gap: float, first: float, *, timed: bool) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(first)
        self._write(HEAD + event({"role": "assistant", "content": ""}))
        started = loop.time()
        for index in range(tokens):
            if gap:
                await asyncio.sleep(max(0.0, started + index * gap - loop.time()))
            elif index % 8 == 7:
                await asyncio.sleep(0)
            sent = f"@{time.perf_counter_ns()}@" if timed else ""
            self._write(event({"content": f"tok{index} {sent}"}))
        usage = {"prompt_tokens": 12, "completion_tokens": tokens, "total_tokens": 12 + tokens}
        last = chunk(b"data: " + json.dumps({"choices": [], "usage": usage}).encode() + b"\n\n")
        self._write(event({}, "stop") + last + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=2048)
    async with server:
        await asyncio.wait({asyncio.create_task(server.serve_forever())}, timeout=LIFETIME_SECONDS)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
