"""Gemini's stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import BrokenStream, ContentFiltered, ContextTooLong, EmptyReply, ProviderError, ServerError, Throttled
from app.providers.gemini.wire import GeminiDecoder
from app.values import Finish, FinishReason, Usage
from tests.providers.reading import read, sse


def candidate(text: str | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    content = {"parts": [{"text": text}]} if text is not None else {"role": "model"}
    return {"candidates": [{"content": content, "finishReason": reason, "index": 0}], **more}


@pytest.mark.parametrize(("reason", "finish"), [("STOP", "stop"), ("MAX_TOKENS", "length"), ("CONTINUATION", "length")])
def test_gemini_reasons(reason: str, finish: FinishReason) -> None:
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "cachedContentTokenCount": 4}
    stream = sse(candidate("H"), candidate("i", reason, usageMetadata=counts))
    assert read(GeminiDecoder("m"), stream) == ("Hi", Finish(finish, Usage(9, 5, 4, 3)))


def test_gemini_passes_over_what_is_not_text() -> None:
    parts = [{"text": "Hm", "thought": True}, {"functionCall": {"name": "f"}}, {"text": "Hi"}, {"text": ""}]
    stream = sse(
        {"usageMetadata": {"promptTokenCount": 9}},
        {"candidates": [{"content": {"parts": parts}}, {"index": 1, "content": {"parts": [{"text": "No"}]}}]},
        candidate(reason="FINISH_REASON_UNSPECIFIED"),
        candidate(reason="STOP"),
        {"usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 2}},
    )
    assert read(GeminiDecoder("m"), stream) == ("Hi", Finish("stop", Usage(9, 2)))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (candidate(reason="SAFETY"), ContentFiltered),
        (candidate(reason="RECITATION"), ContentFiltered),
        (candidate(reason="SOMETHING_NEW"), BrokenStream),
        (candidate(reason="MALFORMED_RESPONSE"), EmptyReply),
        (candidate(reason="OTHER"), EmptyReply),
        ({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}, ContentFiltered),
        ({"error": {"code": 503, "message": "overloaded", "status": "UNAVAILABLE"}}, ServerError),
        ({"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED"}}, Throttled),
        ({"error": {"code": 400, "message": "The input token count (9) exceeds the maximum"}}, ContextTooLong),
        ({"error": {"message": "something"}}, ServerError),
    ],
)
def test_gemini_failures(event: dict[str, Any], kind: type[ProviderError]) -> None:
    text, failure = read(GeminiDecoder("m"), sse(candidate("Hi"), event))
    assert text == "Hi"
    assert type(failure) is kind


def test_gemini_error_that_is_no_event() -> None:
    error = {"error": {"code": 500, "message": "An internal error has occurred.", "status": "INTERNAL"}}
    text, failure = read(GeminiDecoder("m"), sse(candidate("Hi")) + json.dumps(error, indent=2).encode())
    assert text == "Hi"
    assert isinstance(failure, ServerError)
