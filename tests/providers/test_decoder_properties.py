"""However a stream is cut and dressed up, the decoders read from it what the provider's own SDK reads."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import anthropic
import httpx
import httpx2
import ollama
import openai
import pytest
from google import genai
from google.genai.types import HttpOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ProviderError
from app.providers.claude.wire import ClaudeDecoder
from app.providers.gemini.wire import GeminiDecoder
from app.providers.ollama.wire import OllamaDecoder
from app.providers.openai.wire import OpenAIDecoder
from app.providers.wire.counts import MOST_TOKENS
from app.providers.wire.decoder import Decoder
from app.providers.wire.opening import LEADS, TAGS
from app.values import Alive, Delta, Finish, FinishReason, Reasoning, Usage
from tests.providers.reading import events_of, read_all

Outcome = tuple[str, str, FinishReason, Usage | None]
"""The reasoning, the text, the reason to finish and the counts."""


def begins_with_a_tag(said: list[tuple[bool, str]]) -> bool:
    """Whether the text is read otherwise for its beginning, by us alone."""
    text = "".join(piece for thought, piece in said if not thought)
    marks = tuple(mark.lower() for mark in (*TAGS, *TAGS.values(), *LEADS))
    return text.lstrip().lower().startswith(marks)


strings = st.text(st.characters(exclude_categories=["Cs"]))
pieces_said = st.lists(st.tuples(st.booleans(), strings), max_size=8).filter(lambda said: not begins_with_a_tag(said))
"""Whether it is reasoning, and what it says."""
# of prompts several are added; what is beyond the limit is in test_decoders
counts = st.integers(0, MOST_TOKENS // 4)
reasons: st.SearchStrategy[FinishReason] = st.sampled_from(["stop", "length"])
newlines = st.sampled_from([b"\n", b"\r\n", b"\r"])
# what a decoder has to pass over, between two events
noise = st.lists(
    st.sampled_from([b": keep-alive", b": data: {}", b"id: 7", b"retry: 10", b"unknown", b"x: y"]), max_size=3
)


def unknown(value: dict[str, Any]) -> dict[str, Any]:
    """`value` with fields that no decoder knows, nested and of every type."""
    return {"new": {"nested": [1, None, True, "data: x\n\n"]}, **value, "other": 1.5}


def encoded(value: object, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode()


@st.composite
def event_streams(
    draw: st.DrawFn, events: list[dict[str, Any]], *, last: bytes = b"", named: bool = False, plain: bool = False
) -> bytes:
    """Server-sent events of `events`, with line ends, comments and unknown fields as the standard allows them.

    `plain` ones have no comments and no fields but the data.
    """
    newline = draw(newlines)
    ascii_only = draw(st.booleans())
    blocks = []
    for event in events:
        lines = [] if plain else draw(noise)
        if named:
            lines = [*lines, f"event: {event['type']}".encode()]
        blocks.append(newline.join([*lines, b"data: " + encoded(unknown(event), ascii_only), b"", b""]))
    return b"".join(blocks) + last.replace(b"\n", newline)


@st.composite
def openai_streams(draw: st.DrawFn) -> bytes:
    events: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}]
    names = {False: "content", True: draw(st.sampled_from(["reasoning_content", "reasoning"]))}
    events += [{"choices": [{"index": 0, "delta": {names[thought]: text}}]} for thought, text in draw(pieces_said)]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": draw(reasons)}]})
    if draw(st.booleans()):
        prompt, completion = draw(counts), draw(counts)
        usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
        usage["total_tokens"] = prompt + completion
        usage["prompt_tokens_details"] = {"cached_tokens": draw(st.integers(0, prompt))}
        usage["completion_tokens_details"] = {"reasoning_tokens": draw(st.integers(0, completion))}
        events.append({"choices": [], "usage": usage})
    return draw(event_streams(events, last=b"data: [DONE]\n\n"))


@st.composite
def claude_streams(draw: st.DrawFn) -> bytes:
    first = {"input_tokens": draw(counts), "cache_read_input_tokens": draw(counts), "output_tokens": 1}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {"id": "msg", "content": [], "usage": first}},
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    ]
    events += [
        {"type": "content_block_start", "index": 1, "content_block": {"type": "thinking", "thinking": ""}},
    ]
    events += [
        {"type": "content_block_delta", "index": 1, "delta": {"type": "thinking_delta", "thinking": text}}
        if thought
        else {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
        for thought, text in draw(pieces_said)
    ]
    reason = {"stop": "end_turn", "length": "max_tokens", "content_filter": ""}[draw(reasons)]
    completion = draw(counts)
    last: dict[str, Any] = {"output_tokens": completion}
    last["output_tokens_details"] = {"thinking_tokens": draw(st.integers(0, completion))}
    events += [
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": last},
        {"type": "message_stop"},
    ]
    return draw(event_streams(events, named=True))


@st.composite
def gemini_streams(draw: st.DrawFn) -> bytes:
    events: list[dict[str, Any]] = [
        {"candidates": [{"index": 0, "content": {"parts": [{"text": text, "thought": thought}], "role": "model"}}]}
        for thought, text in draw(pieces_said)
    ]
    reason = {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": ""}[draw(reasons)]
    prompt, completion, thoughts = draw(counts), draw(counts), draw(counts)
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": completion, "thoughtsTokenCount": thoughts}
    usage |= {
        "cachedContentTokenCount": draw(st.integers(0, prompt)),
        "totalTokenCount": prompt + completion + thoughts,
    }
    events.append({"candidates": [{"index": 0, "finishReason": reason}], "usageMetadata": usage})
    # Google's SDK takes everything that is not data for JSON
    return draw(event_streams(events, plain=True))


@st.composite
def ollama_streams(draw: st.DrawFn) -> bytes:
    ascii_only = draw(st.booleans())
    # Ollama's SDK ends a line at everything that Python does, inside a text too
    said = [(thought, "".join(text.splitlines())) for thought, text in draw(pieces_said)]
    lines: list[dict[str, Any]] = [
        {"message": {"role": "assistant", "content": "", "thinking" if thought else "content": text}}
        for thought, text in said
    ]
    end = {"done": True, "done_reason": draw(reasons), "prompt_eval_count": draw(counts), "eval_count": draw(counts)}
    lines.append({"message": {"role": "assistant", "content": ""}, **end})
    return b"".join(encoded(unknown(line), ascii_only) + b"\n" for line in lines)


async def openai_reads(stream: bytes) -> Outcome:
    serve(stream)
    client = openai.AsyncOpenAI(api_key="k", http_client=served(), max_retries=0)
    reasoning, text, reason, usage = "", "", None, None
    async for chunk in await client.chat.completions.create(model="m", messages=[], stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            # no field of OpenAI's own
            extra = choice.delta.model_extra or {}
            reasoning += extra.get("reasoning_content") or extra.get("reasoning") or ""
            reason = choice.finish_reason or reason
        if (counted := chunk.usage) is not None:
            assert counted.prompt_tokens_details is not None
            assert counted.completion_tokens_details is not None
            cached = counted.prompt_tokens_details.cached_tokens or 0
            thinking = counted.completion_tokens_details.reasoning_tokens or 0
            usage = Usage(counted.prompt_tokens, counted.completion_tokens, cached, thinking)
    return outcome(reasoning, text, reason, usage)


async def claude_reads(stream: bytes) -> Outcome:
    serve(stream)
    client = anthropic.AsyncAnthropic(api_key="k", http_client=served(), max_retries=0)
    async with client.messages.stream(model="m", max_tokens=1, messages=[]) as events:
        message = await events.get_final_message()
    text = "".join(block.text for block in message.content if block.type == "text")
    reasoning = "".join(block.thinking for block in message.content if block.type == "thinking")
    cached = message.usage.cache_read_input_tokens or 0
    details = message.usage.output_tokens_details
    assert details is not None
    prompt = message.usage.input_tokens + cached
    usage = Usage(prompt, message.usage.output_tokens, cached, details.thinking_tokens)
    return outcome(reasoning, text, message.stop_reason, usage)


async def gemini_reads(stream: bytes) -> Outcome:
    serve(stream)
    reasoning, text, reason, usage = "", "", None, None
    async for chunk in await gemini_client().aio.models.generate_content_stream(model="m", contents="Hi"):
        for candidate in chunk.candidates or ():
            for part in (candidate.content and candidate.content.parts) or ():
                if part.thought:
                    reasoning += part.text or ""
                else:
                    text += part.text or ""
            reason = candidate.finish_reason.value if candidate.finish_reason else reason
        if (counted := chunk.usage_metadata) is not None:
            thoughts, cached = counted.thoughts_token_count or 0, counted.cached_content_token_count or 0
            completion = (counted.candidates_token_count or 0) + thoughts
            usage = Usage(counted.prompt_token_count or 0, completion, cached, thoughts)
    return outcome(reasoning, text, reason, usage)


async def ollama_reads(stream: bytes) -> Outcome:
    serve(stream)
    client = ollama.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=_stream)))
    reasoning, text, reason, usage = "", "", None, None
    async for part in await client.chat("m", [], stream=True):
        text += part.message.content or ""
        reasoning += part.message.thinking or ""
        reason = part.done_reason or reason
        if part.done:
            usage = Usage(part.prompt_eval_count or 0, part.eval_count or 0)
    return outcome(reasoning, text, reason, usage)


_stream = b""


def serve(stream: bytes) -> None:
    """Make `stream` the answer to every request of the SDKs."""
    global _stream
    _stream = stream


@cache
def served() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.MockTransport(lambda request: httpx2.Response(200, content=_stream)))


@cache
def gemini_client() -> genai.Client:
    return genai.Client(api_key="k", vertexai=False, http_options=HttpOptions(httpx_async_client=served()))


def outcome(reasoning: str, text: str, reason: str | None, usage: Usage | None) -> Outcome:
    """In our terms: blanks alone are no text, and zeros no usage."""
    assert reason is not None
    counted = usage is not None and (usage.prompt_tokens or usage.completion_tokens)
    meaning: FinishReason = "length" if reason.lower() in ("length", "max_tokens") else "stop"
    return reasoning, text if text.strip() else "", meaning, usage if counted else None


@dataclass(frozen=True)
class Format:
    decoder: Callable[[str], Decoder]
    streams: st.SearchStrategy[bytes]
    oracle: Callable[[bytes], Awaitable[Outcome]]


FORMATS = {
    "openai": Format(OpenAIDecoder, openai_streams(), openai_reads),
    "claude": Format(ClaudeDecoder, claude_streams(), claude_reads),
    "gemini": Format(GeminiDecoder, gemini_streams(), gemini_reads),
    "ollama": Format(OllamaDecoder, ollama_streams(), ollama_reads),
}
formats = pytest.mark.parametrize("wire", FORMATS.values(), ids=FORMATS)


def pieces(data: st.DataObject, stream: bytes) -> list[bytes]:
    """`stream` in reads of any size: between bytes of a character, inside a line end, anywhere."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


