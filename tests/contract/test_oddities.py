"""What real servers send beside the standard: passed over where nobody needs it, an error where text is missing."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import (
    AuthenticationRefused,
    BrokenStream,
    ContentFiltered,
    ContextTooLong,
    EmptyReply,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
)
from app.providers import answers
from app.providers.wire.framing import EVENT_LIMIT
from app.values import Delta, Finish, FinishReason, ProviderName
from tests.contract.conftest import ask, collect, heard, served
from tests.support.raw_upstream import Exchange
from tests.support.wires import WIRES, said, sse

pytestmark = pytest.mark.usefixtures("default_log")

OPENAI, CLAUDE, GEMINI, OLLAMA = map(ProviderName, ("openai", "claude", "gemini", "ollama"))
SOON = 5


def event(adapter: ProviderName, value: object) -> bytes:
    return json.dumps(value).encode() + b"\n" if adapter == OLLAMA else sse(value)


async def reply(adapter: ProviderName, *chunks: bytes, content_type: str = "text/event-stream") -> tuple[str, Finish]:
    async def answer(exchange: Exchange) -> None:
        exchange.start(content_type=content_type)
        exchange.send(*chunks)

    async with served(adapter, answer) as (provider, _):
        return await collect(provider, ask())


async def failure(adapter: ProviderName, *chunks: bytes) -> ProviderError:
    with pytest.raises(ProviderError) as raised:
        await reply(adapter, *chunks)
    return raised.value


# ── what is passed over ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "payload",
    [
        b"null",
        b"[]",
        b"{}",
        b'""',
        b"12",
        b"true",
        b"keep-alive",
        b"[null]",
        b'{"type": "brand_new", "delta": "x", "message": null, "candidates": null, "choices": null}',
        b'{"object": "status", "progress": {"percent": 7}}',
    ],
)
async def test_event_of_nobody(adapter: ProviderName, payload: bytes) -> None:
    odd = payload + b"\n" if adapter == OLLAMA else b"data: " + payload + b"\n\n"
    wire = WIRES[adapter]
    text, finish = await reply(adapter, wire.opening, odd, wire.token, odd, wire.token, odd, wire.ending)

    assert (text, finish.reason) == ("tokentoken", "stop")


@pytest.mark.parametrize("image", ["iVBORw0KGgo" * (EVENT_LIMIT // 4), "not base64 " * (EVENT_LIMIT // 4)])
async def test_image_of_megabytes(adapter: ProviderName, image: str) -> None:
    match adapter:
        case "openai":
            part: object = {
                "choices": [{"delta": {"images": [{"image_url": {"url": f"data:image/png;base64,{image}"}}]}}]
            }
        case "claude":
            source = {"type": "base64", "data": image}
            part = {"type": "content_block_start", "content_block": {"type": "image", "source": source}}
        case "gemini":
            part = {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": image}}]}}]}
        case _:
            part = {"message": {"role": "assistant", "content": "", "images": [image]}, "done": False}
    wire = WIRES[adapter]
    text, finish = await reply(adapter, wire.opening + wire.token, event(adapter, part), wire.token + wire.ending)

    assert (text, finish.reason) == ("tokentoken", "stop")


async def test_reason_to_finish_beside_an_image_of_megabytes() -> None:
    """As Gemini's image models send it, in one event."""
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo" * (EVENT_LIMIT // 4)}}
    candidate = {"content": {"parts": [image, {"text": "Here."}]}, "finishReason": "STOP"}
    text, finish = await reply(GEMINI, sse({"candidates": [candidate], "usageMetadata": {"promptTokenCount": 9}}))

    assert (text, finish.reason) == ("Here.", "stop")
    assert finish.usage is not None
    assert finish.usage.prompt_tokens == 9


