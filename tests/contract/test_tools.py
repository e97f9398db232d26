"""Tools on the wires of all four providers: what is sent, what comes back, and the way round with the results."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from app.errors import ParameterRefused, ProviderError, RequestRefused
from app.providers.base import Provider
from app.providers.call_ids import UNSIGNED, parted
from app.providers.claude.reasoning import DEFAULT_MAX_TOKENS
from app.values import (
    ChatRequest,
    Delta,
    Finish,
    JsonSchema,
    Message,
    NamedTool,
    ProviderName,
    Sampling,
    StreamItem,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
    Usage,
)
from tests.contract.conftest import MODEL, served
from tests.contract.tool_requests import (
    ALL,
    ASKED,
    HISTORY,
    NOW,
    REPLY,
    SCHEMA,
    SIGNED,
    WEATHER,
    Server,
    plain,
    sent,
)
from tests.support.aimock import AIMock
from tests.support.raw_upstream import Exchange
from tests.support.wires import WIRES, called


def calls_in(items: list[StreamItem]) -> tuple[ToolCall, ...]:
    """The calls of a reply, as a client joins them."""
    calls: dict[int, ToolCall] = {}
    for item in items:
        if isinstance(item, ToolCallDelta):
            if item.index not in calls:
                assert item.id
                assert item.name
                calls[item.index] = ToolCall(item.id, item.name, item.arguments)
            else:
                before = calls[item.index]
                calls[item.index] = msgspec.structs.replace(before, arguments=before.arguments + item.arguments)
    return tuple(calls[index] for index in sorted(calls))


TOOLS: dict[ProviderName, dict[str, Any]] = {
    "openai": {
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "The weather of a city.", "parameters": SCHEMA},
            },
            {"type": "function", "function": {"name": "now"}},
        ]
    },
    "claude": {
        "tools": [
            {"name": "weather", "description": "The weather of a city.", "input_schema": SCHEMA},
            {"name": "now", "input_schema": {"type": "object", "properties": {}}},
        ]
    },
    "gemini": {
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "weather", "description": "The weather of a city.", "parametersJsonSchema": SCHEMA},
                    {"name": "now"},
                ]
            }
        ]
    },
    "ollama": {
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "The weather of a city.", "parameters": SCHEMA},
            },
            {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
        ]
    },
}


async def test_tools_are_sent(adapter: ProviderName) -> None:
    without = await sent(adapter, msgspec.structs.replace(ASKED, tools=()))

    assert await sent(adapter, ASKED) == without | TOOLS[adapter]


CHOICES: list[tuple[ProviderName, ToolChoice, dict[str, Any]]] = [
    ("openai", "auto", {"tool_choice": "auto"}),
    ("openai", "none", {"tool_choice": "none"}),
    ("openai", "required", {"tool_choice": "required"}),
    ("openai", NamedTool("now"), {"tool_choice": {"type": "function", "function": {"name": "now"}}}),
    ("claude", "auto", {"tool_choice": {"type": "auto"}}),
    ("claude", "none", {"tool_choice": {"type": "none"}}),
    ("claude", "required", {"tool_choice": {"type": "any"}}),
    ("claude", NamedTool("now"), {"tool_choice": {"type": "tool", "name": "now"}}),
    ("gemini", "auto", {"toolConfig": {"functionCallingConfig": {"mode": "AUTO"}}}),
    ("gemini", "none", {"toolConfig": {"functionCallingConfig": {"mode": "NONE"}}}),
    ("gemini", "required", {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
    (
        "gemini",
        NamedTool("now"),
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["now"]}}},
    ),
    ("ollama", "auto", {}),
]


@pytest.mark.parametrize(("adapter", "choice", "more"), CHOICES, indirect=["adapter"])
async def test_choice_of_a_tool(adapter: ProviderName, choice: ToolChoice, more: dict[str, Any]) -> None:
    request = msgspec.structs.replace(ASKED, tool_choice=choice)

    assert await sent(adapter, request) == await sent(adapter, ASKED) | more


async def test_one_call_at_most(adapter: ProviderName) -> None:
    """The parameter is sent where there is one. Whatever a server makes of it, one call is given."""
    reply = called(adapter, ("a1", "weather", '{"city": "Oslo"}'), ("b2", "now", "{}")) + WIRES[adapter].calling
    server = Server(adapter, WIRES[adapter].opening + reply)
    (items,) = await server.ask(msgspec.structs.replace(ASKED, parallel_tool_calls=False))

    assert [call.name for call in calls_in(items)] == ["weather"]
    (body,) = server.bodies
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    expected = {"openai": {"parallel_tool_calls": False}, "claude": {"tool_choice": choice}}
    assert body == await sent(adapter, ASKED) | expected.get(adapter, {})


async def test_calls_go_round(adapter: ProviderName) -> None:
    """Two calls at once come, and go back with their results in the next request; then two more, and the reply."""
    cities = (("a1", "weather", '{"city": "Oslo", "days": 2}'), ("b2", "weather", '{"city": "Ås \\"x\\""}'))
    wire = WIRES[adapter]
    server = Server(
        adapter,
        wire.opening + called(adapter, *cities, signature="c2lnbmVk") + wire.calling,
        wire.opening + called(adapter, ("c3", "now", "{}")) + wire.calling,
        plain(adapter),
    )
    messages = ASKED.messages
    async with served(adapter, server.answer) as (provider, _):
        for results in (('{"sky": "blue"}', "rain"), ("12:00",), ()):
            request = msgspec.structs.replace(ASKED, messages=messages)
            items = [item async for item in provider.stream(request)]
            calls = calls_in(items)
            assert len(calls) == len(results)
            finish = items[-1]
            assert isinstance(finish, Finish)
            assert finish.reason == ("tool_calls" if results else "stop")
            assert finish.usage == Usage(12, 34, *(() if adapter == "ollama" else (5,)), **_reasoning(adapter))
            answers = zip(reversed(calls), reversed(results), strict=True)  # in an order of the client's own
            messages = (
                *messages,
                Message("assistant", "", calls),
                *(Message("tool", result, tool_call_id=call.id) for call, result in answers),
            )
            if len(calls) == 2:
                assert [json.loads(call.arguments) for call in calls] == [json.loads(city[2]) for city in cities]
                assert parted(calls[0].id) == ("a1", "c2lnbmVk" if adapter == "gemini" else None)
                assert calls[1].id == "b2"

    assert server.bodies[2] == await sent(adapter, ASKED) | AGAIN[adapter]


def _reasoning(adapter: ProviderName) -> dict[str, int]:
    return {"reasoning_tokens": 4} if adapter == "gemini" else {}


def _ollama_call(call_id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": call_id, "function": {"name": name, "arguments": arguments}}


def _openai_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _gemini_call(call_id: str, name: str, args: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"functionCall": {"id": call_id, "name": name, "args": args}, **more}


def _gemini_result(call_id: str, name: str, output: Any) -> dict[str, Any]:
    return {"functionResponse": {"id": call_id, "name": name, "response": {"output": output}}}


OSLO, ROME = {"city": "Oslo", "days": 2}, {"city": 'Ås "x"'}
AGAIN: dict[ProviderName, dict[str, Any]] = {
    "openai": {
        "messages": [
            {"role": "user", "content": "Oslo and Rome?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    _openai_call("a1", "weather", '{"city": "Oslo", "days": 2}'),
                    _openai_call("b2", "weather", '{"city": "Ås \\"x\\""}'),
                ],
            },
            {"role": "tool", "tool_call_id": "a1", "content": '{"sky": "blue"}'},
            {"role": "tool", "tool_call_id": "b2", "content": "rain"},
            {"role": "assistant", "content": "", "tool_calls": [_openai_call("c3", "now", "{}")]},
            {"role": "tool", "tool_call_id": "c3", "content": "12:00"},
        ]
    },
    "claude": {
        "messages": [
            {"role": "user", "content": "Oslo and Rome?"},
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "a1", "name": "weather", "input": OSLO},
                    {"type": "tool_use", "id": "b2", "name": "weather", "input": ROME},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "a1", "content": '{"sky": "blue"}'},
                    {"type": "tool_result", "tool_use_id": "b2", "content": "rain"},
                ],
            },
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c3", "name": "now", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c3", "content": "12:00"}]},
        ]
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": "Oslo and Rome?"}]},
            {
                "role": "model",
                "parts": [
                    _gemini_call("a1", "weather", OSLO, thoughtSignature="c2lnbmVk"),
                    _gemini_call("b2", "weather", ROME),
                ],
            },
            {
                "role": "user",
                "parts": [_gemini_result("a1", "weather", {"sky": "blue"}), _gemini_result("b2", "weather", "rain")],
            },
            {"role": "model", "parts": [_gemini_call("c3", "now", {})]},
            {"role": "user", "parts": [_gemini_result("c3", "now", "12:00")]},
        ]
    },
    "ollama": {
        "messages": [
            {"role": "user", "content": "Oslo and Rome?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [_ollama_call("a1", "weather", OSLO), _ollama_call("b2", "weather", ROME)],
            },
            {"role": "tool", "tool_name": "weather", "tool_call_id": "a1", "content": '{"sky": "blue"}'},
            {"role": "tool", "tool_name": "weather", "tool_call_id": "b2", "content": "rain"},
            {"role": "assistant", "content": "", "tool_calls": [_ollama_call("c3", "now", {})]},
            {"role": "tool", "tool_name": "now", "tool_call_id": "c3", "content": "12:00"},
        ]
    },
}


FORMATS: list[tuple[ProviderName, Any, dict[str, Any]]] = [
    ("openai", "text", {}),
    ("openai", "json_object", {"response_format": {"type": "json_object"}}),
    (
        "openai",
        REPLY,
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "forecast", "schema": SCHEMA, "description": "A forecast.", "strict": True},
            }
        },
    ),
    ("claude", "text", {}),
    ("gemini", "json_object", {"generationConfig": {"responseMimeType": "application/json"}}),
    (
        "gemini",
        REPLY,
        {"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}},
    ),
    ("ollama", "json_object", {"format": "json"}),
    ("ollama", REPLY, {"format": SCHEMA}),
    (
        "claude",
        REPLY,
        {
            "output_config": {
                "format": {
                    "type": "json_schema",
                    "schema": {
                        "type": "object",
                        "properties": {
                            "city": {"type": "string"},
                            "days": {"type": "integer", "description": "{minimum: 1}"},
                        },
                        "required": ["city"],
                        "additionalProperties": False,
                    },
                }
            }
        },
    ),
]


@pytest.mark.parametrize(("adapter", "wanted", "more"), FORMATS, indirect=["adapter"])
async def test_format_of_the_reply(adapter: ProviderName, wanted: Any, more: dict[str, Any]) -> None:
    request = ChatRequest(MODEL, ASKED.messages)

    body = await sent(adapter, msgspec.structs.replace(request, response_format=wanted))
    assert body == await sent(adapter, request) | more


@pytest.mark.parametrize(
    ("wanted", "schema"),
    [
        pytest.param("json_object", {"type": "object", "properties": {}}, id="any object"),
        pytest.param(
            JsonSchema("m", {"type": "object", "additionalProperties": {"type": "string"}}),
            {"type": "object", "additionalProperties": {"type": "string"}},
            id="an object of any fields",
        ),
    ],
)
async def test_format_that_claude_has_not_is_a_tool(wanted: Any, schema: dict[str, Any]) -> None:
    wire = WIRES[ProviderName("claude")]
    reply = wire.opening + called(ProviderName("claude"), ("a", "json_reply", '{"sky": "blue"}')) + wire.calling
    server = Server(ProviderName("claude"), reply)
    (items,) = await server.ask(ChatRequest(MODEL, ASKED.messages, response_format=wanted))

    assert "".join(item.text for item in items if isinstance(item, Delta)) == '{"sky": "blue"}'
    assert items[-1] == Finish("stop", Usage(12, 34, 5))
    assert not calls_in(items)
    (body,) = server.bodies
    assert [tool["input_schema"] for tool in body["tools"]] == [schema]
    assert body["tool_choice"] == {"type": "tool", "name": "json_reply"}


@pytest.mark.parametrize(
    ("choice", "sent_choice", "names"),
    [
        (None, {"type": "any"}, ["weather", "now", "json_reply"]),
        ("auto", {"type": "any"}, ["weather", "now", "json_reply"]),
        ("none", {"type": "tool", "name": "json_reply"}, ["weather", "now", "json_reply"]),
        # the reply is a call, so it is no JSON
        ("required", {"type": "any"}, ["weather", "now"]),
        (NamedTool("now"), {"type": "tool", "name": "now"}, ["weather", "now"]),
    ],
)
async def test_format_beside_a_choice_of_claudes_tools(
    choice: ToolChoice | None, sent_choice: dict[str, Any], names: list[str]
) -> None:
    request = msgspec.structs.replace(ASKED, response_format="json_object", tool_choice=choice)
    body = await sent(ProviderName("claude"), request)
    assert body["tool_choice"] == sent_choice
    assert [tool["name"] for tool in body["tools"]] == names


async def test_older_claude_writes_json_with_a_tool() -> None:
    """It refuses the structured output. The tools of the request stay, and it must call one of them or reply."""

    async def answer(exchange: Exchange) -> None:
        bodies.append(exchange.json)
        if "output_config" in exchange.json:
            words = "output_config.format: structured outputs are not supported for this model"
            error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
            exchange.reply(400, json.dumps(error).encode())
            return
        exchange.start()
        wire = WIRES[ProviderName("claude")]
        exchange.send(wire.opening + called(ProviderName("claude"), ("a", "json_reply", "{}")) + wire.calling)

    bodies: list[Any] = []
    request = msgspec.structs.replace(ASKED, response_format=REPLY, model="claude-3-5-haiku-20241022")
    async with served(ProviderName("claude"), answer) as (provider, _):
        for _ in range(2):
            items = [item async for item in provider.stream(request)]
            assert [item.text for item in items if isinstance(item, Delta)] == ["{}"]

    # another schema may be accepted, so it is tried each time
    assert ["output_config" in body for body in bodies] == [True, False, True, False]
    assert bodies[1] == bodies[3]
    assert [tool["name"] for tool in bodies[1]["tools"]] == ["weather", "now", "json_reply"]
    assert bodies[1]["tool_choice"] == {"type": "any"}


SAMPLING: dict[ProviderName, dict[str, Any]] = {
    "openai": {
        "stop": ["END"],
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
    },
    # its API has no others
    "claude": {"stop_sequences": ["END"]},
    "gemini": {
        "generationConfig": {
            "stopSequences": ["END"],
            "temperature": 0.5,
            "topP": 0.9,
            "seed": 7,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
        }
    },
    "ollama": {
        "options": {
            "stop": ["END"],
            "temperature": 0.5,
            "top_p": 0.9,
            "seed": 7,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
        }
    },
}


async def test_sampling(adapter: ProviderName) -> None:
    request = ChatRequest(MODEL, ASKED.messages)

    body = await sent(adapter, msgspec.structs.replace(request, sampling=ALL))
    assert body == await sent(adapter, request) | SAMPLING[adapter]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Unsupported value: 'temperature' does not support 0.5 with this model.", "temperature"),
        ("Unsupported parameter: 'top_p' is not supported with this model.", "top_p"),
        ("seed: Extra inputs are not permitted", "seed"),
        ("Unknown parameter: 'parallel_tool_calls'.", "parallel_tool_calls"),
    ],
)
async def test_sampling_that_a_model_lacks_is_left_out(words: str, name: str) -> None:
    bodies: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        bodies.append(exchange.json)
        if name in exchange.json:
            exchange.reply(400, json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode())
            return
        exchange.start()
        exchange.send(plain(ProviderName("openai")))

    request = msgspec.structs.replace(ASKED, sampling=ALL, parallel_tool_calls=False)
    async with served(ProviderName("openai"), answer) as (provider, _):
        for _ in range(2):
            assert [item async for item in provider.stream(request)][-1]
    assert [name in body for body in bodies] == [True, False, False]
    assert bodies[1] == {key: value for key, value in bodies[0].items() if key != name}


async def test_a_value_out_of_range_is_the_requests_own_fault() -> None:
    """It is refused, and the model keeps the parameter for the requests of others."""
    bodies: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        bodies.append(exchange.json)
        if exchange.json["temperature"] > 1:
            error = {"message": "temperature must be between 0 and 1", "type": "invalid_request_error"}
            exchange.reply(400, json.dumps({"error": error}).encode())
            return
        exchange.start()
        exchange.send(plain(ProviderName("openai")))

    hot = msgspec.structs.replace(ASKED, sampling=Sampling(temperature=1.5))
    mild = msgspec.structs.replace(ASKED, sampling=Sampling(temperature=0.5))
    async with served(ProviderName("openai"), answer) as (provider, _):
        with pytest.raises(RequestRefused):
            [item async for item in provider.stream(hot)]
        assert [item async for item in provider.stream(mild)][-1]
    assert [body["temperature"] for body in bodies] == [1.5, 0.5]


REFUSALS: list[tuple[ProviderName, int, Any, ChatRequest, str]] = [
    (
        "ollama",
        400,
        {"error": "registry.ollama.ai/library/gemma:2b does not support tools"},
        ASKED,
        "tools",
    ),
    (
        "openai",
        404,
        {"error": {"message": "No endpoints found that support tool use.", "code": 404}},
        ASKED,
        "tools",
    ),
    (
        "openai",
        500,
        {"error": {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}},
        ASKED,
        "tools",
    ),
    (
        "openai",
        400,
        {"object": "error", "message": '"auto" tool choice requires --enable-auto-tool-choice', "code": 400},
        ASKED,
        "tools",
    ),
    (
        "openai",
        400,
        {"error": {"message": "deepseek-reasoner does not support this tool_choice", "type": "invalid_request_error"}},
        msgspec.structs.replace(ASKED, tool_choice="required"),
        "tool_choice",
    ),
    (
        "openai",
        400,
        {"error": {"message": "This response_format type is unavailable now", "type": "invalid_request_error"}},
        ChatRequest(MODEL, ASKED.messages, response_format=REPLY),
        "response_format",
    ),
    (
        "gemini",
        400,
        {
            "error": {
                "code": 400,
                "message": "Function calling with a response mime type: 'application/json' is unsupported",
                "status": "INVALID_ARGUMENT",
            }
        },
        msgspec.structs.replace(ASKED, response_format=REPLY),
        "response_format",
    ),
    (
        "claude",
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "stop_sequences: each stop sequence must contain non-whitespace",
            },
        },
        ChatRequest(MODEL, ASKED.messages, sampling=Sampling(("\n",))),
        "stop",
    ),
    (
        "openai",
        400,
        {"error": {"message": "Unsupported parameter: 'stop' is not supported with this model.", "param": "stop"}},
        ChatRequest(MODEL, ASKED.messages, sampling=Sampling(("END",))),
        "stop",
    ),
]


@pytest.mark.parametrize(("adapter", "status", "body", "request_", "parameter"), REFUSALS, indirect=["adapter"])
async def test_what_must_not_be_left_out_is_refused_by_name(
    adapter: ProviderName, status: int, body: Any, request_: ChatRequest, parameter: str
) -> None:
    bodies: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        if exchange.path in ("/api/show", "/api/ps"):
            exchange.reply(404, b"{}")
            return
        bodies.append(exchange.json)
        exchange.reply(status, json.dumps(body).encode())

    async with served(adapter, answer) as (provider, _):
        for _ in range(2):
            with pytest.raises(ParameterRefused) as refused:
                [item async for item in provider.stream(request_)]
            assert refused.value.parameter == parameter
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]


async def test_other_failures_stay_what_they_are(adapter: ProviderName) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(503, json.dumps({"error": {"message": "The tool service is down", "code": 503}}).encode())

    async with served(adapter, answer) as (provider, _):
        with pytest.raises(ProviderError) as failure:
            [item async for item in provider.stream(ASKED)]
    assert not isinstance(failure.value, RequestRefused)


async def test_ollama_is_made_to_call_a_tool_by_its_format() -> None:
    ollama = ProviderName("ollama")
    pieces = b"".join(
        json.dumps({"message": {"role": "assistant", "content": text}, "done": False}).encode() + b"\n"
        for text in ('{"city":', ' "Oslo"}')
    )
    server = Server(ollama, pieces + WIRES[ollama].ending)
    (items,) = await server.ask(msgspec.structs.replace(ASKED, tool_choice=NamedTool("weather")))

    ((call),) = calls_in(items)
    assert (call.name, call.arguments) == ("weather", '{"city": "Oslo"}')
    assert items[-1] == Finish("tool_calls", Usage(12, 34))
    assert not any(isinstance(item, Delta) for item in items)
    (body,) = server.bodies
    assert body["format"] == SCHEMA
    assert "tools" not in body


@pytest.mark.parametrize(
    ("more", "parameter"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": NamedTool("unknown")}, "tool_choice"),
        ({"response_format": REPLY}, "response_format"),
    ],
)
async def test_what_ollama_cannot_do_is_refused_before_it_is_asked(more: dict[str, Any], parameter: str) -> None:
    server = Server(ProviderName("ollama"), plain(ProviderName("ollama")))
    async with served(ProviderName("ollama"), server.answer) as (provider, _):
        # as for every failure, not before the stream is read
        stream = provider.stream(msgspec.structs.replace(ASKED, **more))
        with pytest.raises(ParameterRefused) as refused:
            await anext(stream)
    assert refused.value.parameter == parameter
    assert not server.bodies


async def test_ollama_without_the_tools_that_must_not_be_called() -> None:
    request = msgspec.structs.replace(ASKED, tool_choice="none")
    assert await sent(ProviderName("ollama"), request) == await sent(
        ProviderName("ollama"), msgspec.structs.replace(ASKED, tools=())
    )


async def test_calls_go_round_with_aimock(adapter: ProviderName, provider: Provider, aimock: AIMock) -> None:
    """A server that nobody here wrote. Its journal has the requests in OpenAI's shape, whatever the wire."""
    first = [
        {"id": "toolu_1", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"id": "toolu_2", "name": "weather", "arguments": '{"city": "Rome", "days": 3}'},
    ]
    aimock.fixture({"content": "I look.", "toolCalls": first}, user="Oslo", model="first", chunkSize=3)
    aimock.fixture({"toolCalls": [{"name": "now", "arguments": "{}"}]}, user=None, model="second", chunkSize=3)
    aimock.reply("It rains.")
    messages = ASKED.messages
    for model, text, made in (("first", "I look.", 2), ("second", "", 1), ("third", "It rains.", 0)):
        request = msgspec.structs.replace(ASKED, model=model, messages=messages)
        items = [item async for item in provider.stream(request)]
        calls = calls_in(items)
        assert "".join(item.text for item in items if isinstance(item, Delta)) == text
        assert isinstance(items[-1], Finish)
        assert (items[-1].reason, len(calls)) == ("tool_calls" if made else "stop", made)
        messages = (
            *messages,
            Message("assistant", text, calls),
            *(Message("tool", f"result of {call.name}", tool_call_id=call.id) for call in calls),
        )
        if made == 2:
            assert [json.loads(call.arguments) for call in calls] == [{"city": "Oslo"}, {"city": "Rome", "days": 3}]
    assert len({call.id for message in messages for call in message.tool_calls}) == 3

    (*_, last) = [entry["body"] for entry in aimock.journal() if "messages" in (entry["body"] or {})]
    assert [message["role"] for message in last["messages"]] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "tool",
    ]
    called = [call for message in last["messages"] for call in message.get("tool_calls", ())]
    assert [call["function"]["name"] for call in called] == ["weather", "weather", "now"]
    assert json.loads(called[1]["function"]["arguments"]) == {"city": "Rome", "days": 3}
    results = [message for message in last["messages"] if message["role"] == "tool"]
    assert [result["content"].count("result of") for result in results] == [1, 1, 1]
    if adapter != "ollama":  # where it knows no ids
        assert [result["tool_call_id"] for result in results] == [call["id"] for call in called]
    assert [tool["function"]["name"] for tool in last["tools"]] == ["weather", "now"]


