"""What is refused of a body before anything is stored: what cannot be read is 400, what is not acceptable 422."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from unittest.mock import Mock

import httpx
import pytest

from app.api import mistakes
from app.api.bodies import decode
from app.api.completions.bodies import ChatCompletionRequest
from app.api.mistakes import struct_of
from app.errors import InvalidRequest
from tests.support.client import WAIT, assert_problem, history, new_conversation
from tests.support.upstream import Upstream

MEBIBYTE = 1_048_576
JSON = {"Content-Type": "application/json"}
NO_ID = "00000000-0000-0000-0000-000000000000"
WITH_A_BODY = [
    ("POST", "/v1/conversations"),
    ("PATCH", f"/v1/conversations/{NO_ID}"),
    ("POST", f"/v1/conversations/{NO_ID}/messages"),
    ("POST", f"/v1/messages/{NO_ID}/regenerate"),
    ("POST", "/v1/documents"),
    ("PUT", f"/v1/documents/{NO_ID}"),
    ("POST", "/v1/search"),
    ("POST", "/v1/moderations"),
]
"""Every route that takes a body, which is read before anything else is looked at."""


def detail(response: httpx.Response, status: int) -> str:
    found: str = assert_problem(response, status, "invalid_request")["detail"]
    return found


@pytest.fixture(scope="module")
async def path(as_owner: httpx.AsyncClient) -> AsyncIterator[str]:
    """Where messages of a conversation are sent; in the end nothing may have been stored in it."""
    conversation = await new_conversation(as_owner)
    yield f"/v1/conversations/{conversation}/messages"
    assert await history(as_owner, conversation) == []


# ── what cannot be read ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("method", "route"), WITH_A_BODY)
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"  ", "The body is empty; expected JSON."),
        (b"{", "The body is not valid JSON: it ends too early (line 1, column 2)."),
        (b'{"content": "abc', "The body is not valid JSON: it ends too early (line 1, column 13)."),
        (
            b"{\n 'content': 'x'}",
            "The body is not valid JSON: expecting property name enclosed in double quotes (line 2, column 2).",
        ),
        (b'{"content": "x"} {}', "The body is not valid JSON: extra data (line 1, column 18)."),
        (b"content=Hello", "The body is not valid JSON: expecting value (line 1, column 1)."),
        (b'{"content": "a\x01"}', "The body is not valid JSON: invalid control character (line 1, column 15)."),
        (b'{"content": NaN}', "The body is not valid JSON: NaN is not a JSON number."),
        (b'{"content": -Infinity}', "The body is not valid JSON: -Infinity is not a JSON number."),
        (b'{"content": "\xff"}', "The body is not valid UTF-8: byte 0xff at position 13."),
        ('{"content": "x"}'.encode("utf-16"), "The body is not valid UTF-8: byte 0xff at position 0."),
        (b'\xef\xbb\xbf{"content": "x"}', "The body begins with a byte order mark (BOM); send UTF-8 without one."),
        (b"[" * 10_000, "The body is nested too deeply: at most 100 levels are taken."),
        (b"[" * 102 + b"]" * 102, "The body is nested too deeply: at most 100 levels are taken."),
        (
            b'{"content": "x", "title": "\\ud83d"}',
            "title: holds \\ud83d, a lone surrogate; surrogates are allowed only in pairs.",
        ),
        (
            b'{"metadata": {"a": ["\\udC00x"]}}',
            "metadata.a[0]: holds \\udc00, a lone surrogate; surrogates are allowed only in pairs.",
        ),
        (b'{"content": "x", "content": "y"}', "content: appears twice in one object."),
    ],
)
async def test_body_that_cannot_be_read(
    as_owner: httpx.AsyncClient, method: str, route: str, content: bytes, said: str
) -> None:
    """In the same words everywhere; the place is that in the body."""
    assert detail(await as_owner.request(method, route, content=content, headers=JSON), 400) == said


@pytest.mark.parametrize(("method", "route"), WITH_A_BODY)
@pytest.mark.parametrize(
    ("content_type", "said"),
    [
        (None, "The body has no Content-Type; send it as application/json"),
        ("", "The body has no Content-Type; send it as application/json"),
        ("text/plain", "Content-Type is text/plain; send the body as application/json"),
        ("text/plain;charset=UTF-8", "Content-Type is text/plain; send the body as application/json"),
        ("application/x-www-form-urlencoded", "Content-Type is application/x-www-form-urlencoded; send the body as"),
        ("application/jsonp", "Content-Type is application/jsonp; send the body as application/json"),
        ("application/json; charset=iso-8859-1", "JSON is UTF-8; send it without charset=iso-8859-1."),
    ],
)
async def test_body_of_another_type(
    as_owner: httpx.AsyncClient, method: str, route: str, content_type: str | None, said: str
) -> None:
    """A `curl -d` without a header, a form, a `fetch` with a text: none of them is taken for JSON."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    refused = await as_owner.request(method, route, content=b'{"content": "x"}', headers=headers)
    assert detail(refused, 415).startswith(said)