ODD_FIELDS: dict[str, list[dict[str, Any]]] = {
    "openai": [
        {"error": None},
        {"error": False},
        {"error": ""},
        {"error": {}},
        {"error": {"code": None, "message": ""}},
        {"error": 0},
        {"usage": "none"},
        {"usage": []},
        {"usage": {"prompt_tokens": "many", "completion_tokens": None, "total_tokens": -1}},
        {"usage": {"prompt_tokens": 1, "prompt_tokens_details": [], "completion_tokens_details": "x"}},
        {"choices": None},
        {"choices": []},
        {"choices": {}},
        {"choices": [None]},
        {"choices": [{"index": "0", "delta": {"content": "!"}}]},
        {"choices": [{"index": None, "delta": None}]},
        {"choices": [{"index": 0, "delta": []}]},
        {"choices": [{"index": 0, "delta": {"content": None, "reasoning": False, "refusal": None}}]},
        {"choices": [{"index": 0, "delta": {"content": []}}]},
        {"choices": [{"index": 0, "delta": {"content": [{"type": "image_url", "image_url": {"url": "x"}}]}}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": ""}]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "null"}]},
        {"choices": [{"index": 0, "delta": {}, "error": {}}]},
        {"x_groq": 7, "model": None, "id": 12},
    ],
    "claude": [
        {"type": "message_start", "message": None},
        {"type": "message_start", "message": {"usage": "x"}},
        {"type": "message_delta", "delta": {"stop_reason": None}, "usage": {"output_tokens": "x"}},
        {"type": "message_delta", "delta": None, "usage": None},
        {"type": "message_delta", "delta": [], "usage": []},
        {"type": "content_block_start", "content_block": None},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": None}},
        {"type": "content_block_delta", "delta": {"type": 7}},
        {"type": "content_block_delta", "delta": {"type": "thinking_delta", "thinking": None}},
        {"type": "ping", "error": None},
        {"error": {}},
        {"type": None},
    ],
    "gemini": [
        {"error": None},
        {"error": {}},
        {"candidates": None},
        {"candidates": []},
        {"candidates": {}},
        {"candidates": [None]},
        {"candidates": [{"index": "0", "content": {"parts": [{"text": "!"}]}}]},
        {"candidates": [{"content": None}]},
        {"candidates": [{"content": []}]},
        {"candidates": [{"content": {"parts": None}}]},
        {"candidates": [{"content": {"parts": [None, {"text": None}]}}]},
        {"candidates": [{"finishReason": None}]},
        {"candidates": [{"finishReason": "FINISH_REASON_UNSPECIFIED"}]},
        {"usageMetadata": []},
        {"usageMetadata": {"promptTokenCount": "x", "candidatesTokenCount": {}}},
        {"promptFeedback": {}},
        {"promptFeedback": {"blockReason": "BLOCK_REASON_UNSPECIFIED"}},
        {"promptFeedback": []},
    ],
    "ollama": [
        {"error": None},
        {"error": ""},
        {"error": {}},
        {"message": None, "done": False},
        {"message": [], "done": False},
        {"message": {"content": None, "thinking": None}, "done": False},
        {"message": {"content": [{"type": "image"}]}, "done": False},
        {"message": {"content": ""}, "done": None, "eval_count": "x"},
    ],
}


@pytest.mark.parametrize(
    ("adapter", "odd"), [(name, odd) for name, odds in ODD_FIELDS.items() for odd in odds], indirect=["adapter"]
)
async def test_field_of_an_unexpected_shape(adapter: ProviderName, odd: dict[str, Any]) -> None:
    wire = WIRES[adapter]
    text, finish = await reply(adapter, wire.opening, wire.token, event(adapter, odd), wire.token, wire.ending)

    assert (text.replace("!", ""), finish.reason) == ("tokentoken", "stop")
    assert finish.usage is not None
    assert (finish.usage.prompt_tokens, finish.usage.completion_tokens) == (12, 34)


@pytest.mark.parametrize("adapter", ["openai", "claude", "ollama"], indirect=True)
@pytest.mark.parametrize(
    "content",
    [
        ["to", "ken"],
        [{"type": "text", "text": "token"}],
        [{"type": "text", "text": "to"}, {"type": "image_url"}, {"text": "ken"}],
        {"type": "output_text", "text": "token"},
        [{"type": "text", "text": {"value": "token"}}],
    ],
)
async def test_text_in_parts(adapter: ProviderName, content: object) -> None:
    text, _ = await reply(adapter, WIRES[adapter].opening, said(adapter, content), WIRES[adapter].ending)

    assert text == "token"


async def test_text_that_is_no_text(adapter: ProviderName) -> None:
    assert isinstance(await failure(adapter, said(adapter, True), WIRES[adapter].ending), BrokenStream)


async def test_event_written_twice(adapter: ProviderName) -> None:
    wire = WIRES[adapter]
    token = wire.token.replace(b"data: ", b"data: data: ") if adapter != OLLAMA else b"data: data: " + wire.token
    assert (await reply(adapter, wire.opening, token, wire.token, wire.ending))[0] == "tokentoken"


async def test_json_that_is_not_quite_right(adapter: ProviderName) -> None:
    """Line breaks inside a string, and half a character."""
    odd = WIRES[adapter].token.replace(b"token", b"to\tk\xe4\xb8en")
    assert (await reply(adapter, WIRES[adapter].opening, odd, WIRES[adapter].ending))[0] == "to\tk\ufffden"


async def test_block_without_a_type() -> None:
    stream = sse({"type": "content_block_delta", "index": 0, "delta": {"text": "token"}})
    assert (await reply(CLAUDE, stream, WIRES[CLAUDE].ending))[0] == "token"


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "last",
    [
        b"",
        b"data: [DONE]",
        b"data:[DONE]\n\n",
        b"data:  [DONE]  \n\n",
        b"data: [DONE]\r\n\r\n",
        b'data: "[DONE]"\n\n',
        b"data: [done]\n\n",
        b"data: DONE\n\n",
        b"event: done\ndata: [DONE]\n\n",
    ],
)
async def test_last_event(last: bytes) -> None:
    stop = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    assert (await reply(OPENAI, WIRES[OPENAI].token, stop, last))[0] == "token"


@pytest.mark.parametrize("adapter", ["openai", "claude", "gemini"], indirect=True)
@pytest.mark.parametrize("style", ["crlf", "cr", "bom", "no space", "no blank lines", "comments", "ids"])
async def test_style_of_the_events(adapter: ProviderName, style: str) -> None:
    wire = WIRES[adapter]
    stream = wire.opening + wire.token + wire.token + wire.ending
    match style:
        case "crlf":
            stream = stream.replace(b"\n", b"\r\n")
        case "cr":
            stream = stream.replace(b"\n", b"\r")
        case "bom":
            stream = b"\xef\xbb\xbf" + stream
        case "no space":
            stream = stream.replace(b"data: ", b"data:").replace(b"event: ", b"event:")
        case "no blank lines":
            stream = stream.replace(b"\n\n", b"\n")
        case "comments":
            stream = stream.replace(b"\n\n", b"\n\n: OPENROUTER PROCESSING\n\n")
        case "ids":
            stream = stream.replace(b"data: ", b"id: 7\nretry: 10\ndata: ")
    for size in (len(stream), 7):
        chunks = [stream[start : start + size] for start in range(0, len(stream), size)]
        text, finish = await reply(adapter, *chunks)
        assert (text, finish.reason) == ("tokentoken", "stop")


def stop_of(adapter: ProviderName, reason: str = "") -> bytes:
    """The reason to finish, and no other end."""
    match adapter:
        case "openai":
            return sse({"choices": [{"index": 0, "delta": {}, "finish_reason": reason or "stop"}]})
        case "claude":
            return sse({"type": "message_delta", "delta": {"stop_reason": reason or "end_turn"}}, name=True)
        case "gemini":
            return sse({"candidates": [{"index": 0, "finishReason": reason or "STOP"}]})
        case _:
            return event(OLLAMA, {"message": {"content": ""}, "done": True, "done_reason": reason or "stop"})


STREAMING = pytest.mark.parametrize("adapter", ["openai", "claude", "gemini"], indirect=True)
AFTERWARDS = {
    "an error": b'data: {"error": {"message": "late", "code": 500}}\n\n',
    "an event called error": b'event: error\ndata: {"error": {"type": "overloaded_error", "message": "late"}}\n\n',
    "half an event": b'data: {"choices": [{"del',
    "broken JSON": b'data: {"choices": [}\n\n',
    "text that is no text": b'data: {"choices": [{"delta": {"content": true}}]}\n\n',
    "a reason that failed": b'data: {"choices": [{"delta": {}, "finish_reason": "error"}]}\n\n',
}


@STREAMING
@pytest.mark.parametrize("late", AFTERWARDS.values(), ids=AFTERWARDS)
async def test_nothing_after_the_reason_to_finish_fails_a_reply(adapter: ProviderName, late: bytes) -> None:
    text, finish = await reply(adapter, WIRES[adapter].token, stop_of(adapter), late)

    assert (text, finish.reason) == ("token", "stop")


@STREAMING
async def test_connection_cut_after_the_reason_to_finish(adapter: ProviderName) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(WIRES[adapter].token + stop_of(adapter))
        await asyncio.sleep(0)
        exchange.abort()

    async with served(adapter, answer) as (provider, _):
        assert (await collect(provider, ask()))[0] == "token"


@STREAMING
async def test_usage_after_broken_json(adapter: ProviderName) -> None:
    _, finish = await reply(adapter, WIRES[adapter].token, stop_of(adapter), b"data: {oops\n\n", WIRES[adapter].ending)

    assert finish.usage is not None
    assert finish.usage.completion_tokens == 34


@STREAMING
async def test_provider_that_goes_on_after_a_reason_to_finish(adapter: ProviderName) -> None:
    wire = WIRES[adapter]
    text, finish = await reply(
        adapter, wire.token, stop_of(adapter), wire.token, stop_of(adapter), wire.token, wire.ending
    )

    assert (text, finish.reason) == ("token" * 3, "stop")


@pytest.mark.parametrize("adapter", ["openai", "gemini"], indirect=True)
async def test_text_after_the_only_reason_to_finish(adapter: ProviderName) -> None:
    text, finish = await reply(adapter, WIRES[adapter].token, stop_of(adapter), WIRES[adapter].token)

    assert (text, finish.reason) == ("tokentoken", "stop")


@STREAMING
async def test_reason_before_any_text_is_not_the_replys(adapter: ProviderName) -> None:
    """As translators send it that stamp a reason on every event without text."""
    wire = WIRES[adapter]
    text, finish = await reply(adapter, stop_of(adapter), stop_of(adapter), wire.token, wire.ending)
    assert (text, finish.reason) == ("token", "stop")

    assert isinstance(await failure(adapter, stop_of(adapter), wire.token), BrokenStream)


@STREAMING
async def test_connection_cut_after_the_provider_went_on(adapter: ProviderName) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(WIRES[adapter].token + stop_of(adapter) + WIRES[adapter].token)
        await asyncio.sleep(0)
        exchange.abort()

    async with served(adapter, answer) as (provider, _):
        with pytest.raises(BrokenStream):
            await collect(provider, ask())


@STREAMING
async def test_provider_that_goes_on_late(adapter: ProviderName) -> None:
    seen = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(WIRES[adapter].token + stop_of(adapter))
        await asyncio.wait_for(seen.wait(), SOON)
        exchange.send(WIRES[adapter].token + WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert await heard(events) == Delta("token")
        seen.set()
        assert await heard(events) == Delta("token")
        assert isinstance(await heard(events), Finish)


@STREAMING
async def test_server_that_keeps_a_finished_stream_alive(
    adapter: ProviderName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LAST_EVENTS_LIMIT_SECONDS", 0.2)

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(WIRES[adapter].token + stop_of(adapter))
        while not exchange.gone.is_set():
            exchange.send(b": ping\n\n")
            await asyncio.sleep(0.02)

    async with served(adapter, answer) as (provider, _), asyncio.timeout(SOON):
        assert (await collect(provider, ask()))[0] == "token"


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [
        (["length", "stop"], "length"),
        (["stop", "length"], "length"),
        (["stop", "stop"], "stop"),
    ],
)
async def test_repeated_reason(reasons: list[str], reason: FinishReason) -> None:
    stops = [stop_of(OPENAI, name) for name in reasons]
    assert (await reply(OPENAI, WIRES[OPENAI].token, *stops))[1].reason == reason


REASONS: list[tuple[str, str, FinishReason | type[ProviderError]]] = [
    ("openai", "eos", "stop"),
    ("openai", "eos_token", "stop"),
    ("openai", "stop_sequence", "stop"),
    ("openai", "end_turn", "stop"),
    ("openai", "COMPLETE", "stop"),
    ("openai", "tool_calls", "stop"),
    ("openai", "function_call", "stop"),
    ("openai", "max_tokens", "length"),
    ("openai", "MAX_TOKENS", "length"),
    ("openai", "model_length", "length"),
    ("openai", "max_output_tokens", "length"),
    ("openai", "model_context_window_exceeded", "length"),
    ("openai", "truncated", "length"),
    ("openai", "sensitive", ContentFiltered),
    ("openai", "content_filtered", ContentFiltered),
    ("openai", "SAFETY", ContentFiltered),
    ("openai", "guardrail_intervened", ContentFiltered),
    ("openai", "ERROR_TOXIC", ContentFiltered),
    ("openai", "endoftext", "stop"),
    ("openai", "<|eot_id|>", "stop"),
    ("openai", "hit_eos", "stop"),
    ("openai", "appended", BrokenStream),
    ("openai", "network_error", ServerError),
    ("openai", "abort", ServerError),
    ("openai", "aborted", ServerError),
    ("openai", "timeout", ServerError),
    ("openai", "insufficient_system_resource", ServerError),
    ("openai", "banana", BrokenStream),
    ("openai", "unknown", BrokenStream),
    ("claude", "stop", "stop"),
    ("claude", "length", "length"),
    ("claude", "network_error", ServerError),
    ("claude", "sensitive", ContentFiltered),
    ("claude", "banana", BrokenStream),
    ("gemini", "stop", "stop"),
    ("gemini", "length", "length"),
    ("gemini", "BLOCKLIST", ContentFiltered),
    ("gemini", "MODEL_ARMOR", ContentFiltered),
    ("gemini", "NEW_SAFETY_THING", ContentFiltered),
    ("gemini", "PUP_LIMITED_DISABLED", ServerError),
    ("gemini", "OTHER", EmptyReply),
    ("gemini", "MALFORMED_FUNCTION_CALL", EmptyReply),
    ("gemini", "RECITATION", ContentFiltered),
    ("gemini", "BANANA", BrokenStream),
    ("ollama", "load", EmptyReply),
    ("ollama", "error", ServerError),
    ("ollama", "max_tokens", "length"),
    ("ollama", "banana", BrokenStream),
]


async def test_reason_to_finish_as_an_object() -> None:
    stop = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": {"type": "length", "length": 9}}]})
    assert (await reply(OPENAI, WIRES[OPENAI].token, stop))[1].reason == "length"


@pytest.mark.parametrize(("adapter", "name", "meaning"), REASONS, indirect=["adapter"])
async def test_reason_to_finish(adapter: ProviderName, name: str, meaning: FinishReason | type[ProviderError]) -> None:
    stream = WIRES[adapter].token + stop_of(adapter, name)
    if isinstance(meaning, str):
        assert (await reply(adapter, stream))[1].reason == meaning
    else:
        assert type(await failure(adapter, stream)) is meaning


@pytest.mark.parametrize(
    ("name", "word", "meaning"),
    [
        ("answer_max_reached", "max", "length"),
        ("authorization: Bearer sk-canary, budget", "budget", "length"),
        ("banana", None, None),
        ("x" * 1000, None, None),
    ],
)
async def test_of_an_unknown_reason_the_word_that_hints_at_its_meaning_is_logged(
    name: str, word: str | None, meaning: str | None
) -> None:
    """The name is a provider's own text, and may quote a key or a prompt."""
    with capture_logs() as logs:
        if meaning is None:
            await failure(OPENAI, WIRES[OPENAI].token, stop_of(OPENAI, name))
        else:
            await reply(OPENAI, WIRES[OPENAI].token, stop_of(OPENAI, name))

    (entry,) = [entry for entry in logs if entry["event"] == "provider.unknown_finish"]
    del entry["log_level"], entry["event"]
    assert entry == {"provider": "openai", "model": entry["model"], "word": word, "taken_as": meaning}


# ── errors ───────────────────────────────────────────────────────────────────────────────────────────────────────

ERRORS: list[tuple[str, bytes, type[ProviderError]]] = [
    ("openai", b'{"error": {"message": "Rate limit reached", "code": "rate_limit_exceeded"}}', Throttled),
    ("openai", b'{"object": "error", "message": "maximum context length is 10 tokens", "code": 400}', ContextTooLong),
    ("openai", b'{"detail": "Internal error"}', ServerError),
    (
        "openai",
        b'{"result": null, "success": false, "errors": [{"code": 7009, "message": "Upstream service unavailable"}]}',
        ServerError,
    ),
    ("openai", b'{"errors": [{"message": "maximum context length is 4096 tokens"}]}', ContextTooLong),
    ("openai", b'{"choices": null, "base_resp": {"status_code": 1002, "status_msg": "rate limit"}}', Throttled),
    ("openai", b'{"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}', QuotaExhausted),
    ("openai", b'{"base_resp": {"status_code": 2013, "status_msg": "context window exceeds limit"}}', ContextTooLong),
    ("openai", b'data: {"error": "bad sampling", "error_type": "validation"}\n\n', RequestRefused),
    ("openai", b'data: {"error": {"message": "no", "code": "tool_use_failed"}}\n\n', EmptyReply),
    ("openai", b'{"code": 500, "msg": "x", "message": "busy"}', ServerError),
    ("openai", b'data: {"error": "overloaded"}\n\n', ServerError),
    (
        "openai",
        b'data: {"choices": [{"delta": {"content": ""}, "error": {"code": 429, "message": "x"}}]}\n\n',
        Throttled,
    ),
    (
        "openai",
        b'event:error\n:HTTP_STATUS/400\ndata:{"code":"DataInspectionFailed","message":"Input data may contain'
        b' inappropriate content."}\n\n',
        ContentFiltered,
    ),
    ("openai", b"event: error\ndata: upstream is gone\n\n", ServerError),
    ("openai", b'{\n  "error": {\n    "message": "no",\n    "code": 401\n  }\n}\n', AuthenticationRefused),
    ("claude", b'{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}', ServerError),
    (
        "claude",
        b'event: error\ndata: {"error": {"code": 400, "message": "context size", "type": "x"}}\n\n',
        ContextTooLong,
    ),
    ("claude", b'event: error\ndata: {"code": 400, "message": "no", "type": "x"}\n\n', RequestRefused),
    ("claude", b'data: {"error": {"message": "no"}}\n\n', ServerError),
    ("gemini", b'[{"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}}]', Throttled),
    ("gemini", b'{"error": {"code": "503", "message": "busy"}}', ServerError),
    ("gemini", b'event: error\ndata: {"code": 503, "message": "busy"}\n\n', ServerError),
    ("ollama", b'{"error": {"message": "exceeds the available context size"}}\n', ContextTooLong),
    ("ollama", b'{\n  "error": "model runner has unexpectedly stopped"\n}\n', ServerError),
]


@pytest.mark.parametrize(("adapter", "body", "kind"), ERRORS, indirect=["adapter"])
async def test_error_in_place_of_a_reply(adapter: ProviderName, body: bytes, kind: type[ProviderError]) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, body)

    async with served(adapter, answer) as (provider, _):
        with pytest.raises(ProviderError) as raised:
            await collect(provider, ask())
    assert type(raised.value) is kind


async def test_gemini_without_events_is_a_list() -> None:
    chunks = [
        {"candidates": [{"content": {"parts": [{"text": "to"}]}}]},
        {"candidates": [{"content": {"parts": [{"text": "ken"}]}, "finishReason": "STOP"}]},
    ]

    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, json.dumps(chunks, indent=2).encode())

    async with served(GEMINI, answer) as (provider, _):
        text, finish = await collect(provider, ask())
    assert (text, finish.reason) == ("token", "stop")


async def test_page_in_place_of_a_reply(adapter: ProviderName) -> None:
    assert isinstance(await failure(adapter, b"<html><body>Sign in</body></html>\n\n"), BrokenStream)


async def test_refused_content_is_no_refused_key() -> None:
    """OpenRouter and xAI answer 403 to what their moderation flags."""
    for message in ("Your input was flagged for violence", "Content violates usage guidelines. Failed check: X"):

        async def answer(exchange: Exchange, message: str = message) -> None:
            exchange.reply(403, json.dumps({"error": {"code": 403, "message": message}}).encode())

        async with served(OPENAI, answer) as (provider, _):
            with pytest.raises(ContentFiltered):
                await collect(provider, ask())
