"""What each decoder makes of the events of its format, in every dialect that is known."""

from __future__ import annotations

import json
from collections.abc import Callable
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
from app.messages import Delta, Finish, FinishReason, Usage
from app.providers.wire.claude import ClaudeDecoder
from app.providers.wire.decoder import Decoder
from app.providers.wire.framing import EVENT_LIMIT
from app.providers.wire.gemini import GeminiDecoder
from app.providers.wire.ollama import OllamaDecoder
from app.providers.wire.openai import OpenAIDecoder

DONE = b"data: [DONE]\n\n"
ALL: list[Callable[[str], Decoder]] = [OpenAIDecoder, ClaudeDecoder, GeminiDecoder, OllamaDecoder]


def sse(*values: object) -> bytes:
    return b"".join(b"data: " + json.dumps(value, ensure_ascii=False).encode() + b"\n\n" for value in values)


def ndjson(*values: object) -> bytes:
    return b"".join(json.dumps(value, ensure_ascii=False).encode() + b"\n" for value in values)


def read(decoder: Decoder, *reads: bytes) -> tuple[str, Finish | ProviderError]:
    """The text, and how the stream ended."""
    text = ""
    finish = None
    try:
        for data in reads:
            for event in decoder.feed(data):
                assert finish is None
                if isinstance(event, Delta):
                    text += event.text
                else:
                    finish = event
        if finish is None:
            for event in decoder.eof():
                if isinstance(event, Delta):
                    text += event.text
                else:
                    finish = event
    except ProviderError as exc:
        return text, exc
    assert finish is not None
    return text, finish


# --- what all four share


@pytest.mark.parametrize("decoder", ALL)
def test_empty_stream_is_broken(decoder: Callable[[str], Decoder]) -> None:
    text, failure = read(decoder("m"))
    assert text == ""
    assert isinstance(failure, BrokenStream)
    assert failure.model == "m"


@pytest.mark.parametrize("decoder", ALL)
@pytest.mark.parametrize(
    "payload",
    [b"nonsense", b"[]", b'"text"', b"12", b'{"choices": 7, "delta": 7, "candidates": 7, "message": 7}', b"[" * 5000],
)
def test_payload_that_is_no_event_is_broken(decoder: Callable[[str], Decoder], payload: bytes) -> None:
    prefix = b"" if decoder is OllamaDecoder else b"data: "
    assert isinstance(read(decoder("m"), prefix + payload + b"\n\n")[1], BrokenStream)


@pytest.mark.parametrize("decoder", ALL)
def test_event_beyond_the_limit_is_broken(decoder: Callable[[str], Decoder]) -> None:
    assert isinstance(read(decoder("m"), b"data: " + b"x" * EVENT_LIMIT)[1], BrokenStream)


def test_halves_of_an_emoji_are_joined() -> None:
    first, second = ({"choices": [{"delta": {"content": half}}]} for half in ("a\ud83d", "\ude00b"))
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    reads = [b"data: " + json.dumps(value).encode() + b"\n\n" for value in (first, second, end)]

    assert read(OpenAIDecoder("m"), *reads, DONE)[0] == "a😀b"
    assert read(OpenAIDecoder("m"), b"".join(reads) + DONE)[0] == "a😀b"


@pytest.mark.parametrize("half", [chr(0xD83D), chr(0xDE00)])
def test_half_an_emoji_alone_becomes_valid_text(half: str) -> None:
    chunk = {"choices": [{"delta": {"content": f"a{half}"}, "finish_reason": "stop"}]}

    text, finish = read(OpenAIDecoder("m"), b"data: " + json.dumps(chunk).encode() + b"\n\n" + DONE)

    assert text == "a\ufffd"
    assert isinstance(finish, Finish)


def test_text_before_an_error_is_given_out_first() -> None:
    decoder = OpenAIDecoder("m")
    events = decoder.feed(sse({"choices": [{"delta": {"content": "Hi"}}]}, {"error": {"message": "boom"}}))

    assert next(events) == Delta("Hi")
    with pytest.raises(ServerError):
        next(events)


def test_nothing_counts_after_the_last_event() -> None:
    chunk = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    text, finish = read(OpenAIDecoder("m"), sse(chunk) + DONE + sse(chunk, {"error": "late"}))
    assert text == "Hi"
    assert isinstance(finish, Finish)


