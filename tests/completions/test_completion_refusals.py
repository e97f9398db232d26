"""What is refused below `/openai`: always in the shape of OpenAI's API, with the parameter, and nothing is charged."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from scripts.local_supabase import LocalSupabase
from tests.completions.conftest import CHAT, chat, openai_client, refused, says
from tests.support.callers import Connection, one
from tests.support.client import person_client
from tests.support.service import Api, Person, sign_up

EMBEDDINGS = "/openai/v1/embeddings"
USER = {"role": "user", "content": "Hello"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def message(**fields: Any) -> dict[str, Any]:
    return {"messages": [USER, {"role": "user", "content": "x"} | fields]}


BLANK = {"role": "system", "content": " "}
RESULT = {"role": "tool", "tool_call_id": "a", "content": "x"}


def calling(*then: dict[str, Any], ids: tuple[str, ...] = ("a",)) -> dict[str, Any]:
    """A conversation with tool calls of these ids, and what comes after them."""
    made = {"role": "assistant", "content": None, "tool_calls": [CALL | {"id": one} for one in ids]}
    return {"messages": [USER, made, *then]}


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        # what there is not
        ({"n": 2}, "unsupported_parameter", "n"),
        ({"logprobs": True}, "unsupported_parameter", "logprobs"),
        ({"top_logprobs": 5}, "unsupported_parameter", "top_logprobs"),
        ({"functions": [{"name": "f"}]}, "unsupported_parameter", "functions"),
        ({"function_call": "auto"}, "unsupported_parameter", "function_call"),
        ({"logit_bias": {"50256": -100}}, "unsupported_parameter", "logit_bias"),
        ({"modalities": ["text", "audio"]}, "unsupported_parameter", "modalities"),
        ({"audio": {"voice": "alloy"}}, "unsupported_parameter", "audio"),
        ({"prediction": {"type": "content"}}, "unsupported_parameter", "prediction"),
        ({"web_search_options": {"a": 1}}, "unsupported_parameter", "web_search_options"),
        ({"web_search_options": {}}, "unsupported_parameter", "web_search_options"),  # searches, too
        ({"n": 0}, "unsupported_parameter", "n"),
        (message(content=[{"type": "text", "text": "a"}, IMAGE]), "unsupported_parameter", "messages[1].content[1]"),
        (message(content=[{"type": "input_audio"}]), "unsupported_parameter", "messages[1].content[0]"),
        (message(content=[{"type": "file", "file": {}}]), "unsupported_parameter", "messages[1].content[0]"),
        (message(role="assistant", function_call={"name": "f"}), "unsupported_parameter", "messages[1].function_call"),
        # mistakes
        ({"max_token": 5}, "unknown_parameter", "max_token"),
        ({"temperature": 2.5}, "invalid_value", "temperature"),
        ({"temperature": "1"}, "invalid_value", "temperature"),
        ({"max_tokens": 0}, "invalid_value", "max_tokens"),
        ({"stream": "true"}, "invalid_value", "stream"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "invalid_value", "stop"),
        ({"stop": ""}, "invalid_value", "stop"),
        ({"reasoning_effort": "extreme"}, "invalid_value", "reasoning_effort"),
        ({"messages": []}, "invalid_value", "messages"),
        ({"messages": "Hello"}, "invalid_value", "messages"),
        (message(role="function"), "invalid_value", "messages[1].role"),
        (message(content=None), "invalid_value", "messages[1].content"),
        (message(content=5), "invalid_value", "messages[1].content"),
        (message(content=[{"type": "text"}]), "missing_required_parameter", "messages[1].content[0].text"),
        (message(role="tool"), "missing_required_parameter", "messages[1].tool_call_id"),
        (message(role="tool", tool_call_id="b"), "invalid_value", "messages[1].tool_call_id"),
        (calling(), "invalid_value", "messages[1].tool_calls"),
        (calling(USER), "invalid_value", "messages[1].tool_calls"),
        (calling(RESULT, ids=("a", "b")), "invalid_value", "messages[1].tool_calls"),
        (calling(RESULT, RESULT), "invalid_value", "messages[3].tool_call_id"),
        (calling(USER, {"role": "assistant", "content": "x"}, RESULT), "invalid_value", "messages[1].tool_calls"),
        (calling(RESULT, {"role": "assistant", "content": "x"}, RESULT), "invalid_value", "messages[4].tool_call_id"),
        ({"messages": [{"role": "user", "content": ""}]}, "invalid_value", "messages"),
        ({"messages": [{"role": "user", "content": []}, BLANK]}, "invalid_value", "messages"),
        ({"messages": [{"role": "assistant", "content": None}]}, "invalid_value", "messages"),
        (message(role="assistant", tool_calls=[{"id": "a"}]), "missing_required_parameter",
         "messages[1].tool_calls[0].function"),
        ({"tools": [{"type": "retrieval"}]}, "invalid_value", "tools[0].type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "invalid_value", "tools[0].function.name"),
        ({"tool_choice": "required"}, "invalid_value", "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "invalid_value", "tool_choice"),
        ({"response_format": {"type": "json_schema"}}, "missing_required_parameter", "response_format.json_schema"),
        ({"response_format": {"type": "xml"}}, "invalid_value", "response_format.type"),
        ({"model": None}, "invalid_value", "model"),
    ],
)  # fmt: skip
async def test_value_that_is_not_accepted_is_400_with_its_parameter(
    wire: httpx.AsyncClient, body: dict[str, Any], code: str, param: str
) -> None:
    error = refused(await wire.post(CHAT, json=chat(**body)), 400, code, param)
    assert error["type"] == "invalid_request_error"


async def test_refusals_charge_nothing(wire: httpx.AsyncClient, owned: Connection, person: Person) -> None:
    refused(await wire.post(CHAT, json=chat(n=2)), 400, "unsupported_parameter", "n")
    refused(await wire.post(CHAT, json=chat(model="gpt-0")), 404, "model_not_found", "model")
    for table in ("meters", "reservations", "usage_ledger"):
        assert one(owned, f"select count(*) from private.{table} where user_id = %s", [person.id]) == 0  # noqa: S608


@pytest.mark.parametrize(
    ("content", "headers", "status", "param"),
    [
        (b"{", {}, 400, None),
        (b"", {}, 400, None),
        (b"[]", {}, 400, None),
        (b"{}", {"Content-Type": "text/plain"}, 415, None),
        (b'{"model": "auto"}', {}, 400, "messages"),
        (b'{"model": "auto", "messages": [{"role": "user", "content": "' + b"x" * 1_100_000 + b'"}]}', {}, 413, None),
    ],
)
async def test_body_that_cannot_be_read(
    wire: httpx.AsyncClient, content: bytes, headers: dict[str, str], status: int, param: str | None
) -> None:
    response = await wire.post(CHAT, content=content, headers={"Content-Type": "application/json"} | headers)
    assert response.status_code == status
    assert response.json()["error"]["param"] == param
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/openai/v1/files"), ("POST", "/openai/v1/responses"), ("POST", "/openai/v1/completions"),
     ("GET", "/openai/v1"), ("GET", "/openai")],
)  # fmt: skip
async def test_unknown_path(wire: httpx.AsyncClient, method: str, path: str) -> None:
    error = refused(await wire.request(method, path), 404, "unknown_url")
    assert error["message"] == f"Invalid URL ({method} {path})"


async def test_method_that_there_is_not(wire: httpx.AsyncClient) -> None:
    response = await wire.get(CHAT)
    assert response.status_code == 405
    assert set(response.headers["allow"].split(", ")) == {"POST", "OPTIONS"}
    assert response.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("key", [None, "wrong", "sk-proj-of-openai"])
@pytest.mark.parametrize("path", [CHAT, EMBEDDINGS, "/openai/v1/models", "/openai/v1/models/auto"])
async def test_without_a_valid_key(service: Api, key: str | None, path: str) -> None:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=service.url, headers=headers) as stranger:
        response = await (stranger.get(path) if "models" in path else stranger.post(path, json=chat()))
    error = refused(response, 401, "invalid_api_key")
    assert error["type"] == "invalid_request_error"
    assert response.headers["www-authenticate"] == "Bearer"


async def test_openai_client_raises_its_own_errors(client: openai.AsyncOpenAI, service: Api) -> None:
    async with openai_client(service, "wrong") as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.chat.completions.create(**chat())
    with pytest.raises(openai.BadRequestError) as refusal:
        await client.chat.completions.create(**chat(n=3))
    assert (refusal.value.param, refusal.value.code) == ("n", "unsupported_parameter")
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(**chat(model="gpt-0"))
    assert "gpt-5-mini" in unknown.value.message  # it says what there is
    assert (unknown.value.param, unknown.value.code) == ("model", "model_not_found")


async def test_without_a_premium_plan(service: Api, stack: LocalSupabase) -> None:
    async with person_client(service, await sign_up(stack, plan=None)) as free:
        for path, body in ((CHAT, chat()), (EMBEDDINGS, {"model": "auto", "input": "x"})):
            error = refused(await free.post(path, json=body), 403, "premium_required")
            assert error["type"] == "permission_error"


async def test_prompt_that_does_not_fit_the_model(wire: httpx.AsyncClient) -> None:
    body = chat(model="gpt-4o-mini", messages=[{"role": "user", "content": "word " * 120_000}])
    error = refused(await wire.post(CHAT, json=body), 400, "context_length_exceeded", "messages")
    assert "longer than the model's context length" in error["message"]


async def test_prompt_that_the_provider_refuses_as_too_long_is_not_shortened(
    wire: httpx.AsyncClient, provider: Any
) -> None:
    body = chat(messages=says(status=400, code="context_length_exceeded", id="refused-as-too-long"), model=  # named
                "openai")  # fmt: skip
    refused(await wire.post(CHAT, json=body), 400, "context_length_exceeded", "messages")
    assert len(provider.calls_of("refused-as-too-long")) == 1


async def test_log_names_the_route_and_not_the_key(wire: httpx.AsyncClient, service: Api, person: Person) -> None:
    await wire.post(CHAT, json=chat(), headers={"X-Request-ID": "request-of-the-log"})
    [line] = [line for line in service.log_text.splitlines() if "request-of-the-log" in line and "request.done" in line]
    assert CHAT in line
    assert person.id in line
    assert person.token not in service.log_text
