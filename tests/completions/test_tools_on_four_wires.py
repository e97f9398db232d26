"""An agent's whole round with OpenAI's client on the wire of each provider: calls, their results, and the reply."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from scripts.local_supabase import LocalSupabase
from tests.completions.conftest import openai_client
from tests.support.raw_upstream import Exchange, raw_upstream
from tests.support.service import Person, running_api
from tests.support.wires import WIRES, called, said

PROVIDERS = ("openai", "claude", "gemini", "ollama")
MODEL = "some-model"
SIGNATURE = "Q2lSaWdu+/8="
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": "weather", "description": "Of a city.", "parameters": SCHEMA}},
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]
QUESTION = {"role": "user", "content": "Oslo and Rome?"}


class Played:
    """A server that plays all four providers: two calls, then one more, then the reply, by the results in a request."""

    def __init__(self) -> None:
        self.bodies: dict[str, list[Any]] = {name: [] for name in PROVIDERS}

    async def answer(self, exchange: Exchange) -> None:
        if exchange.path == "/api/tags":
            exchange.reply(200, json.dumps({"models": [{"name": MODEL}]}).encode())
            return
        paths = {WIRES[name].path: name for name in PROVIDERS}  # type: ignore[index]
        name: Any = paths.get(exchange.path)
        if name is None:
            exchange.reply(404, b"{}")
            return
        body = exchange.json
        self.bodies[name].append(body)
        wire, text = WIRES[name], exchange.body.decode()
        exchange.start()
        if "breaks" in text:
            exchange.send(wire.opening + called(name, ("toolu_1", "weather", '{"city": "Oslo"}')) + wire.overloaded)
            return
        if "Trip" in text:
            # as JSON, in two pieces; Ollama's and Claude's own models write it so too
            exchange.send(wire.opening, said(name, '{"city": "R\u00f3m", '), said(name, '"days": 3}'), wire.ending)
            return
        if "12:00" in text or not body.get("tools"):
            reply = wire.token + wire.ending
        elif "blue" in text:
            reply = called(name, (None if name == "gemini" else "toolu_3", "now", "{}")) + wire.calling
        else:
            calls = [("toolu_1", "weather", '{"city": "Oslo"}'), ("toolu_2", "weather", '{"city": "R\u00f3m"}')]
            reply = called(name, *calls, signature=SIGNATURE) + wire.calling
        # wherever the bytes are cut
        whole = wire.opening + reply
        exchange.send(*(whole[at : at + 11] for at in range(0, len(whole), 11)))


@pytest.fixture(scope="module")
async def played(stack: LocalSupabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[tuple[Played, Any]]:
    server = Played()
    async with raw_upstream(server.answer) as upstream:
        settings = {
            **dict.fromkeys(("OPENAI_API_KEY", "GOOGLE_AI_API_KEY", "ANTHROPIC_API_KEY"), "-"),
            **dict.fromkeys(("GOOGLE_AI_BASE_URL", "ANTHROPIC_BASE_URL", "OLLAMA_BASE_URL"), upstream.url),
            **dict.fromkeys(("OPENAI_MODEL", "GEMINI_MODEL", "CLAUDE_MODEL", "OLLAMA_MODEL"), MODEL),
            "OPENAI_BASE_URL": f"{upstream.url}/v1",
        }
        async with running_api(stack, tmp_path_factory.mktemp("tools") / "api.log", **settings) as api:
            yield server, api


@pytest.fixture
async def client(played: tuple[Played, Any], person: Person) -> AsyncGenerator[openai.AsyncOpenAI]:
    async with openai_client(played[1], person.token) as opened:
        yield opened


async def whole(client: openai.AsyncOpenAI, **asked: Any) -> Any:
    """The message and the reason to finish of an answer in one piece."""
    choice = (await client.chat.completions.create(**asked)).choices[0]
    return choice.message.model_dump(exclude_none=True), choice.finish_reason


async def joined(client: openai.AsyncOpenAI, **asked: Any) -> Any:
    """The same of a stream, joined by OpenAI's own client."""
    async with client.chat.completions.stream(**asked) as stream:
        choice = (await stream.get_final_completion()).choices[0]
    message = choice.message.model_dump(exclude_none=True)
    for call in message.get("tool_calls", ()):
        call["function"].pop("parsed_arguments", None)
        call.pop("index", None)
    return message, choice.finish_reason