# --- OpenAI and its dialects


def chunk(content: str | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **more}


USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


@pytest.mark.parametrize(
    ("stream", "text", "finish"),
    [
        pytest.param(
            sse(chunk("Hi"), chunk(finish="stop"), {"choices": [], "usage": USAGE}) + DONE,
            "Hi",
            Finish("stop", Usage(9, 2)),
            id="OpenAI",
        ),
        pytest.param(sse(chunk("Hi"), chunk(finish="stop")) + DONE, "Hi", Finish("stop", None), id="no usage"),
        pytest.param(
            sse(chunk("Hi"), chunk(finish="stop", usage=USAGE)) + DONE,
            "Hi",
            Finish("stop", Usage(9, 2)),
            id="usage with the finish",
        ),
        pytest.param(
            sse(chunk("Hi", usage={"prompt_tokens": 9, "completion_tokens": 1}), chunk(finish="stop", usage=USAGE)),
            "Hi",
            Finish("stop", Usage(9, 2)),
            id="usage in every chunk, no [DONE]",
        ),
        pytest.param(
            sse(chunk("Hi"), chunk(finish="stop")) + b"data: [DONE]", "Hi", Finish("stop", None), id="no blank line"
        ),
        pytest.param(
            sse(chunk(None), chunk("Hi", finish=""), chunk("", finish="stop")) + DONE,
            "Hi",
            Finish("stop", None),
            id="llama.cpp: null content, empty reason",
        ),
        pytest.param(
            sse(
                {"choices": [{"delta": {"role": "assistant"}}], "usage": None, "error": None},
                {"choices": [{"delta": {"reasoning_content": "Hm", "content": None}}]},
                chunk("Hi", finish="length"),
            ),
            "Hi",
            Finish("length", None),
            id="DeepSeek: reasoning",
        ),
        pytest.param(
            sse(chunk("Hi"), chunk(finish="stop"))
            + sse({"usage": {**USAGE, "prompt_tokens_details": {"cached_tokens": 8}}}),
            "Hi",
            Finish("stop", Usage(9, 2, 8)),
            id="usage chunk without choices, cached tokens",
        ),
        pytest.param(
            sse(chunk("Hi", finish="stop"), {"choices": [], "usage": {"prompt_tokens_details": None}}),
            "Hi",
            Finish("stop", Usage(0, 0)),
            id="usage without numbers",
        ),
        pytest.param(
            sse(
                {"choices": [{"index": 1, "delta": {"content": "No"}, "finish_reason": "length"}]}, chunk("Hi", "stop")
            ),
            "Hi",
            Finish("stop", None),
            id="only the first choice",
        ),
        pytest.param(
            json.dumps({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": USAGE}).encode(),
            "Hi",
            Finish("stop", Usage(9, 2)),
            id="a whole completion",
        ),
        pytest.param(sse(chunk("Hi", "tool_calls")), "Hi", Finish("stop", None), id="a reason that is none of ours"),
        pytest.param(
            sse(chunk("Hi", "stop")) + b'data: {"choices": [], "usa', "Hi", Finish("stop", None), id="usage cut off"
        ),
    ],
)
def test_openai(stream: bytes, text: str, finish: Finish) -> None:
    assert read(OpenAIDecoder("m"), stream) == (text, finish)


@pytest.mark.parametrize(
    ("stream", "kind"),
    [
        pytest.param(sse(chunk("Hi")) + DONE, BrokenStream, id="[DONE] without a reason"),
        pytest.param(sse(chunk("Hi")) + b'data: {"choices": [{"de', BrokenStream, id="cut off"),
        pytest.param(sse(chunk("Hi"), chunk(finish="content_filter")) + DONE, ContentFiltered, id="filter"),
        pytest.param(
            sse(chunk("Hi"), {"choices": [{"delta": {"refusal": "I cannot"}}]}, chunk(finish="stop")) + DONE,
            ContentFiltered,
            id="refusal",
        ),
        pytest.param(sse(chunk("Hi"), chunk(finish="error")) + DONE, ServerError, id="OpenRouter: failed"),
        pytest.param(sse(chunk("Hi"), {"error": {"message": "x", "type": "server_error"}}), ServerError, id="error"),
        pytest.param(sse(chunk("Hi"), {"error": "x"}), ServerError, id="error as text"),
        pytest.param(sse(chunk("Hi"), {"error": {"code": 429, "message": "slow"}}), Throttled, id="status as code"),
        pytest.param(sse(chunk("Hi"), {"error": {"code": "401"}}), AuthenticationRefused, id="status as text"),
        pytest.param(sse(chunk("Hi"), {"error": {"code": "insufficient_quota"}}), QuotaExhausted, id="no credit"),
        pytest.param(
            sse(chunk("Hi"), {"error": {"type": "invalid_request_error"}}), RequestRefused, id="the request's fault"
        ),
        pytest.param(
            sse(chunk("Hi"))
            + b'error: {"code":400,"message":"the request exceeds the available context size","type":"x"}\n\n'
            + DONE,
            ContextTooLong,
            id="llama.cpp of 2025",
        ),
        pytest.param(sse(chunk("Hi"), {"choices": [{"delta": {"content": 7}}]}), BrokenStream, id="text is no text"),
    ],
)
def test_openai_failures(stream: bytes, kind: type[ProviderError]) -> None:
    text, failure = read(OpenAIDecoder("m"), stream)
    assert text == "Hi"
    assert type(failure) is kind


# --- Claude


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
        ("something_new", "stop"),
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


def test_claude_without_its_last_event_is_finished_by_the_reason() -> None:
    text, end = read(ClaudeDecoder("m"), sse(start(), text_delta("Hi"), stop("end_turn")))
    assert text == "Hi"
    assert isinstance(end, Finish)


@pytest.mark.parametrize(
    ("events", "kind"),
    [
        ([stop("refusal"), END], ContentFiltered),
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


# --- Gemini


def candidate(text: str | None = None, reason: str | None = None, **more: Any) -> dict[str, Any]:
    content = {"parts": [{"text": text}]} if text is not None else {"role": "model"}
    return {"candidates": [{"content": content, "finishReason": reason, "index": 0}], **more}


@pytest.mark.parametrize(("reason", "finish"), [("STOP", "stop"), ("MAX_TOKENS", "length"), ("CONTINUATION", "length")])
def test_gemini_reasons(reason: str, finish: FinishReason) -> None:
    counts = {"promptTokenCount": 9, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "cachedContentTokenCount": 4}
    stream = sse(candidate("H"), candidate("i", reason, usageMetadata=counts))
    assert read(GeminiDecoder("m"), stream) == ("Hi", Finish(finish, Usage(9, 5, 4)))


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
        (candidate(reason="SOMETHING_NEW"), ContentFiltered),
        (candidate(reason="MALFORMED_RESPONSE"), ServerError),
        (candidate(reason="OTHER"), ServerError),
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


# --- Ollama


def line(content: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "created_at": "…", "message": {"role": "assistant", "content": content}, **more}


@pytest.mark.parametrize(
    ("end", "finish"),
    [
        ({"done_reason": "stop", "prompt_eval_count": 9, "eval_count": 2}, Finish("stop", Usage(9, 2))),
        ({"done_reason": "length", "prompt_eval_count": 9, "eval_count": 2}, Finish("length", Usage(9, 2))),
        ({"done_reason": "stop", "eval_count": 2}, Finish("stop", Usage(0, 2))),
        ({}, Finish("stop", None)),
    ],
)
def test_ollama(end: dict[str, Any], finish: Finish) -> None:
    thinking = {"message": {"content": "", "thinking": "Hm"}, "done": False}
    stream = ndjson(thinking, line("H", done=False), line("i", done=False), line("", done=True, **end))
    assert read(OllamaDecoder("m"), stream) == ("Hi", finish)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"error": "an error was encountered while running the model"}, ServerError),
        ({"error": {"message": "no"}}, ServerError),
        ({"error": "prompt too long; exceeded max context length by 9 tokens"}, ContextTooLong),
        (line("", done=False), BrokenStream),
    ],
)
def test_ollama_failures(event: dict[str, Any], kind: type[ProviderError]) -> None:
    text, failure = read(OllamaDecoder("m"), ndjson(line("Hi", done=False), event))
    assert text == "Hi"
    assert type(failure) is kind