async def test_a_schema_without_a_bottom_is_refused(adapter: ProviderName) -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(400):
        schema = {"type": "object", "properties": {"a": schema}}
    for more, parameter in (
        ({"tools": (Tool("f", None, schema),)}, "tools"),
        ({"response_format": JsonSchema("f", schema)}, "response_format"),
    ):
        with pytest.raises(ParameterRefused) as refused:
            await sent(adapter, ChatRequest(MODEL, ASKED.messages, **more))
        assert refused.value.parameter == parameter
    deep = (ToolCall("a", "f", '{"a":' * 400 + "1" + "}" * 400),)
    messages = (*ASKED.messages, Message("assistant", "", deep), Message("tool", "1", tool_call_id="a"))
    if adapter in ("openai", "claude"):  # where it is text, or encoded as it is
        assert await sent(adapter, ChatRequest(MODEL, messages))
    else:
        with pytest.raises(RequestRefused):
            await sent(adapter, ChatRequest(MODEL, messages))


async def test_a_conversation_with_calls_and_no_tools() -> None:
    """Anthropic refuses it without tools, so it gets those that were called, and may call none."""
    body = await sent(ProviderName("claude"), ChatRequest(MODEL, HISTORY))
    assert body["tools"] == [{"name": "weather", "input_schema": {"type": "object", "properties": {}}}]
    assert body["tool_choice"] == {"type": "none"}
    call, result = body["messages"][1]["content"][0], body["messages"][2]["content"][0]
    assert call["id"] == result["tool_use_id"]
    assert call["id"].isalnum()
    assert body["messages"][2]["content"][1] == {"type": "text", "text": "Thanks."}
    assert body["max_tokens"] == DEFAULT_MAX_TOKENS