@pytest.mark.parametrize("ask", [whole, joined])
@pytest.mark.parametrize("name", PROVIDERS)
async def test_calls_go_round(client: openai.AsyncOpenAI, played: tuple[Played, Any], name: str, ask: Any) -> None:
    bodies = played[0].bodies[name]
    bodies.clear()
    results = iter(['{"sky": "blue"}', "rain", "12:00"])
    messages: list[Any] = [QUESTION]
    made: list[tuple[str, Any]] = []
    for calls in (2, 1, 0):
        message, reason = await ask(client, model=f"{name}/{MODEL}", messages=messages, tools=TOOLS)
        assert reason == ("tool_calls" if calls else "stop")
        assert len(message.get("tool_calls", ())) == calls
        messages.append(message)
        for call in message.get("tool_calls", ()):
            made.append((call["function"]["name"], json.loads(call["function"]["arguments"])))
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": next(results)})
    assert messages[-1]["content"] == "token"
    assert made == [("weather", {"city": "Oslo"}), ("weather", {"city": "Róm"}), ("now", {})]

    ids = [message["tool_call_id"] for message in messages if message["role"] == "tool"]
    assert len(set(ids)) == 3
    sent = json.dumps(bodies[-1])
    if name == "gemini":
        parts = [part for content in bodies[-1]["contents"] for part in content["parts"]]
        assert [part.get("thoughtSignature") for part in parts if "functionCall" in part][:2] == [SIGNATURE, None]
        answered = [part["functionResponse"] for part in parts if "functionResponse" in part]
        assert [each["name"] for each in answered] == ["weather", "weather", "now"]
        assert [each["id"] for each in answered][:2] == ["toolu_1", "toolu_2"]
    else:
        assert ids == ["toolu_1", "toolu_2", "toolu_3"]
        assert all(sent.count(call_id) == 2 for call_id in ids)


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_conversation_goes_on_with_another_provider(
    client: openai.AsyncOpenAI, played: tuple[Played, Any], name: str
) -> None:
    """The calls that Gemini has made are read by all."""
    message, _ = await whole(client, model=f"gemini/{MODEL}", messages=[QUESTION], tools=TOOLS)
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": content}
        for call, content in zip(message["tool_calls"], ("blue", "12:00"), strict=True)
    ]
    reply, reason = await whole(client, model=f"{name}/{MODEL}", messages=[QUESTION, message, *results], tools=TOOLS)
    assert (reply["content"], reason) == ("token", "stop")
    body = played[0].bodies[name][-1]
    assert (SIGNATURE in json.dumps(body)) == (name == "gemini")


async def test_a_parameter_that_the_provider_lacks_is_named(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await whole(client, model=f"ollama/{MODEL}", messages=[QUESTION], tools=TOOLS, tool_choice="required")
    assert refused.value.param == "tool_choice"


async def test_one_forced_call_is_had_from_every_provider(
    client: openai.AsyncOpenAI, played: tuple[Played, Any]
) -> None:
    choice = {"type": "function", "function": {"name": "weather"}}
    for name in PROVIDERS:
        await whole(client, model=f"{name}/{MODEL}", messages=[QUESTION], tools=TOOLS[:1], tool_choice=choice)
    assert [body[-1].get("tool_choice") for body in played[0].bodies.values()] == [
        choice,
        {"type": "tool", "name": "weather"},
        None,
        None,
    ]
    gemini, ollama = played[0].bodies["gemini"][-1], played[0].bodies["ollama"][-1]
    assert gemini["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == ["weather"]
    assert ollama["format"] == SCHEMA


class Trip(BaseModel):
    """What a reply is made of."""

    city: str
    days: int | None


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_reply_by_a_pydantic_model(client: openai.AsyncOpenAI, played: tuple[Played, Any], name: str) -> None:
    asked: Any = {"model": f"{name}/{MODEL}", "messages": [QUESTION], "response_format": Trip}
    completion = await client.chat.completions.parse(**asked)
    assert completion.choices[0].message.parsed == Trip(city="Róm", days=3)
    async with client.chat.completions.stream(**asked) as stream:
        assert (await stream.get_final_completion()).choices[0].message.parsed == Trip(city="Róm", days=3)
    assert '"days"' in json.dumps(played[0].bodies[name][-1])


@pytest.mark.parametrize("name", PROVIDERS)
async def test_a_call_that_breaks_is_an_error_and_nobody_else_answers(
    client: openai.AsyncOpenAI, played: tuple[Played, Any], name: str
) -> None:
    asked = {other: len(bodies) for other, bodies in played[0].bodies.items()}
    stream = await client.chat.completions.create(
        model=f"{name}/{MODEL}", messages=[{"role": "user", "content": "It breaks."}], tools=TOOLS, stream=True
    )
    arguments: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            for call in (chunk.choices[0].delta.tool_calls or ()) if chunk.choices else ():
                assert call.index == 0
                assert call.function is not None
                arguments.append(call.function.arguments or "")

    with pytest.raises(openai.APIError):
        await read()
    assert json.loads("".join(arguments)) == {"city": "Oslo"}
    others = [other for other in PROVIDERS if other != name]
    assert [len(played[0].bodies[other]) - asked[other] for other in others] == [0, 0, 0]