async def test_form_where_json_is_expected(as_owner: httpx.AsyncClient, path: str) -> None:
    refused = await as_owner.post(path, files={"content": b"Hello"})
    assert detail(refused, 415) == "Content-Type is multipart/form-data; send the body as application/json."


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON", "application/json;charset=UTF-8", 'application/json; charset="utf-8"'],
)
async def test_json_by_any_of_its_names(as_owner: httpx.AsyncClient, content_type: str) -> None:
    created = await as_owner.post("/v1/conversations", content=b"{}", headers={"Content-Type": content_type})
    assert created.status_code == 201


async def test_empty_body(as_owner: httpx.AsyncClient, path: str) -> None:
    assert detail(await as_owner.post(path), 400) == "The body is empty; expected a JSON object."


# ── what is not acceptable ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("method", "route"), WITH_A_BODY)
@pytest.mark.parametrize(
    ("content", "got"), [(b"[]", "a list"), (b'"Hello"', "text"), (b"5", "5"), (b"true", "true"), (b"null", "null")]
)
async def test_body_that_is_no_object(
    as_owner: httpx.AsyncClient, method: str, route: str, content: bytes, got: str
) -> None:
    said = detail(await as_owner.request(method, route, content=content, headers=JSON), 422)
    assert said == f"body: expected an object, got {got}."


@pytest.mark.parametrize(("method", "route"), WITH_A_BODY)
async def test_field_that_there_is_not(as_owner: httpx.AsyncClient, method: str, route: str) -> None:
    said = detail(await as_owner.request(method, route, json={"x" * 60: 1, "y": 2}), 422)
    assert f"{'x' * 49}…, y: no such field; the fields are " in said


async def test_many_fields_that_there_are_not(as_owner: httpx.AsyncClient, path: str) -> None:
    """Looking for what was meant takes its time: it is done for the first few alone."""
    body = {"content": "x", "modell": 1} | {f"field {number}": 1 for number in range(20_000)}
    said = detail(await as_owner.post(path, json=body), 422)
    assert said.startswith("modell: no such field; did you mean model? field 0, field 1, field 2, field 3, …: no such")


TOKENS = "a whole number from 1 to 1000000, or null"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "content: missing; expected text that is not empty."),
        (
            {"message": "hi"},
            "content: missing; expected text that is not empty. message: no such field; the fields are content, "
            "max_tokens, model, parent_id, provider, ",
        ),
        (
            {"contents": "hi"},
            "content: missing; expected text that is not empty. contents: no such field; did you mean content?",
        ),
        ({"content": "Hello", "maxTokens": 5}, "maxTokens: no such field; did you mean max_tokens?"),
        ({"content": None}, "content: expected text that is not empty, got null."),
        ({"content": 5}, "content: expected text that is not empty, got 5."),
        ({"content": ["Hello"]}, "content: expected text that is not empty, got a list."),
        ({"content": ""}, "content: expected text that is not empty, got 0 characters."),
        (
            {"content": "Hello", "provider": ""},
            "provider: expected text of 1 to 100 characters, or null, got 0 characters.",
        ),
        ({"content": "Hello", "provider": 5}, "provider: expected text of 1 to 100 characters, or null, got 5."),
        (
            {"content": "Hello", "task_type": "coding"},
            "task_type: expected one of `analysis`, `code`, `creative`, `general`, or null, got text. "
            "Did you mean `code`?",
        ),
        ({"content": "Hello", "model": ""}, "model: expected text of 1 to 100 characters, or null, got 0 characters."),
        (
            {"content": "Hello", "model": "x" * 101},
            "model: expected text of 1 to 100 characters, or null, got 101 characters.",
        ),
        ({"content": "Hello", "max_tokens": 0}, f"max_tokens: expected {TOKENS}, got 0."),
        ({"content": "Hello", "max_tokens": 1_000_001}, f"max_tokens: expected {TOKENS}, got 1000001."),
        ({"content": "Hello", "max_tokens": 1.5}, f"max_tokens: expected {TOKENS}, got 1.5."),
        ({"content": "Hello", "max_tokens": 10**30}, f"max_tokens: expected {TOKENS}, got a larger number."),
        ({"content": "Hello", "max_tokens": "10"}, f"max_tokens: expected {TOKENS}, got text."),
        ({"content": "Hello", "max_tokens": True}, f"max_tokens: expected {TOKENS}, got true."),
        ({"content": "Hello", "use_rag": "true"}, "use_rag: expected true or false, or null, got text."),
        ({"content": "Hello", "use_rag": 1}, "use_rag: expected true or false, or null, got 1."),
        (
            {"content": "Hello", "max_tokens": "10", "use_rag": 0},
            f"max_tokens: expected {TOKENS}, got text. use_rag: expected true or false, or null, got 0.",
        ),
    ],
)
async def test_value_that_is_not_acceptable(
    as_owner: httpx.AsyncClient, path: str, body: dict[str, Any], said: str
) -> None:
    """Every mistake is named, with what is allowed; texts that were sent are not repeated."""
    assert detail(await as_owner.post(path, json=body), 422).startswith(said)


