"""What is refused of a message before anything is stored: bodies, fields and their values."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.client import WAIT, assert_problem, history, new_conversation
from tests.upstream import Upstream

MEBIBYTE = 1_048_576


@pytest.fixture(scope="module")
async def path(as_owner: httpx.AsyncClient) -> AsyncIterator[str]:
    """Where messages of a conversation are sent; in the end nothing may have been stored in it."""
    conversation = await new_conversation(as_owner)
    yield f"/v1/conversations/{conversation}/messages"
    assert await history(as_owner, conversation) == []


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "body: is required"),
        (b"null", "body: "),
        (b"[]", "body: "),
        (b'"Hello"', "body: "),
        (b"{", "Input data was truncated"),
        (b"{'content': 'x'}", "JSON is malformed"),
        (b'{"content": "x"} {}', "JSON is malformed"),
        (b'{"content": "\xff"}', "The body is not valid UTF-8."),
        (b'{"content": "\\ud83d"}', ""),
        (b'{"content": NaN}', "JSON is malformed"),
        (b"content=Hello", "JSON is malformed"),
        (b"[" * 10_000, "The body is nested too deeply."),
    ],
)
async def test_body_that_is_no_message(as_owner: httpx.AsyncClient, path: str, content: bytes, detail: str) -> None:
    refused = await as_owner.post(path, content=content, headers={"Content-Type": "application/json"})
    assert assert_problem(refused, 400, "invalid_request")["detail"].startswith(detail)


@pytest.mark.parametrize(
    "body",
    [{"data": {"content": "Hello"}}, {"files": {"content": b"Hello"}}],
    ids=["form", "multipart"],
)
async def test_body_of_another_type(as_owner: httpx.AsyncClient, path: str, body: dict[str, Any]) -> None:
    assert_problem(await as_owner.post(path, **body), 400, "invalid_request")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({}, "body: Object missing required field `content`"),
        ({"content": None}, "content: "),
        ({"content": 5}, "content: "),
        ({"content": ["Hello"]}, "content: "),
        ({"content": "Hello", "contents": "Hello"}, "body: Object contains unknown field `contents`"),
        ({"content": "Hello", "role": "assistant"}, "body: Object contains unknown field `role`"),
        ({"content": "Hello", "user_id": "x"}, "body: Object contains unknown field `user_id`"),
        ({"content": "Hello", "provider": ""}, "provider: "),
        ({"content": "Hello", "provider": "x" * 101}, "provider: "),
        ({"content": "Hello", "provider": 5}, "provider: "),
        ({"content": "Hello", "task_type": "poetry"}, "task_type: "),
        ({"content": "Hello", "model": ""}, "model: "),
        ({"content": "Hello", "model": "x" * 101}, "model: "),
        ({"content": "Hello", "max_tokens": 0}, "max_tokens: "),
        ({"content": "Hello", "max_tokens": -1}, "max_tokens: "),
        ({"content": "Hello", "max_tokens": 1_000_001}, "max_tokens: "),
        ({"content": "Hello", "max_tokens": 1.5}, "max_tokens: "),
        ({"content": "Hello", "max_tokens": 10**30}, "max_tokens: "),
        ({"content": "Hello", "use_rag": "perhaps"}, "use_rag: "),
    ],
)
async def test_value_that_is_not_acceptable(
    as_owner: httpx.AsyncClient, path: str, body: dict[str, Any], where: str
) -> None:
    assert assert_problem(await as_owner.post(path, json=body), 400, "invalid_request")["detail"].startswith(where)


@pytest.mark.parametrize("content", ["", " ", "\n\t\r ", "\u3000\u00a0"])
async def test_empty_message(as_owner: httpx.AsyncClient, path: str, content: str) -> None:
    assert_problem(await as_owner.post(path, json={"content": content}), 400, "invalid_request")


async def test_message_with_a_nul(as_owner: httpx.AsyncClient, path: str) -> None:
    assert_problem(await as_owner.post(path, json={"content": "a\0b"}), 400, "invalid_request")


@pytest.mark.parametrize("character", ["x", "é", "😀"])
async def test_message_of_too_many_characters(as_owner: httpx.AsyncClient, path: str, character: str) -> None:
    """Characters are counted, not bytes; one fewer is taken, see test_sending."""
    refused = await as_owner.post(path, content=b'{"content":"%b"}' % (character * 100_001).encode())
    assert "100000" in assert_problem(refused, 413, "payload_too_large")["detail"]


@pytest.mark.parametrize("model", ["gpt-none", "Scripted-1", "é😀", "a\0b", "../models", "demo"])
async def test_model_that_nobody_offers(as_owner: httpx.AsyncClient, path: str, model: str) -> None:
    refused = await as_owner.post(path, json={"content": "Hello", "model": model})
    assert model in assert_problem(refused, 422, "invalid_request")["detail"]


async def test_body_of_more_than_a_mebibyte(as_owner: httpx.AsyncClient, path: str) -> None:
    refused = await as_owner.post(path, content=b" " * (MEBIBYTE + 1))
    assert_problem(refused, 413, "payload_too_large")


async def test_body_of_more_than_a_mebibyte_that_does_not_say_so(as_owner: httpx.AsyncClient, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 65_536

    assert_problem(await as_owner.post(path, content=chunks()), 413, "payload_too_large")


@pytest.mark.parametrize(
    "options",
    [
        {"provider": "openai"},
        {"model": "scripted-1"},
        {"provider": "openai", "model": "scripted-1"},
        {"task_type": "code", "max_tokens": 1_000_000, "use_rag": False},
        {"provider": None, "model": None, "task_type": None, "max_tokens": None, "use_rag": None},
    ],
)
async def test_options_that_are_taken(as_owner: httpx.AsyncClient, upstream: Upstream, options: dict[str, Any]) -> None:
    conversation = await new_conversation(as_owner)
    response = await as_owner.post(
        f"/v1/conversations/{conversation}/messages", json={"content": "Hello", **options}, headers=WAIT
    )
    assert response.status_code == 200, response.text
    assert response.json()["status"] == "complete"
    assert upstream.calls[-1].body.get("max_tokens") == options.get("max_tokens")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_json_is_json_whatever_it_is_called(as_owner: httpx.AsyncClient, content_type: str) -> None:
    """As `curl -d` sends it."""
    conversation = await new_conversation(as_owner)
    response = await as_owner.post(
        f"/v1/conversations/{conversation}/messages",
        content=b'{"content":"Hello"}',
        headers={"Content-Type": content_type},
    )
    assert response.status_code == 202
