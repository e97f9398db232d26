"""Events that differ by their text alone are read without a parser, and mean what the parser would have read."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers.claude.wire import ClaudeDecoder
from app.providers.openai.wire import OpenAIDecoder
from app.providers.wire import decoder as wire
from app.providers.wire.decoder import Decoder
from tests.providers.reading import read_all, sse

Kind = type[OpenAIDecoder] | type[ClaudeDecoder]


def openai(delta: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **fields}


def claude(delta: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def streamed(kind: Kind, *values: Any) -> bytes:
    if kind is OpenAIDecoder:
        return sse(*values)
    return b"".join(b"event: %b\n%b" % (value["type"].encode(), sse(value)) for value in values)


OPENAI_END = [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
CLAUDE_END = [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, {"type": "message_stop"}]


@pytest.mark.parametrize("together", [1, 7])
@pytest.mark.parametrize(
    ("kind", "event", "key", "end"),
    [(OpenAIDecoder, openai, "content", OPENAI_END), (ClaudeDecoder, claude, "text", CLAUDE_END)],
)
def test_most_events_of_text_do_not_reach_the_parser(
    kind: Kind, event: Any, key: str, end: list[Any], together: int
) -> None:
    known = {"type": "text_delta"} if kind is ClaudeDecoder else {}
    tokens = [event({**known, key: f"token {number} "}) for number in range(70)]
    reads = [streamed(kind, *tokens[start : start + together]) for start in range(0, 70, together)]
    decoder = kind("m")
    with patch.object(kind, "_take", autospec=True, side_effect=kind._take) as parsed:
        _, text, _ = read_all(decoder, *reads, streamed(kind, *end))
    assert text == "".join(f"token {number} " for number in range(70))
    assert parsed.call_count <= 6 + len(end)


def test_events_that_hold_more_than_their_text_are_parsed() -> None:
    """The counts of each are read, and the same words elsewhere are no text."""
    counted = [openai({"content": "tok "}, usage={"completion_tokens": number}) for number in range(1, 6)]
    named = [openai({"content": "m"}, system_fingerprint="tok ") for _ in range(3)]
    reasoned = [openai({"content": "x", "reasoning_content": "why "}) for _ in range(3)]
    reasoning, text, finish = read_all(OpenAIDecoder("m"), *map(sse, counted + named + reasoned), sse(*OPENAI_END))
    assert (reasoning, text) == ("why " * 3, "tok " * 5 + "mmm" + "xxx")
    assert finish.usage.completion_tokens == 5  # type: ignore[union-attr]


# what a provider may send between two tokens, with texts that JSON escapes and words that stand elsewhere, too
texts = st.one_of(
    st.sampled_from(
        ["tok", "m", "c", "", " ", "content", '"', "\\", "a\nb", "0", "tok\x7f", "\u00a0", "é", "日本", "~"]
    ),
    st.text(max_size=3),
)
counts = st.integers(0, 9)
openai_events = st.one_of(
    st.builds(lambda text: openai({"content": text}), texts),
    st.builds(lambda text: openai({"content": text}), texts),
    st.builds(lambda text, said: openai({"content": text, "reasoning_content": said}), texts, texts),
    st.builds(lambda text: openai({"reasoning_content": text}), texts),
    st.builds(
        lambda text, count: openai({"content": text}, usage={"completion_tokens": count}), texts, st.integers(0, 9)
    ),
    st.builds(lambda text, name: openai({"content": text}, model=name), texts, texts),
    st.builds(lambda text, other: openai({"content": [{"text": text}, {"text": other}]}), texts, texts),
    st.builds(lambda text: openai({"content": text, "tool_calls": [{"index": 0, "id": "i"}]}), texts),
    st.builds(lambda text: {"choices": [{"index": 0, "text": text}]}, texts),
    st.builds(lambda text: {"choices": [{"index": 1, "delta": {"content": text}}]}, texts),
    st.builds(lambda text: {"choices": [{"index": 0, "message": {"content": text}}]}, texts),
    st.just({"choices": [{"index": 0, "delta": {"content": "tok"}, "finish_reason": "stop"}]}),
    st.just({"error": {"message": "tok"}}),
)
claude_events = st.one_of(
    st.builds(lambda text: claude({"type": "text_delta", "text": text}), texts),
    st.builds(lambda text: claude({"type": "text_delta", "text": text}), texts),
    st.builds(lambda text: claude({"type": "thinking_delta", "thinking": text}), texts),
    st.builds(
        lambda text: {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": text}}, texts
    ),
    st.just({"type": "ping"}),
    st.just({"type": "content_block_stop", "index": 0}),
)


def outcome(decoder: Decoder, reads: list[bytes]) -> object:
    reasoning, text, end = read_all(decoder, *reads)
    return reasoning, text, type(end), str(end)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from([OpenAIDecoder, ClaudeDecoder]), data=st.data(), ascii_only=st.booleans())
def test_whatever_is_read_is_what_the_parser_reads(kind: Kind, data: st.DataObject, ascii_only: bool) -> None:
    events = data.draw(st.lists(openai_events if kind is OpenAIDecoder else claude_events, max_size=16))
    head = b"" if kind is OpenAIDecoder else b"event: content_block_delta\n"
    values = [head + b"data: " + json.dumps(event, ensure_ascii=ascii_only).encode() + b"\n\n" for event in events]
    values.append(streamed(kind, *(OPENAI_END if kind is OpenAIDecoder else CLAUDE_END)))
    reads = []
    while values:  # some of them together, some cut
        together = data.draw(st.integers(1, 4))
        read, values = b"".join(values[:together]), values[together:]
        cut = data.draw(st.integers(0, len(read)))
        reads += [part for part in (read[:cut], read[cut:]) if part]
    with patch.object(wire, "LESSONS", 0):
        parsed = outcome(kind("m"), reads)
    assert outcome(kind("m"), reads) == parsed