@pytest.mark.parametrize(
    ("model", "signatures"),
    [("gemini-3.8-flash", ["c2ln", None, UNSIGNED]), ("gemini-2.5-flash", ["c2ln", None, None])],
)
async def test_calls_of_other_models_have_a_signature_where_gemini_demands_one(
    model: str, signatures: list[str | None]
) -> None:
    assert signatures_in(await sent_to_gemini(model, [])) == [signatures]


@pytest.mark.parametrize(
    "words",
    [
        "Function call is missing a thought_signature in functionCall parts.",
        "Unable to submit request because Thought signature is not valid.",
    ],
)
async def test_signature_that_gemini_refuses(words: str) -> None:
    """As a client may have cut it. Other conversations with the model keep theirs."""
    first, second, third, fourth = signatures_in(await sent_to_gemini("some-gemini", [words], times=2))
    assert first == third == ["c2ln", None, None]
    assert second == fourth == [UNSIGNED, None, UNSIGNED]


async def sent_to_gemini(model: str, refusals: list[str], times: int = 1) -> list[Any]:
    """The bodies of the same request, `times` times, of which each is refused first with `refusals`."""
    bodies: list[Any] = []
    left: list[str] = []

    async def answer(exchange: Exchange) -> None:
        bodies.append(exchange.json)
        if left:
            error = {"code": 400, "message": left.pop(0), "status": "INVALID_ARGUMENT"}
            exchange.reply(400, json.dumps({"error": error}).encode())
            return
        exchange.start()
        exchange.send(plain(ProviderName("gemini")))

    async with served(ProviderName("gemini"), answer) as (provider, _):
        for _ in range(times):
            left += refusals
            assert [item async for item in provider.stream(ChatRequest(model, SIGNED, tools=(WEATHER, NOW)))][-1]
    return bodies


