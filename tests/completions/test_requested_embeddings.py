"""Embeddings: as numbers and as OpenAI's client asks for them, in base64; counted, charged and limited."""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

import httpx
import openai
import pytest

from tests.completions.conftest import refused
from tests.support.callers import Connection, one
from tests.support.service import Api, Person
from tests.support.upstream import EMBEDDED_TOKENS, Upstream

EMBEDDINGS = "/openai/v1/embeddings"
MODEL = "text-embedding-3-small"


async def test_openai_client_asks_for_base64_and_reads_numbers(client: openai.AsyncOpenAI) -> None:
    found = await client.embeddings.create(model=MODEL, input=["a cat", "a dog"])
    assert (found.object, found.model) == ("list", MODEL)
    assert [one.index for one in found.data] == [0, 1]
    # the provider's vector
    assert all(one.embedding[0] == 1.0 and not any(one.embedding[1:]) for one in found.data)
    assert found.usage.prompt_tokens == found.usage.total_tokens == 2 * EMBEDDED_TOKENS


async def test_both_encodings_are_the_same_vector(wire: httpx.AsyncClient) -> None:
    body: dict[str, Any] = {"model": "auto", "input": "a cat"}
    numbers = (await wire.post(EMBEDDINGS, json=body)).json()["data"][0]["embedding"]
    assert isinstance(numbers, list)
    coded = (await wire.post(EMBEDDINGS, json=body | {"encoding_format": "base64"})).json()["data"][0]["embedding"]
    assert list(struct.unpack(f"<{len(numbers)}f", base64.b64decode(coded))) == numbers


async def test_fewer_dimensions_are_of_length_one(wire: httpx.AsyncClient) -> None:
    body = {"model": "openai", "input": "a cat", "dimensions": 16}
    vector = (await wire.post(EMBEDDINGS, json=body)).json()["data"][0]["embedding"]
    assert len(vector) == 16
    assert math.isclose(math.hypot(*vector), 1)


async def test_many_texts_keep_their_order(client: openai.AsyncOpenAI, provider: Upstream) -> None:
    before = len(provider.embedded)
    texts = [f"text {number}" for number in range(150)]
    found = await client.embeddings.create(model="auto", input=texts)
    assert [one.index for one in found.data] == list(range(150))
    assert provider.embedded[before:] == texts


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"input": [1, 2, 3]}, 400, "invalid_value", "input"),
        ({"input": [[1, 2], [3]]}, 400, "invalid_value", "input"),
        ({"input": []}, 400, "invalid_value", "input"),
        ({"input": ["x"] * 2049}, 400, "invalid_value", "input"),
        ({"input": ["x", ""]}, 400, "invalid_value", "input[1]"),
        ({"input": ""}, 400, "invalid_value", "input"),
        ({"input": 5}, 400, "invalid_value", "input"),
        ({"input": "x", "dimensions": 0}, 400, "invalid_value", "dimensions"),
        ({"input": "x", "dimensions": 4096}, 400, "invalid_value", "dimensions"),
        ({"input": "x", "encoding_format": "int8"}, 400, "invalid_value", "encoding_format"),
        ({"input": "x", "model": "text-embedding-0"}, 404, "model_not_found", "model"),
        ({"input": "x", "truncate": True}, 400, "unknown_parameter", "truncate"),
    ],
)
async def test_what_is_refused(
    wire: httpx.AsyncClient, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    refused(await wire.post(EMBEDDINGS, json={"model": "auto"} | body), status, code, param)


async def test_more_numbers_than_any_vector_has_are_refused_before_they_cost(
    wire: httpx.AsyncClient, owned: Connection, person: Person
) -> None:
    body = {"model": "auto", "input": "x", "dimensions": 1537}
    refused(await wire.post(EMBEDDINGS, json=body), 400, "invalid_value", "dimensions")
    for table in ("meters", "usage_ledger"):
        assert one(owned, f"select count(*) from private.{table} where user_id = %s", [person.id]) == 0  # noqa: S608


async def test_they_are_charged_once_and_count_for_the_minute(
    wire: httpx.AsyncClient, owned: Connection, person: Person
) -> None:
    response = await wire.post(EMBEDDINGS, json={"model": "auto", "input": ["a cat"] * 40})
    assert response.status_code == 200
    rows = owned.execute(
        "select kind, provider, model, prompt_tokens, cost_micro_usd from private.usage_ledger where user_id = %s",
        [person.id],
    ).fetchall()
    tokens = 40 * EMBEDDED_TOKENS
    assert rows == [("embedding", "openai", MODEL, tokens, math.ceil(tokens * 20_000 / 1_000_000))]
    # two tokens of estimate a text stay held for a minute; nothing of the cost does
    held = owned.execute("select tokens, cost_micro_usd from private.reservations where user_id = %s", [person.id])
    assert held.fetchall() == [(80, 0)]
    limit, left = (int(response.headers[f"x-ratelimit-{part}-tokens"]) for part in ("limit", "remaining"))
    assert left == limit - 80
    assert (await wire.get("/v1/usage")).json()["held_tokens"] == 80


async def test_texts_that_the_provider_refuses_are_400(
    wire: httpx.AsyncClient, owned: Connection, person: Person, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "embedding_status", 400)
    refused(await wire.post(EMBEDDINGS, json={"model": "auto", "input": "x"}), 400, "invalid_value", "input")
    assert one(owned, "select count(*) from private.usage_ledger where user_id = %s", [person.id]) == 0


async def test_provider_that_fails_is_503(
    wire: httpx.AsyncClient, provider: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "embedding_status", 500)
    response = await wire.post(EMBEDDINGS, json={"model": "auto", "input": "x"})
    refused(response, 503, "provider_unavailable")
    assert int(response.headers["retry-after"]) >= 1


async def test_offline_model_has_vectors_too(api: Api, person: Person) -> None:
    """Of an API without a provider that embeds."""
    async with openai.AsyncOpenAI(base_url=f"{api.url}/openai/v1", api_key=person.token) as client:
        found = await client.embeddings.create(model="local", input=["the cat sat", "a cat sat"])
        one, other = (item.embedding for item in found.data)
        assert sum(a * b for a, b in zip(one, other, strict=True)) > 0.5
        assert len(one) == 1536
