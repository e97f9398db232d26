"""match_embeddings by the clients of the Data API, called as Supabase's guides do: with its first three arguments."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from postgrest.exceptions import APIError
from supabase import AsyncClientOptions, acreate_client

from app.providers.demo.embeddings import vector_of
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.node import NODE, REPOSITORY
from tests.support.documents import put_in

TEA = "Green tea brews at eighty degrees for two minutes."
QUESTION = "How hot should green tea be?"

Answer = tuple[Any, dict[str, Any] | None]
Rpc = Callable[[LocalSupabase, str | None, dict[str, Any]], Awaitable[Answer]]
"""Calls match_embeddings as the user of a token; what it returns, or the error."""


async def by_http(stack: LocalSupabase, token: str | None, body: dict[str, Any]) -> Answer:
    headers = {"apikey": stack.publishable_key} | ({"Authorization": f"Bearer {token}"} if token else {})
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.post(f"{stack.url}/rest/v1/rpc/match_embeddings", json=body, headers=headers)
    return (answer.json(), None) if answer.is_success else (None, answer.json())


async def by_python(stack: LocalSupabase, token: str | None, body: dict[str, Any]) -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with httpx.AsyncClient(timeout=20) as http:
        options = AsyncClientOptions(httpx_client=http, headers=headers)
        client = await acreate_client(stack.url, stack.publishable_key, options=options)
        try:
            return (await client.rpc("match_embeddings", body).execute()).data, None
        except APIError as error:
            return None, error.json()


async def by_javascript(stack: LocalSupabase, token: str | None, body: dict[str, Any]) -> Answer:
    script = Path(__file__).parent / "match.mjs"
    arguments = (stack.url, stack.publishable_key, token or "", "match_embeddings", json.dumps(body))
    process = await asyncio.create_subprocess_exec(
        NODE,
        script,
        *arguments,
        cwd=REPOSITORY,
        limit=1_000_000,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    answer = json.loads(said)
    return answer["data"], answer["error"]


@pytest.fixture(params=[by_http, by_python, by_javascript], ids=lambda call: call.__name__.removeprefix("by_"))
def call(request: pytest.FixtureRequest) -> Rpc:
    rpc: Rpc = request.param
    return rpc


def token_of(client: httpx.AsyncClient) -> str:
    return client.headers["authorization"].removeprefix("Bearer ")


def guided(vector: list[float] | str | None = None) -> dict[str, Any]:
    """The body of the guides; without a vector, that of the question."""
    return {"query_embedding": vector or vector_of(QUESTION), "match_threshold": 0.12, "match_count": 5}


@pytest.mark.parametrize("form", [list, str])
async def test_the_three_arguments_of_the_guides(
    stack: LocalSupabase, reader: httpx.AsyncClient, call: Rpc, form: type
) -> None:
    await put_in(reader, TEA)
    rows, error = await call(stack, token_of(reader), guided(form(vector_of(QUESTION))))
    assert error is None
    assert [row["content"] for row in rows] == [TEA]
    assert rows[0]["similarity"] > 0.12


async def test_nothing_of_another_s(
    stack: LocalSupabase, reader: httpx.AsyncClient, another: httpx.AsyncClient, call: Rpc
) -> None:
    await put_in(reader, TEA)
    assert await call(stack, token_of(another), guided()) == ([], None)


async def test_nor_anything_for_nobody(stack: LocalSupabase, call: Rpc) -> None:
    rows, error = await call(stack, None, guided())
    assert rows is None
    assert error is not None
    assert error["code"] == "42501"


@pytest.mark.parametrize("width", [3, 768, 3072])
async def test_another_width_names_both(stack: LocalSupabase, reader: httpx.AsyncClient, call: Rpc, width: int) -> None:
    rows, error = await call(stack, token_of(reader), guided([0.1] * width))
    assert rows is None
    assert error is not None
    assert error["message"] == f"query_embedding has {width} dimensions, passages have 1536"


async def test_several_models_are_named(
    stack: LocalSupabase, reader: httpx.AsyncClient, call: Rpc, database: Any
) -> None:
    await put_in(reader, TEA)
    moved = await put_in(reader, f"{TEA} Or three.")
    for table in ("embeddings", "documents"):
        key = "document_id" if table == "embeddings" else "id"
        statement = f"update public.{table} set embedding_model = 'new' where {key} = %s"  # noqa: S608
        database.execute(statement, [moved["id"]])
    database.execute(
        "update private.passage_counts set passages = 1 where user_id = (select user_id from public.documents "
        "where id = %s)",
        [moved["id"]],
    )
    database.execute(
        "insert into private.passage_counts select user_id, 'new', 1 from public.documents where id = %s",
        [moved["id"]],
    )
    rows, error = await call(stack, token_of(reader), guided())
    assert rows is None
    assert error is not None
    assert error["message"] == "your passages have several embedding models: local, new"
    assert "embedding_model" in error["hint"]
    for model in ("local", "new"):
        rows, error = await call(stack, token_of(reader), {**guided(), "embedding_model": model})
        assert error is None
        assert len(rows) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"match_threshold": 70}, "match_threshold must be from -1 to 1, not 70"),
        ({"match_count": 0}, "match_count must be at least 1, not 0"),
        ({"filter": ["lang"]}, "filter must be a JSON object, not: array"),
        ({"query_embedding": None}, "query_embedding must not be null"),
        ({"query_embedding": [0] * 1536}, "query_embedding has no direction: all its numbers are 0"),
        ({"embedding_model": "lokal"}, "none of your passages has the embedding model lokal; they have local"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_what_cannot_find_anything(
    stack: LocalSupabase, reader: httpx.AsyncClient, call: Rpc, arguments: dict[str, Any], message: str
) -> None:
    await put_in(reader, TEA)
    rows, error = await call(stack, token_of(reader), guided() | arguments)
    assert rows is None
    assert error is not None
    assert error["message"] == message


async def test_null_is_the_default(stack: LocalSupabase, reader: httpx.AsyncClient, call: Rpc) -> None:
    await put_in(reader, TEA)
    nothing = dict.fromkeys(("match_count", "filter", "embedding_model"))
    rows, error = await call(stack, token_of(reader), guided() | nothing)
    assert error is None
    assert len(rows) == 1