def signatures_in(bodies: list[Any]) -> list[list[str | None]]:
    """The signatures of all calls, one list a body."""
    return [
        [
            part.get("thoughtSignature")
            for content in body["contents"]
            for part in content["parts"]
            if "functionCall" in part
        ]
        for body in bodies
    ]


async def test_mistral_gets_ids_of_nine_characters_and_its_order_of_roles() -> None:
    bodies: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        bodies.append(exchange.json)
        messages = exchange.json["messages"]
        words = None
        if len(messages[1]["tool_calls"][0]["id"]) != 9:
            words = "Tool call id was functions.weather:0 but must be a-z, A-Z, 0-9, with a length of 9."
        elif [message["role"] for message in messages[-2:]] == ["tool", "user"]:
            words = "Unexpected role 'user' after role 'tool'"
        if words:
            exchange.reply(400, json.dumps({"object": "error", "message": words, "type": "invalid"}).encode())
            return
        exchange.start()
        exchange.send(plain(ProviderName("openai")))

    async with served(ProviderName("openai"), answer) as (provider, _):
        for _ in range(2):
            assert [item async for item in provider.stream(ChatRequest(MODEL, HISTORY))][-1]
    assert len(bodies) == 4
    assert [message["role"] for message in bodies[-1]["messages"]] == ["user", "assistant", "tool", "assistant", "user"]
    assert bodies[-1]["messages"][1]["tool_calls"][0]["id"] == bodies[-1]["messages"][2]["tool_call_id"]