def read(decoder: Decoder, reads: list[bytes]) -> Outcome:
    """What the decoder makes of the reads."""
    reasoning, text, finish = read_all(decoder, *reads)
    assert isinstance(finish, Finish)
    return reasoning, text, finish.reason, finish.usage


@formats
@settings(deadline=None, max_examples=60)
@given(data=st.data())
async def test_reads_what_the_sdk_reads(wire: Format, data: st.DataObject) -> None:
    stream = data.draw(wire.streams)

    assert read(wire.decoder("m"), pieces(data, stream)) == await wire.oracle(stream)


@formats
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_a_read_is_runs_of_what_was_said_or_a_sign_of_life(wire: Format, data: st.DataObject) -> None:
    decoder = wire.decoder("m")
    for piece in pieces(data, data.draw(wire.streams)):
        events = list(decoder.feed(piece))
        kinds = [type(event) for event in events]
        assert all(one is not other for one, other in pairwise(kinds))
        assert Alive not in kinds or kinds == [Alive]
        assert Finish not in kinds[:-1]
        assert all(event.text for event in events if isinstance(event, Delta | Reasoning))
        assert bool(events) == bool(piece) or decoder.finished


@formats
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_whatever_is_cut_off_is_a_failure_or_complete(wire: Format, data: st.DataObject) -> None:
    stream = data.draw(wire.streams)
    whole = read(wire.decoder("m"), [stream])
    cut = stream[: data.draw(st.integers(0, len(stream)))]
    reasoning, text, end = read_all(wire.decoder("m"), cut)

    assert isinstance(end, ProviderError) or (reasoning, text) == whole[:2]


@formats
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_nothing_but_our_errors_comes_of_garbage(wire: Format, data: st.DataObject) -> None:
    stream = bytearray(data.draw(wire.streams))
    for _ in range(data.draw(st.integers(1, 5))):
        start = data.draw(st.integers(0, len(stream)))
        stream[start : start + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))

    with suppress(ProviderError):
        list(events_of(wire.decoder("m"), *pieces(data, bytes(stream))))