@pytest.mark.parametrize(
    ("route", "body", "said"),
    [
        ("/v1/conversations", {"title": 5}, "title: expected text of 1 to 200 characters, or null, got 5."),
        ("/v1/search", {"query": "x", "limit": "5"}, "limit: expected a whole number from 1 to 100, got text."),
        ("/v1/search", {"query": "x", "mode": "hybird"}, "mode: expected one of `hybrid`, `vector`, got text. Did you"),
        ("/v1/search", {"query": "x", "threshold": "0.5"}, "threshold: expected a number from -1 to 1, or null, got"),
        ("/v1/search", {"query": "x", "filter": [1]}, "filter: expected an object, or null, got a list."),
        ("/v1/search", {"query": "x" * 8001}, "query: expected text of 1 to 8000 characters, got 8001 characters."),
        ("/v1/moderations", {"text": "x"}, "content: missing; expected text that is not empty. text: no such field;"),
        ("/v1/documents", {"content": "x"}, "title: missing; expected text of 1 to 500 characters."),
        ("/v1/documents", {"title": "x", "content": "x", "metadata": "{}"}, "metadata: expected an object, got text."),
    ],
)
async def test_value_that_another_route_does_not_take(
    as_owner: httpx.AsyncClient, route: str, body: dict[str, Any], said: str
) -> None:
    assert detail(await as_owner.post(route, json=body), 422).startswith(said)


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (b"1e400", "The body has a number that is out of range: 1e400."),
        (b"9" * 5000, "The body has a number with too many digits."),
    ],
)
async def test_number_that_no_machine_holds(as_owner: httpx.AsyncClient, path: str, number: bytes, said: str) -> None:
    refused = await as_owner.post(path, content=b'{"content": "x", "max_tokens": %b}' % number, headers=JSON)
    assert detail(refused, 422) == said


@pytest.mark.parametrize("content", [" ", "\n\t\r ", "\u3000\u00a0"])
@pytest.mark.parametrize(
    ("route", "field"), [(None, "content"), ("/v1/moderations", "content"), ("/v1/search", "query")]
)
async def test_text_of_blanks(
    as_owner: httpx.AsyncClient, path: str, route: str | None, field: str, content: str
) -> None:
    """A search for it would find nothing and not say why."""
    refused = await as_owner.post(route or path, json={field: content})
    assert detail(refused, 422) == f"{field}: expected text, got only blanks."


@pytest.mark.parametrize(
    ("route", "body", "where"),
    [
        (None, {"content": "a\0b"}, "content"),
        (None, {"content": "a", "model": "\0"}, "model"),
        ("/v1/conversations", {"title": "a\0"}, "title"),
        ("/v1/documents", {"title": "a", "content": "b", "metadata": {"c": ["d", {"e": "\0"}]}}, "metadata.c[1].e"),
        ("/v1/documents", {"title": "a", "content": "b", "metadata": {"\0": 1}}, "metadata, the name of a member"),
        ("/v1/search", {"query": "\0"}, "query"),
        ("/v1/moderations", {"content": "\0"}, "content"),
    ],
)
async def test_nul_character(
    as_owner: httpx.AsyncClient, path: str, route: str | None, body: dict[str, Any], where: str
) -> None:
    refused = await as_owner.post(route or path, json=body)
    assert detail(refused, 422) == f"{where}: contains a NUL character (U+0000), which is not allowed."


async def test_nul_character_in_a_form(as_owner: httpx.AsyncClient) -> None:
    refused = await as_owner.post("/v1/documents", files={"file": ("a.txt", b"Hello"), "title": (None, "a\0b")})
    assert detail(refused, 422) == "title: contains a NUL character (U+0000), which is not allowed."


async def test_what_only_looks_like_an_odd_character(as_owner: httpx.AsyncClient) -> None:
    created = await as_owner.post(
        "/v1/conversations", content=b'{"title": "\\\\u0000 \\\\ud83d \\ud83d\\ude00"}', headers=JSON
    )
    assert created.status_code == 201
    assert created.json()["title"] == "\\u0000 \\ud83d 😀"


