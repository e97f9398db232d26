"""A stub of Supabase with fixed answers, so that the bench measures the API process and not the embedded stack.

`python -m scripts.bench.supabase PORT`. It answers the calls of a turn, and returns their counts at `/calls`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import ClassVar

from scripts.bench.wire import Connection

LIFETIME_SECONDS = 1800
DELAY_SECONDS = 0.002
"""About the time of a round trip to a database in the same region."""

TURN = {
    "replayed": False,
    "history": [
        {"role": "user", "content": "What is a haiku?"},
        {"role": "assistant", "content": "Three lines of five, seven and five syllables."},
    ],
    "model": None,
    "untitled": False,
    "searchable": False,
    "quotas": {
        "requests": {"limit": 60, "remaining": 59, "reset": 1},
        "tokens": {"limit": 100_000, "remaining": 99_000, "reset": 1},
    },
    "models": None,
    "output_tokens": 4096,
    "passage_tokens": None,
}
"""What `begin_turn` answers beside the two messages."""


COMPLETION_MODELS = [
    {"provider": "openai", "model": f"fake-{tokens}-{gap}-0"} for tokens, gap in ((50, 0), (60, 50), (200, 50))
]


def message(id: str, role: str, parent: str | None) -> dict[str, object]:
    now = "2026-01-01T00:00:00.000000+00:00"
    empty = ("provider", "model", "finish_reason", "error_code", "sources", "prompt_tokens", "completion_tokens")
    return {
        "id": id,
        "conversation_id": "6b1f0c0e-0000-4000-8000-000000000001",
        "user_id": "6b1f0c0e-0000-4000-8000-000000000002",
        "role": role,
        "content": "Hello, write a haiku about benchmarks." if role == "user" else "",
        "status": "streaming" if role == "assistant" else "complete",
        "parent_id": parent,
        "version": 1,
        "seq": 0,
        **dict.fromkeys(empty),
        "cached_tokens": None,
        "position": 1,
        "turn": 1,
        "parent_position": None,
        "created_at": now,
        "updated_at": now,
    }


class Rest(Connection):
    calls: ClassVar[Counter[str]] = Counter()

    def handle(self, path: bytes, head: bytes, body: bytes) -> None:
        name = path.decode().rpartition("/")[2].partition("?")[0]
        if name == "calls":
            self.reply(json.dumps(self.calls).encode())
            return
        self.calls[name] += 1
        asyncio.get_running_loop().call_later(DELAY_SECONDS, self.reply, self._answer(name, body))

    @staticmethod
    def _answer(name: str, body: bytes) -> bytes:
        match name:
            case "begin_turn" | "begin_chat_turn":
                reply_id = json.loads(body)["p_reply_id"]
                user_id = "6b1f0c0e-0000-4000-8000-000000000003"
                turn = {
                    "user_message": message(user_id, "user", None),
                    "message": message(reply_id, "assistant", user_id),
                }
                return json.dumps({**TURN, **turn}).encode()
            case "journal_write":
                return b'{"stop":[],"gone":[]}'
            case "finish_replies":
                replies = json.loads(body)["p_replies"]
                return json.dumps([{"id": reply["id"], "cost_micro_usd": 12} for reply in replies]).encode()
            case "settings":
                return b'{"external":{}}'
            case "jwks.json":
                return b'{"keys":[]}'
            case "begin_completion":
                return json.dumps({"models": COMPLETION_MODELS, "output_tokens": 7800}).encode()
            case "renew_completions" | "finish_completions":
                return b"true"
            case _:
                return b"[]"


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Rest, "127.0.0.1", port, backlog=2048)
    async with server:
        await asyncio.wait({asyncio.create_task(server.serve_forever())}, timeout=LIFETIME_SECONDS)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(int(sys.argv[1])))
