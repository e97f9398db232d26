"""However a stream with tool calls is cut, every call is read as it was made: id, name, arguments, and the order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers.call_ids import parted
from app.providers.claude.wire import ClaudeDecoder
from app.providers.gemini.wire import GeminiDecoder
from app.providers.ollama.wire import OllamaDecoder
from app.providers.openai.wire import OpenAIDecoder
from app.providers.wire.calls import Asked
from app.providers.wire.decoder import Decoder
from app.values import Delta, Finish, ToolCallDelta
from tests.providers.reading import DONE, events_of, ndjson, sse

Call = tuple[str, str, str]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
names = st.text("abcdefghij_-0123456789", min_size=1, max_size=8)
arguments = st.dictionaries(
    texts, st.recursive(st.none() | st.integers() | texts | st.booleans(), st.lists), max_size=3
)


@st.composite
def calls(draw: st.DrawFn) -> list[Call]:
    """Calls with ids of their own. Only the arguments' JSON text may be in the escapes of ASCII."""
    count = draw(st.integers(1, 4))
    ascii_only = draw(st.booleans())
    return [
        (f"id{number}", draw(names), json.dumps(draw(arguments), ensure_ascii=ascii_only)) for number in range(count)
    ]


def cut(draw: st.DrawFn, text: str) -> list[str]:
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]


def mixed(draw: st.DrawFn, queues: list[list[Any]]) -> list[Any]:
    """The events of all queues, those of each in order, those of different ones in any. The first of each comes in the
    order of the queues."""
    events: list[Any] = []
    opened = 0
    while any(queues):
        ready = [queue for place, queue in enumerate(queues) if queue and place <= opened]
        queue = draw(st.sampled_from(ready)) if ready else next(queue for queue in queues if queue)
        opened = max(opened, queues.index(queue) + 1)
        events.append(queue.pop(0))
    return events


@st.composite
def openai_streams(draw: st.DrawFn, made: list[Call]) -> bytes:
    queues = []
    for index, (call_id, name, text) in enumerate(made):
        first = {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": ""}}
        parts: list[Any] = [first]
        parts += [{"index": index, "function": {"arguments": piece}} for piece in cut(draw, text)]
        queues.append([{"choices": [{"index": 0, "delta": {"tool_calls": [part]}}]} for part in parts])
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": draw(st.sampled_from(["tool_calls", "stop"]))}]}
    return sse(*mixed(draw, queues), end) + DONE


@st.composite
def claude_streams(draw: st.DrawFn, made: list[Call]) -> bytes:
    events: list[Any] = []
    for index, (call_id, name, text) in enumerate(made):
        block = {"type": "tool_use", "id": call_id, "name": name, "input": {}}
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        for piece in cut(draw, text):
            delta = {"type": "input_json_delta", "partial_json": piece}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    events += [{"type": "message_delta", "delta": {"stop_reason": "tool_use"}}, {"type": "message_stop"}]
    return sse(*events)


@st.composite
def gemini_streams(draw: st.DrawFn, made: list[Call]) -> bytes:
    events: list[Any] = [{"candidates": [{"index": 0, "content": {"role": "model", "parts": []}}]}]
    for call_id, name, text in made:
        part = {"functionCall": {"id": call_id, "name": name, "args": json.loads(text)}}
        if draw(st.booleans()):
            part["thoughtSignature"] = "c2ln"  # type: ignore[assignment]
        if draw(st.booleans()):
            events.append({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}]})
        else:
            events[-1]["candidates"][0]["content"]["parts"].append(part)
    events.append({"candidates": [{"index": 0, "finishReason": "STOP"}]})
    return sse(*events)


def ollama_streams(made: list[Call]) -> st.SearchStrategy[bytes]:
    lines: list[Any] = [
        {"message": {"tool_calls": [{"id": call_id, "function": {"name": name, "arguments": json.loads(text)}}]}}
        for call_id, name, text in made
    ]
    return st.just(ndjson(*lines, {"message": {"content": ""}, "done": True, "done_reason": "stop"}))


Streams = Callable[[list[Call]], st.SearchStrategy[bytes]]
FORMATS: dict[str, tuple[Callable[..., Decoder], Streams]] = {
    "openai": (OpenAIDecoder, openai_streams),
    "claude": (ClaudeDecoder, claude_streams),
    "gemini": (GeminiDecoder, gemini_streams),
    "ollama": (OllamaDecoder, ollama_streams),
}


@pytest.mark.parametrize(("decoder", "streams"), FORMATS.values(), ids=FORMATS)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_calls_survive_any_cut(decoder: Callable[..., Decoder], streams: Streams, data: st.DataObject) -> None:
    made = data.draw(calls())
    stream = data.draw(streams(made))
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=30)))
    reads = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]

    found: list[list[str]] = []
    finish = None
    for event in events_of(decoder("m", asked=Asked(tools=True)), *reads):
        assert finish is None
        match event:
            case ToolCallDelta(index, call_id, name, text):
                if call_id is not None:
                    assert index == len(found)
                    found.append([parted(call_id)[0], name or "", ""])
                else:
                    assert text
                found[index][2] += text
            case Finish():
                finish = event.reason
            case Delta():
                raise AssertionError("there is no text")

    assert finish == "tool_calls"
    read = [(call_id, name, json.loads(text)) for call_id, name, text in found]
    assert read == [(call_id, name, json.loads(text)) for call_id, name, text in made]
    if decoder in (OpenAIDecoder, ClaudeDecoder):
        # as the model wrote them
        assert [text for _, _, text in found] == [text for _, _, text in made]


@settings(deadline=None, max_examples=80)
@given(data=st.data())
def test_nothing_but_parts_comes_of_any_pieces(data: st.DataObject) -> None:
    """Pieces of every kind, in any order: the parts are numbered from 0, and each call has one id and one name."""
    some = st.none() | st.integers(0, 2) | st.sampled_from(["", "0", "a"])
    function = st.fixed_dictionaries(
        {}, optional={"name": st.none() | st.sampled_from(["", "f", "g"]), "arguments": st.none() | texts | arguments}
    )
    piece = st.fixed_dictionaries({}, optional={"index": some, "id": some, "type": some, "function": function | some})
    events = data.draw(st.lists(st.lists(piece | some, max_size=3) | piece, max_size=8))
    chunks = [{"choices": [{"index": 0, "delta": {"tool_calls": each}}]} for each in events]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}

    ids: list[str] = []
    for event in events_of(OpenAIDecoder("m", Asked(tools=True)), sse(*chunks, end) + DONE):
        if isinstance(event, ToolCallDelta):
            if event.id is None:
                assert event.name is None
                assert event.index < len(ids)
            else:
                assert event.name
                assert event.index == len(ids)
                ids.append(event.id)
        elif isinstance(event, Finish):
            assert event.reason == ("tool_calls" if ids else "stop")
    assert len(set(ids)) == len(ids)