async def test_text_of_many_brackets_is_not_deep(as_owner: httpx.AsyncClient) -> None:
    title = "[{" * 90
    created = await as_owner.post("/v1/conversations", json={"title": title})
    assert created.json()["title"] == title


@pytest.mark.parametrize("model", ["gpt-none", "Scripted-1", "é😀", "../models", "demo"])
async def test_model_that_nobody_offers(as_owner: httpx.AsyncClient, path: str, model: str) -> None:
    assert model in detail(await as_owner.post(path, json={"content": "Hello", "model": model}), 422)


# ── what is too large ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("character", ["x", "é", "😀"])
async def test_message_of_too_many_characters(as_owner: httpx.AsyncClient, path: str, character: str) -> None:
    """Characters are counted, not bytes; one fewer is taken, see test_sending."""
    refused = await as_owner.post(path, content=b'{"content":"%b"}' % (character * 100_001).encode(), headers=JSON)
    said = assert_problem(refused, 413, "payload_too_large")["detail"]
    assert said == "content: 100001 characters; at most 100000 are taken."


async def test_text_to_check_of_too_many_characters(as_owner: httpx.AsyncClient) -> None:
    refused = await as_owner.post("/v1/moderations", json={"content": "x" * 100_001})
    said = assert_problem(refused, 413, "payload_too_large")["detail"]
    assert said == "content: 100001 characters; at most 100000 are taken."


@pytest.mark.parametrize(("method", "route"), [case for case in WITH_A_BODY if "documents" not in case[1]])
async def test_body_of_more_than_a_mebibyte(as_owner: httpx.AsyncClient, method: str, route: str) -> None:
    refused = await as_owner.request(method, route, content=b" " * (MEBIBYTE + 1), headers=JSON)
    said = assert_problem(refused, 413, "payload_too_large")["detail"]
    assert said == "The body has 1048577 bytes; at most 1048576 are taken here."


async def test_body_of_more_than_a_mebibyte_that_does_not_say_so(as_owner: httpx.AsyncClient, path: str) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield b" " * 65_536

    refused = await as_owner.post(path, content=chunks(), headers=JSON)
    said = assert_problem(refused, 413, "payload_too_large")["detail"]
    assert said == "The body has more than 1048576 bytes; at most 1048576 are taken here."


@pytest.mark.parametrize(
    ("start", "end", "status", "said"),
    [
        (b'{"title": 5, "content": "', b'"}', 422, "title: Expected `str`, got `int`"),
        (b'{"title": "x", "content": "y", "metadata": {"m": "', b'"}}', 422, "bytes beside its content"),
        (b'{"title": "a\\u0000b", "content": "', b'"}', 422, "title: contains a NUL character (U+0000)"),
        (b'{"title": "x", "contant": 5, "content": "', b'"}', 422, "contant: no such field; did you mean content?"),
        (b'{"title": "x", "metadata": {"m": "', b'"}, "content": "\\ud800"}', 400, "The body is not valid JSON"),
        (b'{"title": "x", "content": "', b'", "metadata": {"m": ' + b"[" * 101 + b"]" * 101 + b"}}", 400, "nested too"),
        (b'{"title": "x", "content": "', b'", "metadata": ' + b'{"m":' * 2000 + b"1" + b"}" * 2001, 400, "nested too"),
    ],
)
async def test_large_body_is_refused_without_being_read_twice(
    as_owner: httpx.AsyncClient, start: bytes, end: bytes, status: int, said: str
) -> None:
    """Only JSON with a document may be this large; the status is that of a small one."""
    refused = await as_owner.post("/v1/documents", content=start + b"x" * MEBIBYTE + end, headers=JSON)
    assert said in detail(refused, status)


# ── what is taken ────────────────────────────────────────────────────────────────────────────────────────────────


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


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([None] * 20_000, "messages[0]: expected an object, got null."),
        ([{"role": "user", "content": "x"}] * 10_000 + [None], "messages[10000]: expected an object, got null."),
    ],
)
def test_long_list_is_explained_without_looking_at_each_item(
    monkeypatch: pytest.MonkeyPatch, items: list[Any], said: str
) -> None:
    looked = Mock(side_effect=struct_of)
    monkeypatch.setattr(mistakes, "struct_of", looked)
    with pytest.raises(InvalidRequest) as refusal:
        decode(json.dumps({"model": "auto", "messages": items}).encode(), ChatCompletionRequest)
    assert said in (refusal.value.detail or "")
    assert looked.call_count < 100
