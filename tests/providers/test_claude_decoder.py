"""Claude's stream."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import (
    AuthenticationRefused,
    BrokenStream,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
)
from app.providers.claude.wire import ClaudeDecoder
from app.values import Finish, FinishReason, Usage
from tests.providers.reading import read, sse


def start(**usage: int) -> dict[str, Any]:
    return {"type": "message_start", "message": {"content": [], "usage": usage}}


def text_delta(text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}


def stop(reason: str | None, **usage: int) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}


END: dict[str, Any] = {"type": "message_stop"}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("tool_use", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
    ],
)
def test_claude_reasons(reason: str, finish: FinishReason) -> None:
    stream = sse(start(), text_delta("Hi"), stop(reason), END)
    text, end = read(ClaudeDecoder("m"), stream)
    assert isinstance(end, Finish)
    assert (text, end.reason) == ("Hi", finish)


def test_claude_usage_is_the_last_count_of_each_kind() -> None:
    counts = start(input_tokens=3, cache_creation_input_tokens=4, cache_read_input_tokens=5, output_tokens=1)
    stream = sse(counts, text_delta("Hi"), stop("end_turn", output_tokens=20), END)
    assert read(ClaudeDecoder("m"), stream)[1] == Finish("stop", Usage(12, 20, 5))


def test_claude_passes_over_what_is_not_text() -> None:
    stream = sse(
        start(),
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "Hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": "H"}},
        text_delta("i"),
        {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": {}}},
        {"type": "brand_new_event", "delta": {"type": "text_delta", "text": "No"}},
        stop("end_turn"),
        END,
    )
    assert read(ClaudeDecoder("m"), stream)[0] == "Hi"


@pytest.mark.parametrize("data", ["{}", "[]", "ok", '{"type": "new", "delta": "No", "usage": "x", "message": 1}'])
def test_claude_passes_over_new_events_whatever_their_data(data: str) -> None:
    before, after = sse(start(), text_delta("H")), sse(text_delta("i"), stop("end_turn"), END)
    stream = before + f"event: new\ndata: {data}\n\n".encode() + after
    text, end = read(ClaudeDecoder("m"), stream)
    assert isinstance(end, Finish)
    assert text == "Hi"


def test_claude_without_its_last_event_is_finished_by_the_reason() -> None:
    text, end = read(ClaudeDecoder("m"), sse(start(), text_delta("Hi"), stop("end_turn")))
    assert text == "Hi"
    assert isinstance(end, Finish)


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([stop("refusal"), END], ContentFiltered),
        ([stop("content_filter"), END], ContentFiltered),
        ([stop(None), END], BrokenStream),
        ([END], BrokenStream),
        ([{"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}], ServerError),
        ([{"type": "error", "error": {"type": "api_error"}}], ServerError),
        ([{"type": "error"}], ServerError),
        ([{"type": "error", "error": {"type": "rate_limit_error"}}], Throttled),
        ([{"type": "error", "error": {"type": "billing_error"}}], QuotaExhausted),
        ([{"type": "error", "error": {"type": "permission_error"}}], AuthenticationRefused),
        ([{"type": "error", "error": {"type": "not_found_error"}}], ModelNotFound),
        ([{"type": "error", "error": {"type": "invalid_request_error"}}], RequestRefused),
        (
            [{"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}],
            ContextTooLong,
        ),
    ],
)
def test_claude_failures(events: list[dict[str, Any]], kind: type[ProviderError]) -> None:
    text, failure = read(ClaudeDecoder("m"), sse(start(), text_delta("Hi"), *events))
    assert text == "Hi"
    assert type(failure) is kind
