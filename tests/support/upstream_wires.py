"""How the scripted provider speaks: the events of a reply, in OpenAI's API or in Claude's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from app.values import ProviderName
from tests.support.wires import said, sse, thought

CLAUDE = ProviderName("claude")


class Spoken(Protocol):
    """One API. Each part of a reply is the bytes of one write."""

    name: str

    def opening(self, model: str) -> bytes: ...
    def thought(self, model: str, text: str) -> bytes: ...
    def token(self, model: str, text: str) -> bytes: ...
    def call(self, model: str, part: Any) -> bytes: ...
    def ending(self, model: str, reason: str, usage: dict[str, int]) -> Sequence[bytes]: ...
    def messages(self, body: dict[str, Any]) -> list[dict[str, Any]]: ...
    def models(self, names: Sequence[str]) -> dict[str, Any]: ...
    def error(self, message: str, code: object) -> dict[str, Any]: ...


class _OpenAI:
    name = "openai"

    def opening(self, model: str) -> bytes:
        return self._event(model, {"role": "assistant", "content": ""})

    def thought(self, model: str, text: str) -> bytes:
        return self._event(model, {"content": None, "reasoning_content": text})

    def token(self, model: str, text: str) -> bytes:
        return self._event(model, {"content": text})

    def call(self, model: str, part: Any) -> bytes:
        return self._event(model, {"tool_calls": [part]})

    def ending(self, model: str, reason: str, usage: dict[str, int]) -> Sequence[bytes]:
        counted = {**usage, "total_tokens": sum(usage.values())}
        last = {"id": "c", "object": "chat.completion.chunk", "choices": [], "usage": counted}
        return self._event(model, {}, reason), sse(last), b"data: [DONE]\n\n"

    def messages(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = body["messages"]
        return found

    def models(self, names: Sequence[str]) -> dict[str, Any]:
        rows = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in names]
        return {"object": "list", "data": rows}

    def error(self, message: str, code: object) -> dict[str, Any]:
        return {"error": {"message": message, "type": "scripted", "code": code}}

    def _event(self, model: str, delta: dict[str, Any], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return sse({"id": "c", "object": "chat.completion.chunk", "model": model, "choices": [choice]})


class _Claude:
    """Without tools."""

    name = "claude"

    def opening(self, model: str) -> bytes:
        # Anthropic counts the prompt at once; its first count of the reply means nothing
        usage = {"input_tokens": PROMPT_TOKENS, "output_tokens": 1}
        return sse(
            {"type": "message_start", "message": {"id": "m", "model": model, "content": [], "usage": usage}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            name=True,
        )

    def thought(self, model: str, text: str) -> bytes:
        return thought(CLAUDE, text)

    def token(self, model: str, text: str) -> bytes:
        return said(CLAUDE, text)

    def call(self, model: str, part: Any) -> bytes:
        raise NotImplementedError

    def ending(self, model: str, reason: str, usage: dict[str, int]) -> Sequence[bytes]:
        delta = {"stop_reason": {"stop": "end_turn", "length": "max_tokens"}.get(reason, reason)}
        counted = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
        return (
            sse({"type": "content_block_stop", "index": 0}, name=True),
            sse({"type": "message_delta", "delta": delta, "usage": counted}, name=True),
            sse({"type": "message_stop"}, name=True),
        )

    def messages(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        system = body.get("system", "")
        first = [{"role": "system", "content": system}] if system else []
        return [*first, *body["messages"]]

    def models(self, names: Sequence[str]) -> dict[str, Any]:
        return {"data": [{"type": "model", "id": name, "display_name": name} for name in names], "has_more": False}

    def error(self, message: str, code: object) -> dict[str, Any]:
        return {"type": "error", "error": {"type": "scripted", "message": message}}


PROMPT_TOKENS = 7
"""What it counts for every prompt."""
OPENAI_API: Spoken = _OpenAI()
CLAUDE_API: Spoken = _Claude()


def spoken_in(head: bytes) -> Spoken:
    """Whose API a request is of."""
    return CLAUDE_API if b"anthropic-version" in head.lower() else OPENAI_API