async def test_reasoning_goes_back_to_servers_that_demand_it() -> None:
    bodies: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        bodies.append(exchange.json)
        if "reasoning_content" not in exchange.json["messages"][1]:
            words = "Missing `reasoning_content` field in the assistant message at message index 1"
            exchange.reply(400, json.dumps({"error": {"message": words, "type": "invalid_request_error"}}).encode())
            return
        exchange.start()
        exchange.send(plain(ProviderName("openai")))

    calling = msgspec.structs.replace(HISTORY[1], reasoning="Oslo is a city.")
    async with served(ProviderName("openai"), answer) as (provider, _):
        for _ in range(2):
            request = ChatRequest(MODEL, (HISTORY[0], calling, HISTORY[2]), tools=(WEATHER,))
            assert [item async for item in provider.stream(request)][-1]
    sent = [body["messages"][1].get("reasoning_content") for body in bodies]
    assert sent == [None, "Oslo is a city.", "Oslo is a city."]


async def test_claude_does_not_think_when_it_must_call_a_tool() -> None:
    """Models with a budget are not asked to; others are, unless they refuse it, and still think for other requests."""
    bodies: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        bodies.append(exchange.json)
        choice = exchange.json.get("tool_choice", {}).get("type")
        thinking = exchange.json.get("thinking", {}).get("type")
        if choice in ("any", "tool") and thinking not in (None, "disabled"):
            words = "Thinking may not be enabled when tool_choice forces tool use."
            error = {"type": "error", "error": {"type": "invalid_request_error", "message": words}}
            exchange.reply(400, json.dumps(error).encode())
            return
        exchange.start()
        exchange.send(plain(ProviderName("claude")))

    def thinking(model: str, choice: ToolChoice | None) -> ChatRequest:
        return msgspec.structs.replace(ASKED, model=model, tool_choice=choice, reasoning="high", max_tokens=4000)

    async with served(ProviderName("claude"), answer) as (provider, _):
        for request in (
            thinking("claude-haiku-4-5", "required"),
            thinking("claude-haiku-4-5", None),
            thinking("claude-opus-4-6", "required"),
            thinking("claude-opus-4-6", "required"),
            thinking("claude-opus-4-6", None),
        ):
            assert [item async for item in provider.stream(request)][-1]
    assert [body["thinking"]["type"] for body in bodies] == [
        "disabled",
        "enabled",
        "adaptive",
        "disabled",
        "disabled",
        "adaptive",
    ]


