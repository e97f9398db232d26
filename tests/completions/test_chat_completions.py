"""Chat completions on the wire and by OpenAI's client: whole and streamed, what is sent to the model, what is left."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from app.api.completions.bodies import ChatMessage, prompt_of
from app.values import Message
from tests.completions.conftest import CHAT, SYSTEM_PROMPT, chat, says, streamed
from tests.support.callers import Connection
from tests.support.service import Person
from tests.support.upstream import MODEL, Upstream

TEXT = "tok0 tok1 tok2 "
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "total_tokens": 10,
    "prompt_tokens_details": {"cached_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 0},
}
CALL = [
    {"index": 0, "id": "call_a", "type": "function", "function": {"name": "weather", "arguments": ""}},
    {"index": 0, "function": {"arguments": '{"city": "Pa'}},
    {"index": 1, "id": "call_b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    {"index": 0, "function": {"arguments": 'ris"}'}},
]
TOOLS: list[Any] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": {}}}}
    for name in ("weather", "time")
]


def choices(said: list[Any]) -> list[dict[str, Any]]:
    return [chunk["choices"][0] for chunk in said if chunk["choices"]]


# ── whole ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_whole_completion(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(**chat())
    assert completion.id.startswith("chatcmpl-")
    assert (completion.object, completion.model) == ("chat.completion", MODEL)
    [choice] = completion.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content == TEXT
    assert choice.message.tool_calls is None
    assert completion.usage is not None
    assert completion.usage.model_dump(exclude_unset=True) == USAGE


async def test_reply_that_reached_its_limit_says_so(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(**chat(messages=says(tokens=3, finish="length")))
    assert completion.choices[0].finish_reason == "length"


async def test_reply_that_was_filtered_says_so(wire: httpx.AsyncClient) -> None:
    said = await streamed(wire, messages=says(tokens=2, finish="content_filter"))
    assert choices(said)[-1]["finish_reason"] == "content_filter"


# ── streamed ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_streamed_completion(wire: httpx.AsyncClient) -> None:
    said = await streamed(wire)
    assert all("usage" not in chunk for chunk in said)
    assert {(chunk["id"], chunk["object"], chunk["created"], chunk["model"]) for chunk in said} == {
        (said[0]["id"], "chat.completion.chunk", said[0]["created"], MODEL)
    }
    parts = choices(said)
    assert len(parts) == len(said)
    assert parts[0]["delta"] == {"role": "assistant", "content": ""}
    assert "".join(part["delta"].get("content", "") for part in parts) == TEXT
    assert [part["finish_reason"] for part in parts] == [None] * (len(parts) - 1) + ["stop"]
    assert parts[-1]["delta"] == {}


async def test_usage_is_a_chunk_without_choices_where_it_is_asked_for(wire: httpx.AsyncClient) -> None:
    said = await streamed(wire, stream_options={"include_usage": True})
    assert said[-1]["choices"] == []
    assert said[-1]["usage"] == USAGE
    assert all(chunk["usage"] is None and len(chunk["choices"]) == 1 for chunk in said[:-1])
    assert choices(said)[-1]["finish_reason"] == "stop"


async def test_openai_client_streams(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(**chat(), stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == TEXT
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10


async def test_openai_helper_accumulates_the_stream(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(**chat()) as stream:
        completion = await stream.get_final_completion()
    assert completion.choices[0].message.content == TEXT


async def test_text_with_ends_of_lines_is_one_event(wire: httpx.AsyncClient) -> None:
    pieces = ["one\n\n", "two\u2028three\u2029", "four\x85\r\n", "é😀"]
    response = await wire.post(CHAT, json=chat(stream=True, messages=says(pieces=pieces)))
    assert not set(response.text) & set("\u2028\u2029\x85\r")
    said = await streamed(wire, messages=says(pieces=pieces))
    assert "".join(part["delta"].get("content", "") for part in choices(said)) == "".join(pieces)


async def test_reasoning_has_both_names(wire: httpx.AsyncClient, client: openai.AsyncOpenAI) -> None:
    messages = says(tokens=1, thoughts=["I ", "think"])
    parts = [part["delta"] for part in choices(await streamed(wire, messages=messages))]
    assert "".join(part.get("reasoning", "") for part in parts) == "I think"
    assert all(part.get("reasoning") == part.get("reasoning_content") for part in parts)
    assert "".join(part.get("content", "") for part in parts) == "tok0 "
    message = (await client.chat.completions.create(**chat(messages=messages))).choices[0].message
    assert (message.content, message.model_extra) == (
        "tok0 ",
        {"reasoning": "I think", "reasoning_content": "I think"},
    )


# ── tool calls ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_tool_calls_are_streamed_in_parts_with_their_index(wire: httpx.AsyncClient) -> None:
    messages = says(tokens=0, calls=CALL, finish="tool_calls")
    parts = choices(await streamed(wire, messages=messages, tools=TOOLS))
    calls = [call for part in parts for call in part["delta"].get("tool_calls", ())]
    assert [(call["index"], call.get("id")) for call in calls if "id" in call] == [(0, "call_a"), (1, "call_b")]
    assert all(("id" in call) == ("name" in call["function"]) == ("type" in call) for call in calls)
    for index, whole in ((0, '{"city": "Paris"}'), (1, "{}")):
        assert "".join(call["function"]["arguments"] for call in calls if call["index"] == index) == whole
    assert parts[-1]["finish_reason"] == "tool_calls"


async def test_tool_calls_of_a_whole_completion(client: openai.AsyncOpenAI, provider: Upstream) -> None:
    messages = says(tokens=0, calls=CALL, finish="tool_calls", id="whole-calls")
    completion = await client.chat.completions.create(
        **chat(messages=messages), tools=TOOLS, tool_choice="required", parallel_tool_calls=True
    )
    [choice] = completion.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    assert [call.model_dump() for call in choice.message.tool_calls or ()] == [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}},
        {"id": "call_b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]
    sent = (await provider.call("whole-calls")).body
    assert [tool["function"]["name"] for tool in sent["tools"]] == ["weather", "time"]
    assert (sent["tool_choice"], sent["parallel_tool_calls"]) == ("required", True)


async def test_result_of_a_tool_goes_back_to_the_model(client: openai.AsyncOpenAI, provider: Upstream) -> None:
    called = {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "The weather?"},
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "call_a", "content": '{"id": "tool-result", "tokens": 1}'},
    ]
    completion = await client.chat.completions.create(**chat(messages=messages), tools=TOOLS)
    assert completion.choices[0].message.content == "tok0 "
    _, _, assistant, result = (await provider.call("tool-result")).body["messages"]
    assert assistant["tool_calls"][0]["id"] == result["tool_call_id"] == "call_a"
    assert result["role"] == "tool"


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_thoughts_that_are_sent_back_are_kept_for_servers_that_demand_them(name: str) -> None:
    messages = [ChatMessage(role="assistant", content="Ciao", **{name: "In Italian."})]
    assert prompt_of(messages) == (Message("assistant", "Ciao", reasoning="In Italian."),)


# ── what the model is sent ───────────────────────────────────────────────────────────────────────────────────────


async def test_operators_text_comes_first_then_the_callers(client: openai.AsyncOpenAI, provider: Upstream) -> None:
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]},
        {"role": "system", "content": "In Italian."},
        {"role": "assistant", "content": "Ciao", "reasoning_content": "left aside", "annotations": []},
        *says(id="roles", tokens=1),
    ]
    await client.chat.completions.create(**chat(messages=messages))
    sent = (await provider.call("roles")).body["messages"]
    assert [message["role"] for message in sent] == ["system", "user", "assistant", "user"]
    assert sent[0]["content"] == f"{SYSTEM_PROMPT}\n\nBe brief.\n\nIn Italian."
    assert (sent[1]["content"], sent[2]["content"]) == ("Hello\nthere", "Ciao")


async def test_messages_of_the_system_alone_are_answered(client: openai.AsyncOpenAI, provider: Upstream) -> None:
    await client.chat.completions.create(**chat(messages=[{**says(id="system-alone")[0], "role": "system"}]))
    sent = (await provider.call("system-alone")).body["messages"]
    assert [message["role"] for message in sent] == ["system", "user"]


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_limit_of_the_reply_has_two_names(client: openai.AsyncOpenAI, provider: Upstream, name: str) -> None:
    await client.chat.completions.create(**chat(messages=says(id=f"limit-{name}", tokens=1), **{name: 17}))
    sent = (await provider.call(f"limit-{name}")).body
    assert sent.get("max_tokens", sent.get("max_completion_tokens")) == 17


async def test_limit_is_lowered_to_what_the_model_can_write(client: openai.AsyncOpenAI, provider: Upstream) -> None:
    await client.chat.completions.create(
        **chat(model="gpt-4o-mini", messages=says(id="as-much-as-it-can", tokens=1)), max_tokens=64_000
    )
    sent = (await provider.call("as-much-as-it-can")).body
    assert (sent["model"], sent["max_tokens"]) == ("gpt-4o-mini", 16_384)


async def test_sampling_is_passed_on(client: openai.AsyncOpenAI, provider: Upstream) -> None:
    sampling: dict[str, Any] = {
        "stop": ["END"],
        "temperature": 0.5,
        "top_p": 0.25,
        "seed": 7,
        "presence_penalty": -1,
        "frequency_penalty": 1,
    }
    await client.chat.completions.create(**chat(messages=says(id="sampling", tokens=1), **sampling))
    sent = (await provider.call("sampling")).body
    assert {name: sent[name] for name in sampling} == sampling


async def test_form_of_the_reply_is_passed_on(client: openai.AsyncOpenAI, provider: Upstream) -> None:
    schema = {"name": "answer", "schema": {"type": "object", "properties": {}}, "strict": True}
    wanted: Any = {"type": "json_schema", "json_schema": schema}
    await client.chat.completions.create(**chat(messages=says(id="form", tokens=1)), response_format=wanted)
    assert (await provider.call("form")).body["response_format"] == wanted


@pytest.mark.parametrize(
    "harmless",
    [
        {"user": "u", "metadata": {"a": "b"}, "store": True, "service_tier": "auto", "prompt_cache_key": "k"},
        {"prompt_cache_options": {"mode": "explicit"}, "reasoning_effort": "max", "function_call": "none"},
        {"n": 1, "logprobs": False, "logit_bias": {}, "modalities": ["text"], "functions": None, "tools": []},
        {"stop": None, "temperature": None, "max_tokens": None, "stream": None, "stream_options": None},
        {"safety_identifier": "s", "verbosity": "low", "stream_options": {"include_obfuscation": False}},
        {"reasoning_effort": "minimal", "seed": 1},
    ],
)
async def test_what_is_harmless_is_taken(wire: httpx.AsyncClient, harmless: dict[str, Any]) -> None:
    response = await wire.post(CHAT, json=chat(**harmless))
    assert response.status_code == 200, response.text


# ── models ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "answers"),
    [("auto", MODEL), ("openai", MODEL), ("gpt-5-mini", "gpt-5-mini"), ("openai/gpt-5-mini", "gpt-5-mini")],
)
async def test_model_is_auto_a_provider_or_a_model(client: openai.AsyncOpenAI, name: str, answers: str) -> None:
    assert (await client.chat.completions.create(**chat(model=name))).model == answers


async def test_models_are_listed_and_read(client: openai.AsyncOpenAI) -> None:
    listed = {model.id: model async for model in client.models.list()}
    assert listed["auto"].owned_by == "parley"
    assert listed[MODEL].owned_by == listed["gpt-5-mini"].owned_by == "openai"
    assert listed["text-embedding-3-small"].owned_by == "openai"
    assert {model.object for model in listed.values()} == {"model"}
    for name in ("auto", MODEL, "gpt-5-mini"):
        assert await client.models.retrieve(name) == listed[name]
    assert (await client.models.retrieve("openai")).owned_by == "openai"
    assert (await client.models.retrieve("openai/gpt-5-mini")).id == "gpt-5-mini"


async def test_model_that_there_is_not_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as found:
        await client.models.retrieve("gpt-0")
    assert found.value.code == "model_not_found"


# ── what is stored ───────────────────────────────────────────────────────────────────────────────────────────────


async def test_nothing_is_stored_but_the_ledger(
    client: openai.AsyncOpenAI, wire: httpx.AsyncClient, owned: Connection, person: Person
) -> None:
    secret = "a-sentence-that-must-not-be-stored"
    await client.chat.completions.create(**chat(messages=says(token=secret + "{}", tokens=2)))
    await streamed(wire, messages=says(token=secret + "{}", tokens=2))
    rows = owned.execute(
        "select kind, provider, model, prompt_tokens, completion_tokens from private.usage_ledger where user_id = %s",
        [person.id],
    ).fetchall()
    assert rows == [("reply", "openai", MODEL, 7, 2)] * 2
    tables = owned.execute(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname in ('public', 'private')"
    ).fetchall()
    for (table,) in tables:
        found = owned.execute(f"select count(*) from {table} as t where t::text like '%%{secret}%%'").fetchone()  # noqa: S608
        assert found == (0,), table
    assert (await wire.get("/v1/conversations")).json()["items"] == []
