"""OpenAI's stream, in every dialect that is known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import (
    AuthenticationRefused,
    BrokenStream,
    ContentFiltered,
    ContextTooLong,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Throttled,
)
from app.providers.openai.wire import OpenAIDecoder
from app.values import Finish, Usage
from tests.providers.reading import DONE, read, sse


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
            sse(chunk("Hi"), chunk(finish="stop", usage={"prompt_tokens": 9.0, "completion_tokens": 2.0})) + DONE,
            "Hi",
            Finish("stop", Usage(9, 2)),
            id="counts as floating point",
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
            Finish("stop", None),
            id="usage without numbers",
        ),
        pytest.param(
            sse(
                {"choices": [{"index": 1, "delta": {"content": "No"}}, {"index": 0, "delta": {"content": "H"}}]},
                {"choices": [{"index": 1, "delta": {"content": "No"}, "finish_reason": "length"}]},
                chunk("i", "stop"),
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
        pytest.param(sse(chunk("Hi"), {"choices": [{"delta": {"content": True}}]}), BrokenStream, id="text is no text"),
    ],
)
def test_openai_failures(stream: bytes, kind: type[ProviderError]) -> None:
    text, failure = read(OpenAIDecoder("m"), stream)
    assert text == "Hi"
    assert type(failure) is kind
