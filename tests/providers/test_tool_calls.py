"""Tool calls in every form in which servers send them: each is read once, with its id, its name and its arguments."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.errors import EmptyReply
from app.providers.call_ids import parted
from app.providers.claude.wire import ClaudeDecoder
from app.providers.gemini.wire import GeminiDecoder
from app.providers.ollama.wire import OllamaDecoder
from app.providers.openai.wire import OpenAIDecoder
from app.providers.wire.calls import MOST_CALLS, Asked
from app.providers.wire.decoder import Decoder
from app.values import Delta, Finish, Reasoning, ToolCallDelta
from tests.providers.reading import DONE, events_of, ndjson, sse

TOOLS = Asked(tools=True)
READ = "\ue000"
"""Stands for an id that was made here."""

Call = tuple[str, str, str]


def read_calls(decoder: Decoder, *reads: bytes) -> tuple[list[Call], str, str]:
    """The calls (id, name, arguments), the text and the reason to finish."""
    calls: list[list[str]] = []
    text, reason = "", ""
    for event in events_of(decoder, *reads):
        match event:
            case ToolCallDelta(index, call_id, name, arguments):
                if call_id is not None:
                    assert name
                    assert index == len(calls)
                    calls.append([call_id, name, ""])
                calls[index][2] += arguments
            case Delta():
                text += event.text
            case Finish():
                reason = event.reason
    return [(call_id, name, arguments) for call_id, name, arguments in calls], text, reason


def made(call: Call) -> Call:
    """`call` with `READ` for an id that was made here."""
    return (READ if call[0].startswith("call_") and len(call[0]) == 29 else call[0], *call[1:])


def delta(*calls: Any, **more: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"tool_calls": list(calls), **more}, "finish_reason": None}]}


def piece(index: int | None = None, call_id: str | None = None, **function: Any) -> dict[str, Any]:
    return {
        **({} if index is None else {"index": index}),
        **({} if call_id is None else {"id": call_id, "type": "function"}),
        "function": function,
    }


def end(reason: str = "tool_calls") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


ONE: list[Call] = [("a", "search", '{"q": "x"}')]
TWO: list[Call] = [("a", "search", '{"q": "x"}'), ("b", "open", '{"n": 1}')]

OPENAI: list[Any] = [
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments=""), content=None, role="assistant"),
            delta(piece(0, arguments='{"q"')),
            delta(piece(0, arguments=': "x"}')),
            delta(piece(1, "b", name="open", arguments="")),
            delta(piece(1, arguments='{"n": 1}')),
            end(),
        ],
        TWO,
        id="OpenAI",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments=""), piece(1, "b", name="open", arguments="")),
            delta(piece(1, arguments='{"n"'), piece(0, arguments='{"q": ')),
            delta(piece(0, arguments='"x"}')),
            delta(piece(1, arguments=": 1}")),
            end(),
        ],
        TWO,
        id="deltas that alternate",
    ),
    pytest.param(
        [delta(piece(0, "a", name="search", arguments='{"q": "x"}')), end("stop")], ONE, id="stop after a whole call"
    ),
    pytest.param(
        [delta(piece(0, "a", name="search", arguments={"q": "x"})), end()],
        ONE,
        id="arguments as an object",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments='{"q": "x"}')),
            delta(piece(0, "b", name="open", arguments='{"n": 1}')),
            end("stop"),
        ],
        TWO,
        id="Ollama's OpenAI API: every call has the index 0",
    ),
    pytest.param(
        [
            delta(piece(0, "", name="search", arguments='{"q": "x"}')),
            delta(piece(0, "", name="search", arguments='{"q": "x"}')),
            delta(piece(0, "", name="open", arguments='{"n": 1}')),
            end("stop"),
        ],
        [(READ, "search", '{"q": "x"}'), (READ, "search", '{"q": "x"}'), (READ, "open", '{"n": 1}')],
        id="Gemini's OpenAI API: the index 0 and no ids",
    ),
    pytest.param(
        [
            delta(piece(None, "a", name="search", arguments="")),
            delta(piece(None, arguments='{"q": "x"}')),
            delta(piece(None, "b", name="open", arguments='{"n": ')),
            delta(piece(None, arguments="1}")),
            end(),
        ],
        TWO,
        id="no index",
    ),
    pytest.param(
        [
            delta(piece(None, name="search", arguments='{"q": "x"}')),
            delta(piece(None, name="open", arguments="{}")),
            end(),
        ],
        [(READ, "search", '{"q": "x"}'), (READ, "open", "{}")],
        id="neither index nor id",
    ),
    pytest.param(
        [
            delta(piece(None, "a", name="search", arguments='{"q"')),
            delta(piece(None, "b", name="open", arguments='{"n"')),
            delta(piece(None, "a", arguments=': "x"}')),
            delta(piece(None, "b", arguments=": 1}")),
            end(),
        ],
        TWO,
        id="ids in place of indexes",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments="")),
            delta(piece(0, "a", name="search", arguments='{"q": ')),
            delta(piece(0, "a", name="search", arguments='"x"}')),
            end(),
        ],
        ONE,
        id="id and name with every piece",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments='{"q"')),
            delta(piece(0, "b", name="search", arguments=': "x')),
            delta(piece(0, "c", name="search", arguments='"}')),
            end("stop"),
        ],
        ONE,
        id="vLLM with a named tool: a new id with every piece",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments="")),
            delta(piece(0, "", name="", arguments='{"q": ')),
            delta(piece(0, "", name=None, arguments='"x"}')),
            end(),
        ],
        ONE,
        id="DashScope: empty ids and names",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments='{"q": "x"}')),
            delta(piece(0, "a", name="search", arguments="")),
            end(),
        ],
        ONE,
        id="the last piece says the name again",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments='{"q": "x"}')),
            delta(piece(0, "a", name="search", arguments='{"q": "x"}')),
            end(),
        ],
        ONE,
        id="the whole call at the end once more",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="sea", arguments="")),
            delta(piece(0, name="rch", arguments="")),
            delta(piece(0, arguments='{"q": "x"}')),
            end(),
        ],
        ONE,
        id="a name in pieces",
    ),
    pytest.param(
        [
            delta(piece(0, name="search", arguments="")),
            delta(piece(0, "a", arguments='{"q": "x"}')),
            end(),
        ],
        ONE,
        id="the id after the name",
    ),
    pytest.param(
        [
            delta(piece(0, "a", name="search", arguments="{}")),
            delta(piece(0, arguments='{"q": "x"}')),
            end(),
        ],
        ONE,
        id="a placeholder before the arguments",
    ),
    pytest.param(
        [delta(piece(0, "a", name="now", arguments="")), delta(piece(1, "b", name="here")), end()],
        [("a", "now", "{}"), ("b", "here", "{}")],
        id="no arguments",
    ),
    pytest.param(
        [delta(piece(3, "a", name="search", arguments='{"q": "x"}')), delta(piece(7, "b", name="open")), end()],
        [*ONE, ("b", "open", "{}")],
        id="numbered otherwise",
    ),
    pytest.param(
        [delta(piece(0, "a", name="now")), delta(piece(1, "a", name="here")), end()],
        [("a", "now", "{}"), (READ, "here", "{}")],
        id="two calls with one id",
    ),
    pytest.param(
        [
            delta({"index": 0, "id": "x", "type": "custom", "custom": {"name": "n", "input": "i"}}),
            delta(piece(1, "a", name="search", arguments='{"q": "x"}')),
            end(),
        ],
        ONE,
        id="a tool of another type",
    ),
    pytest.param(
        [delta({"id": "a", "name": "search", "arguments": {"q": "x"}}), end("stop")],
        ONE,
        id="Cloudflare: name and arguments beside the id",
    ),
    pytest.param(
        [
            {"choices": [{"index": 0, "delta": {"function_call": {"name": "search", "arguments": ""}}}]},
            {"choices": [{"index": 0, "delta": {"function_call": {"arguments": '{"q": "x"}'}}}]},
            end("function_call"),
        ],
        [(READ, "search", '{"q": "x"}')],
        id="the older form",
    ),
    pytest.param(
        [
            {
                "choices": [
                    {
                        "index": 0,
                        "message": {
                            "content": None,
                            "tool_calls": [
                                {
                                    "id": "a",
                                    "type": "function",
                                    "function": {"name": "search", "arguments": '{"q": "x"}'},
                                },
                                {"id": "b", "type": "function", "function": {"name": "open", "arguments": '{"n": 1}'}},
                            ],
                        },
                        "finish_reason": "tool_calls",
                    }
                ]
            }
        ],
        TWO,
        id="a whole message",
    ),
]


@pytest.mark.parametrize(("events", "calls"), OPENAI)
def test_calls_of_openai_and_compatible_servers(events: list[Any], calls: list[Call]) -> None:
    found, text, reason = read_calls(OpenAIDecoder("m", TOOLS), sse(*events) + DONE)
    assert ([made(call) for call in found], text, reason) == (calls, "", "tool_calls")


def test_a_whole_message_after_its_deltas_is_not_read_again() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "search", "arguments": '{"q": "x"}'}}
    last = {"choices": [{"index": 0, "message": {"content": "", "tool_calls": [call]}, "finish_reason": "tool_calls"}]}
    stream = sse(delta({"index": 0, **call}), last) + DONE
    assert read_calls(OpenAIDecoder("m", TOOLS), stream) == (ONE, "", "tool_calls")


def test_signature_beside_a_call_of_geminis_openai_api() -> None:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    stream = sse(delta({**piece(0, "a", name="search", arguments="{}"), **extra}), end("stop")) + DONE
    ((call_id, _, _),), _, _ = read_calls(OpenAIDecoder("m", TOOLS), stream)
    assert parted(call_id) == ("a", "c2ln")


def test_text_reasoning_and_calls_keep_their_order() -> None:
    events = [
        {"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]},
        {"choices": [{"index": 0, "delta": {"content": "I look"}}]},
        delta(piece(0, "a", name="search", arguments='{"q": "x"}'), content=" it up."),
        {"choices": [{"index": 0, "delta": {"content": "\nSo."}}]},
        end(),
    ]
    found = list(events_of(OpenAIDecoder("m", TOOLS), sse(*events) + DONE))
    assert found == [
        Reasoning("Hm."),
        Delta("I look it up."),
        ToolCallDelta(0, "a", "search", '{"q": "x"}'),
        Delta("\nSo."),
        Finish("tool_calls", None),
    ]


def test_text_that_may_begin_reasoning_is_given_before_a_call() -> None:
    events = [{"choices": [{"index": 0, "delta": {"content": "<th"}}]}, delta(piece(0, "a", name="now")), end()]
    assert read_calls(OpenAIDecoder("m", TOOLS), sse(*events) + DONE) == ([("a", "now", "{}")], "<th", "tool_calls")


def test_an_emoji_in_two_events() -> None:
    first, second = (json.dumps({"q": "😀"})[:13], json.dumps({"q": "😀"})[13:])
    halves = [
        delta(piece(0, "a", name="search", arguments='{"q": "')),
        "\ud83d",
        "\ude00",
        delta(piece(0, arguments='"}')),
    ]
    events = [each if isinstance(each, dict) else delta(piece(0, arguments=each)) for each in halves]
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in (*events, end())) + DONE
    found, _, _ = read_calls(OpenAIDecoder("m", TOOLS), *(stream[at : at + 7] for at in range(0, len(stream), 7)))
    assert found == [("a", "search", '{"q": "😀"}')]
    # escapes of the arguments themselves may be cut as well
    stream = sse(delta(piece(0, "a", name="search", arguments=first)), delta(piece(0, arguments=second)), end())
    assert read_calls(OpenAIDecoder("m", TOOLS), stream + DONE)[0] == [("a", "search", first + second)]


def test_arguments_that_the_limit_cut_off_stay_as_they_are() -> None:
    stream = sse(delta(piece(0, "a", name="search", arguments='{"q')), delta(piece(1, "b", name="open")), end("length"))
    found = read_calls(OpenAIDecoder("m", TOOLS), stream + DONE)
    assert found == ([("a", "search", '{"q'), ("b", "open", "")], "", "length")


def test_calls_that_nobody_asked_for_are_ignored() -> None:
    stream = sse({"choices": [{"index": 0, "delta": {"content": "Hi"}}]}, delta(piece(0, "a", name="search")), end())
    assert read_calls(OpenAIDecoder("m"), stream + DONE) == ([], "Hi", "stop")


def test_no_calls_are_no_calls() -> None:
    events = [
        {"choices": [{"index": 0, "delta": {"content": "Hi", "tool_calls": None, "function_call": None}}]},
        {"choices": [{"index": 0, "delta": {"content": "", "tool_calls": []}}]},
        end("tool_calls"),
    ]
    assert read_calls(OpenAIDecoder("m", TOOLS), sse(*events) + DONE) == ([], "Hi", "stop")


def test_a_call_without_a_name_is_none() -> None:
    stream = sse(delta(piece(0, "a", arguments="{}")), end()) + DONE
    assert read_calls(OpenAIDecoder("m", TOOLS), stream) == ([], "", "stop")


def test_one_call_at_most() -> None:
    events = [delta(piece(0, "a", name="search", arguments='{"q": ')), delta(piece(1, "b", name="open", arguments="{"))]
    events += [delta(piece(0, arguments='"x"}')), delta(piece(1, arguments="}")), end()]
    assert read_calls(OpenAIDecoder("m", Asked(tools=True, single=True)), sse(*events) + DONE)[0] == ONE


def test_calls_without_end() -> None:
    events = [delta(piece(index, f"c{index}", name="now")) for index in range(2 * MOST_CALLS)]
    assert len(read_calls(OpenAIDecoder("m", TOOLS), sse(*events, end()) + DONE)[0]) == MOST_CALLS


def block(index: int, call_id: str, name: str, given: Any = None) -> dict[str, Any]:
    content = {"type": "tool_use", "id": call_id, "name": name, "input": {} if given is None else given}
    return {"type": "content_block_start", "index": index, "content_block": content}


def part(index: int, text: str) -> dict[str, Any]:
    delta = {"type": "input_json_delta", "partial_json": text}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


CLAUDE_END = [
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 5}},
    {"type": "message_stop"},
]


@pytest.mark.parametrize(
    ("events", "calls"),
    [
        pytest.param(
            [
                block(1, "a", "search"),
                part(1, ""),
                part(1, '{"q": '),
                part(1, '"x"}'),
                stop(1),
                block(2, "b", "open"),
                part(2, '{"n": 1}'),
                stop(2),
            ],
            TWO,
            id="Anthropic",
        ),
        pytest.param([block(1, "a", "search", {"q": "x"}), stop(1)], ONE, id="the input with the block"),
        pytest.param(
            [block(1, "a", "search", {"q": "x"}), part(1, '{"q": '), part(1, '"x"}'), stop(1)],
            ONE,
            id="the input with the block and in deltas",
        ),
        pytest.param([block(1, "a", "search", {"q": "x"})], ONE, id="a block without an end"),
        pytest.param([block(1, "a", "now"), stop(1)], [("a", "now", "{}")], id="no arguments"),
        pytest.param(
            [
                {"type": "content_block_start", "index": 1, "content_block": {"type": "server_tool_use", "id": "s"}},
                part(1, '{"query": "y"}'),
                stop(1),
                block(2, "a", "search"),
                part(2, '{"q": "x"}'),
            ],
            ONE,
            id="a tool that Anthropic runs",
        ),
    ],
)
def test_calls_of_claude(events: list[Any], calls: list[Call]) -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 3}}}
    stream = sse(start, *events, *CLAUDE_END)
    assert read_calls(ClaudeDecoder("m", TOOLS), stream) == (calls, "", "tool_calls")


def test_calls_of_a_whole_message_of_claude() -> None:
    content = [
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "a", "name": "search", "input": {"q": "x"}},
        {"type": "tool_use", "id": "b", "name": "open", "input": {"n": 1}},
    ]
    body = json.dumps({"type": "message", "content": content, "stop_reason": "tool_use"}).encode()
    assert read_calls(ClaudeDecoder("m", TOOLS), body) == (TWO, "I look.", "tool_calls")


def test_arguments_that_are_the_text_of_the_reply() -> None:
    asked = Asked(tools=True, as_text="json_reply")
    stream = sse(block(0, "a", "json_reply"), part(0, '{"q": '), part(0, '"x"}'), stop(0), *CLAUDE_END)
    assert read_calls(ClaudeDecoder("m", asked), stream) == ([], '{"q": "x"}', "stop")
    stream = sse(block(0, "a", "json_reply"), stop(0), *CLAUDE_END)
    assert read_calls(ClaudeDecoder("m", asked), stream) == ([], "{}", "stop")
    stream = sse(block(0, "a", "search"), part(0, '{"q": "x"}'), stop(0), *CLAUDE_END)
    assert read_calls(ClaudeDecoder("m", asked), stream) == (ONE, "", "tool_calls")


def candidate(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"candidates": [{"index": 0, "content": {"role": "model", "parts": list(parts)}, **more}]}


def test_calls_of_gemini() -> None:
    events = [
        candidate({"text": "I look."}),
        candidate({"functionCall": {"name": "search", "args": {"q": "x"}, "id": "a"}, "thoughtSignature": "c2ln"}),
        candidate({"functionCall": {"name": "search", "args": {"q": "x"}}}, {"functionCall": {"name": "now"}}),
        candidate(finishReason="STOP"),
    ]
    found, text, reason = read_calls(GeminiDecoder("m", TOOLS), sse(*events))
    assert [parted(call[0]) for call in found[:1]] == [("a", "c2ln")]
    assert [made(call) for call in found[1:]] == [(READ, "search", '{"q": "x"}'), (READ, "now", "{}")]
    assert len({call[0] for call in found}) == 3
    assert (found[0][1:], text, reason) == (("search", '{"q": "x"}'), "I look.", "tool_calls")


def test_arguments_of_gemini_stay_as_they_are_written() -> None:
    args = b'{"big": 12345678901234567890123, "small": 1.0, "e": 1e2, "t": "\\u00e9"}'
    event = b'{"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": ' + args + b"}}]}"
    stream = b"data: " + event + b', "finishReason": "STOP"}]}\n\n'
    assert read_calls(GeminiDecoder("m", TOOLS), stream)[0][0][2] == args.decode()


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
def test_calls_that_gemini_could_not_finish_are_an_empty_reply(reason: str) -> None:
    with pytest.raises(EmptyReply):
        read_calls(GeminiDecoder("m", TOOLS), sse(candidate(finishReason=reason)))


def test_calls_of_ollama() -> None:
    function = {"index": 0, "name": "search", "arguments": {"q": "x"}}
    events = [
        {"message": {"content": "", "tool_calls": [{"function": function}]}, "done": False},
        {"message": {"content": "", "tool_calls": [{"id": "b", "function": {"name": "open", "arguments": {"n": 1}}}]}},
        {"message": {"content": ""}, "done": True, "done_reason": "stop"},
    ]
    found, text, reason = read_calls(OllamaDecoder("m", asked=TOOLS), ndjson(*events))
    assert ([made(call) for call in found], text, reason) == (
        [(READ, "search", '{"q": "x"}'), ("b", "open", '{"n": 1}')],
        "",
        "tool_calls",
    )


@pytest.mark.parametrize(("arguments", "text"), [('{"q": "x"}', '{"q": "x"}'), (None, "{}"), ("", "{}"), ([1], "[1]")])
def test_arguments_of_ollama_that_are_no_object(arguments: Any, text: str) -> None:
    message = {"content": "", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": arguments}}]}
    end = {"message": {"content": ""}, "done": True, "done_reason": "stop"}
    found = read_calls(OllamaDecoder("m", asked=TOOLS), ndjson({"message": message, "done": False}, end))
    assert found == ([("a", "f", text)], "", "tool_calls")


def test_text_that_is_the_arguments_of_a_call() -> None:
    events = [{"message": {"content": text}, "done": False} for text in ('{"q"', ': "x"', "}")]
    events.append({"message": {"content": ""}, "done": True, "done_reason": "stop"})
    decoder = OllamaDecoder("m", asked=Asked(tools=True, as_call="search"))
    found, text, reason = read_calls(decoder, ndjson(*events))
    assert ([made(call) for call in found], text, reason) == ([(READ, "search", '{"q": "x"}')], "", "tool_calls")
