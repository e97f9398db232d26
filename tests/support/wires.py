"""Each provider's wire: the bytes of a reply's parts, for servers that play them."""

from __future__ import annotations

import json
from dataclasses import dataclass

from app.values import ProviderName


def sse(*values: object, name: bool = False) -> bytes:
    """Server-sent events, one a value, with the value's `type` as their name if wanted."""
    return b"".join(
        (f"event: {value['type']}\n" if name and isinstance(value, dict) else "").encode()
        + b"data: "
        + json.dumps(value).encode()
        + b"\n\n"
        for value in values
    )


def said(adapter: ProviderName, text: object) -> bytes:
    """An event with `text` as the text, whatever it is."""
    match adapter:
        case "openai":
            return sse({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
        case "claude":
            delta = {"type": "text_delta", "text": text}
            return sse({"type": "content_block_delta", "index": 0, "delta": delta}, name=True)
        case "gemini":
            return sse({"candidates": [{"index": 0, "content": {"parts": [{"text": text}], "role": "model"}}]})
        case _:
            return json.dumps({"message": {"role": "assistant", "content": text}, "done": False}).encode() + b"\n"


def thought(adapter: ProviderName, text: str) -> bytes:
    """An event with `text` as reasoning, as the provider itself sends it."""
    match adapter:
        case "openai":
            delta = {"content": None, "reasoning_content": text}
            return sse({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        case "claude":
            return sse(
                {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": text}},
                name=True,
            )
        case "gemini":
            return sse({"candidates": [{"index": 0, "content": {"parts": [{"text": text, "thought": True}]}}]})
        case _:
            message = {"role": "assistant", "content": "", "thinking": text}
            return json.dumps({"message": message, "done": False}).encode() + b"\n"


def called(adapter: ProviderName, *calls: tuple[str | None, str, str], signature: str | None = None) -> bytes:
    """Tool calls, each an id, a name and arguments, as the provider itself sends them: with OpenAI and Claude the
    arguments come in pieces, with the others as an object. Gemini signs the first one."""
    events = bytearray()
    for index, (call_id, name, arguments) in enumerate(calls):
        half = len(arguments) // 2
        pieces = [piece for piece in (arguments[:half], arguments[half:]) if piece]
        match adapter:
            case "openai":
                begin = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
                parts = [begin, *({"index": index, "function": {"arguments": piece}} for piece in pieces)]
                for part in parts:
                    delta: dict[str, object] = {"tool_calls": [part]}
                    events += sse({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
            case "claude":
                block: dict[str, object] = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
                events += sse({"type": "content_block_start", "index": index + 1, "content_block": block}, name=True)
                for piece in pieces:
                    delta = {"type": "input_json_delta", "partial_json": piece}
                    events += sse({"type": "content_block_delta", "index": index + 1, "delta": delta}, name=True)
                events += sse({"type": "content_block_stop", "index": index + 1}, name=True)
            case "gemini":
                function = {"name": name, "args": json.loads(arguments), **({"id": call_id} if call_id else {})}
                signed = {"thoughtSignature": signature} if signature and not index else {}
                part = {"functionCall": function, **signed}
                events += sse({"candidates": [{"index": 0, "content": {"parts": [part], "role": "model"}}]})
            case _:
                function = {"index": index, "name": name, "arguments": json.loads(arguments)}
                call = {"function": function, **({"id": call_id} if call_id else {})}
                message = {"role": "assistant", "content": "", "tool_calls": [call]}
                events += json.dumps({"message": message, "done": False}).encode() + b"\n"
    return bytes(events)


@dataclass(frozen=True)
class Wire:
    """The parts of a reply."""

    path: str
    opening: bytes
    token: bytes
    ending: bytes
    """Reason to finish, usage (12 prompt, 34 completion, 5 of the prompt cached), and the last event."""
    calling: bytes
    """Like `ending`, for a reply with tool calls."""
    filtered: bytes
    """Like `ending`, for a reply that the provider refused to finish."""
    overloaded: bytes
    """An error inside the stream."""
    whole: bytes | None
    """The JSON a server answers that ignores `stream`, with the text `token`; None where that is the same."""


def _claude(value: dict[str, object]) -> bytes:
    return sse(value, name=True)


def _claude_end(reason: str) -> bytes:
    usage = {"output_tokens": 34}
    return (
        _claude({"type": "content_block_stop", "index": 0})
        + _claude({"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage})
        + _claude({"type": "message_stop"})
    )


def _openai_end(reason: str) -> bytes:
    usage = {"prompt_tokens": 12, "completion_tokens": 34, "prompt_tokens_details": {"cached_tokens": 5}}
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": None}
    return sse(finish, {"choices": [], "usage": usage}) + b"data: [DONE]\n\n"


def _gemini_end(reason: str) -> bytes:
    usage = {
        "promptTokenCount": 12,
        "candidatesTokenCount": 30,
        "thoughtsTokenCount": 4,
        "cachedContentTokenCount": 5,
    }
    return sse({"candidates": [{"index": 0, "finishReason": reason}], "usageMetadata": usage})


_CLAUDE_USAGE = {"input_tokens": 3, "cache_creation_input_tokens": 4, "cache_read_input_tokens": 5, "output_tokens": 1}

_OLLAMA_END = b'{"message":{"content":""},"done":true,"done_reason":"stop","prompt_eval_count":12,"eval_count":34}\n'

WIRES: dict[ProviderName, Wire] = {
    ProviderName("openai"): Wire(
        path="/v1/chat/completions",
        opening=sse({"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}),
        token=said(ProviderName("openai"), "token"),
        ending=_openai_end("stop"),
        calling=_openai_end("tool_calls"),
        filtered=_openai_end("content_filter"),
        overloaded=sse({"error": {"message": "The server is overloaded", "type": "server_error", "code": None}}),
        whole=json.dumps(
            {"choices": [{"index": 0, "message": {"content": "token"}, "finish_reason": "stop"}]}
        ).encode(),
    ),
    ProviderName("claude"): Wire(
        path="/v1/messages",
        opening=_claude({"type": "message_start", "message": {"content": [], "usage": _CLAUDE_USAGE}})
        + _claude({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
        + _claude({"type": "ping"}),
        token=said(ProviderName("claude"), "token"),
        ending=_claude_end("end_turn"),
        calling=_claude_end("tool_use"),
        filtered=_claude_end("refusal"),
        overloaded=_claude({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
        whole=json.dumps(
            {
                "type": "message",
                "content": [{"type": "text", "text": "token"}],
                "stop_reason": "end_turn",
                "usage": _CLAUDE_USAGE,
            }
        ).encode(),
    ),
    ProviderName("gemini"): Wire(
        path="/v1beta/models/some-model:streamGenerateContent?alt=sse",
        opening=sse({"candidates": [{"index": 0, "content": {"role": "model"}}]}),
        token=said(ProviderName("gemini"), "token"),
        ending=_gemini_end("STOP"),
        calling=_gemini_end("STOP"),
        filtered=_gemini_end("SAFETY"),
        overloaded=sse({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}),
        whole=json.dumps(
            {"candidates": [{"content": {"parts": [{"text": "token"}]}, "finishReason": "STOP"}]}
        ).encode(),
    ),
    ProviderName("ollama"): Wire(
        path="/api/chat",
        opening=b"",
        token=said(ProviderName("ollama"), "token"),
        ending=_OLLAMA_END,
        calling=_OLLAMA_END,
        filtered=b"",
        overloaded=b'{"error":"an unexpected error was encountered"}\n',
        whole=None,
    ),
}