async def test_claude_with_a_budget_does_not_think_about_a_result() -> None:
    """Its API wants the thinking before the call back, which no OpenAI client has."""
    request = ChatRequest("claude-haiku-4-5", HISTORY[:3], 4000, "high", tools=(WEATHER,))
    assert (await sent(ProviderName("claude"), request))["thinking"] == {"type": "disabled"}
    replied = (*HISTORY[:3], Message("assistant", "It rains."), HISTORY[3])
    request = ChatRequest("claude-haiku-4-5", replied, 4000, "high", tools=(WEATHER,))
    assert (await sent(ProviderName("claude"), request))["thinking"]["type"] == "enabled"


async def test_an_effort_that_is_refused_beside_tools_is_kept_without_them() -> None:
    bodies: list[Any] = []

    async def answer(exchange: Exchange) -> None:
        bodies.append(exchange.json)
        if "tools" in exchange.json and exchange.json.get("reasoning_effort"):
            words = "Function tools with reasoning_effort are not supported for m in /v1/chat/completions."
            exchange.reply(400, json.dumps({"error": {"message": words, "param": "reasoning_effort"}}).encode())
            return
        exchange.start()
        exchange.send(plain(ProviderName("openai")))

    async with served(ProviderName("openai"), answer) as (provider, _):
        for request in (ASKED, ASKED, msgspec.structs.replace(ASKED, tools=())):
            assert [item async for item in provider.stream(msgspec.structs.replace(request, reasoning="high"))][-1]
    assert [body.get("reasoning_effort") for body in bodies] == ["high", None, None, "high"]
    assert ["tools" in body for body in bodies] == [True, True, True, False]


async def test_strict_tools() -> None:
    open_, closed = (
        Tool("a", None, {"type": "object", "additionalProperties": True}, True),
        Tool("b", None, SCHEMA, True),
    )
    request = msgspec.structs.replace(ASKED, tools=(open_, closed))

    assert [tool["function"]["strict"] for tool in (await sent(ProviderName("openai"), request))["tools"]] == [
        True,
        True,
    ]
    first, second = (await sent(ProviderName("claude"), request))["tools"]
    assert "strict" not in first
    assert second["strict"]
    assert second["input_schema"]["additionalProperties"] is False
