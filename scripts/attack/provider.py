"""The provider of the attacks: OpenAI's API on a plain socket. It counts what it was sent.

`python -m scripts.attack.provider PORT`. The last paragraph of a prompt is a script in JSON: `id` names the attack,
`tokens` is the length of the reply, `first` and `gap` are seconds before the first token and between tokens, and with
`keep` the prompt is kept. A reply has no more tokens than the request allows. `GET /sent` returns all calls, as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from scripts.bench.upstream import HEAD, chunk, event
from scripts.bench.wire import Connection

PRICED, UNPRICED = "gpt-5-mini", "listed-without-a-price"
LIFETIME_SECONDS = 1800


@dataclass
class Sent:
    """One call. `prompt_tokens` are counted as the service estimates them: bytes by four, for each message."""

    id: str
    model: str
    prompt: str
    prompt_tokens: int
    completion_tokens: int = 0


class Provider(Connection):
    calls: ClassVar[list[Sent]] = []
    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    def handle(self, path: bytes, head: bytes, body: bytes) -> None:
        if path.endswith(b"/sent"):
            self.reply(json.dumps([asdict(call) for call in self.calls]).encode())
        elif path.endswith(b"/models"):
            listed = [{"id": id, "object": "model", "created": 1, "owned_by": "attack"} for id in (PRICED, UNPRICED)]
            self.reply(json.dumps({"object": "list", "data": listed}).encode())
        else:
            task = asyncio.get_running_loop().create_task(self._answer(json.loads(body)))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _answer(self, request: dict[str, Any]) -> None:
        texts = [message["content"] for message in request["messages"]]
        script = script_of(texts[-1])
        # the padding of long prompts is not kept
        kept = texts[-1] if script.get("keep") else ""
        call = Sent(script.get("id", ""), request["model"], kept, sum(map(tokens_of, texts)))
        self.calls.append(call)
        await asyncio.sleep(script.get("first", 0))
        wanted = script.get("tokens", 5)
        tokens = min(wanted, request.get("max_completion_tokens") or request.get("max_tokens") or wanted)
        self._write(HEAD + event({"role": "assistant", "content": ""}))
        for number in range(tokens):
            if self.transport is None:
                return
            if number and (gap := script.get("gap", 0)):
                await asyncio.sleep(gap)
            elif number % 8 == 7:
                await asyncio.sleep(0)
            self._write(event({"content": f"tok{number} "}))
            call.completion_tokens += 1
        usage = {"prompt_tokens": call.prompt_tokens, "completion_tokens": tokens}
        last = {"choices": [], "usage": usage | {"total_tokens": call.prompt_tokens + tokens}}
        ending = event({}, "stop" if tokens == wanted else "length")
        self._write(ending + chunk(b"data: " + json.dumps(last).encode() + b"\n\n") + chunk(b"data: [DONE]\n\n"))
        self._write(b"0\r\n\r\n")

    def _write(self, data: bytes) -> None:
        if self.transport is not None:
            self.transport.write(data)


def script_of(text: str) -> dict[str, Any]:
    try:
        script = json.loads(text.rpartition("\n\n")[2])
    except ValueError:
        return {}
    return script if isinstance(script, dict) else {}


def tokens_of(text: str) -> int:
    return -(-len(text.encode()) // 4)


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", port, backlog=2048)
    async with server:
        await asyncio.wait({asyncio.create_task(server.serve_forever())}, timeout=LIFETIME_SECONDS)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
