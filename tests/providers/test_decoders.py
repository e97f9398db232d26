"""What every decoder makes of streams that are broken, cut in half, or go on after their end."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from app.errors import BrokenStream, ServerError
from app.providers.claude.wire import ClaudeDecoder
from app.providers.gemini.wire import GeminiDecoder
from app.providers.ollama.wire import OllamaDecoder
from app.providers.openai.wire import OpenAIDecoder
from app.providers.wire.counts import MOST_TOKENS
from app.providers.wire.decoder import Decoder
from app.values import Delta, Finish, Usage
from tests.providers.reading import DONE, ndjson, read, sse

ALL: list[Callable[[str], Decoder]] = [OpenAIDecoder, ClaudeDecoder, GeminiDecoder, OllamaDecoder]


@pytest.mark.parametrize("decoder", ALL)
def test_empty_stream_is_broken(decoder: Callable[[str], Decoder]) -> None:
    text, failure = read(decoder("m"))
    assert text == ""
    assert isinstance(failure, BrokenStream)
    assert failure.model == "m"


@pytest.mark.parametrize("count", [-1, MOST_TOKENS + 1, 2**63, 10**400, float("inf"), float("nan"), True])
def test_counts_that_are_none_cost_no_reply(count: int) -> None:
    """The reply is stored with its counts, and the database would take neither. The others are kept."""
    openai = [
        {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]},
        {"usage": {"prompt_tokens": count, "completion_tokens": 1}},
    ]
    claude = [
        {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
        {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "Hi"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": count}},
        {"type": "message_stop"},
    ]
    gemini = [
        {
            "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
            "usageMetadata": {"promptTokenCount": 1, "cachedContentTokenCount": count},
        }
    ]
    ollama = [{"message": {"content": "Hi"}, "done": True, "done_reason": "stop", "eval_count": count}]
    for decoder, stream, usage in (
        (OpenAIDecoder("m"), sse(*openai) + DONE, Usage(0, 1)),
        (ClaudeDecoder("m"), sse(*claude), Usage(1, 0)),
        (GeminiDecoder("m"), sse(*gemini), Usage(1, 0)),
        (OllamaDecoder("m"), ndjson(*ollama), None),
    ):
        assert read(decoder, stream) == ("Hi", Finish("stop", usage))


@pytest.mark.parametrize("decoder", ALL)
@pytest.mark.parametrize(
    "payload",
    [b"nonsense", b"[]", b'"text"', b"12", b'{"choices": 7, "delta": 7, "candidates": 7, "message": 7}', b"[" * 5000],
)
def test_payload_that_is_no_event_is_broken(decoder: Callable[[str], Decoder], payload: bytes) -> None:
    prefix = b"" if decoder is OllamaDecoder else b"data: "
    assert isinstance(read(decoder("m"), prefix + payload + b"\n\n")[1], BrokenStream)


@pytest.mark.parametrize("levels", [600, 900])
def test_text_nested_too_deeply_is_broken(levels: int) -> None:
    content = '{"text": ' * levels + '"x"' + "}" * levels
    event = f'data: {{"choices": [{{"delta": {{"content": {content}}}}}]}}\n\n'.encode()
    assert read(OpenAIDecoder("m"), sse({"choices": [{"delta": {"content": "Hi"}}]}), event)[0] == "Hi"
    assert isinstance(read(OpenAIDecoder("m"), event)[1], BrokenStream)


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
    events = iter(decoder.feed(sse({"choices": [{"delta": {"content": "Hi"}}]}, {"error": {"message": "boom"}})))

    assert next(events) == Delta("Hi")
    with pytest.raises(ServerError):
        next(events)


def test_nothing_counts_after_the_last_event() -> None:
    chunk = {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}
    text, finish = read(OpenAIDecoder("m"), sse(chunk) + DONE + sse(chunk, {"error": "late"}))
    assert text == "Hi"
    assert isinstance(finish, Finish)
