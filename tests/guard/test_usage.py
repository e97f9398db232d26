"""What a turn through the API leaves in the ledger, by how it ended, and GET /v1/usage."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.guard.plans import entitle, new_plan
from tests.support.callers import Connection
from tests.support.client import new_conversation, reading, script, send, turn
from tests.support.service import Person
from tests.support.upstream import MODEL, Upstream

PRICED = "gpt-5-mini"


@pytest.fixture
async def conversation(client: httpx.AsyncClient) -> str:
    return await new_conversation(client)


def ledger(db: Connection, person: Person) -> list[tuple[Any, ...]]:
    return db.execute(
        "select model, prompt_tokens, completion_tokens, cost_micro_usd from private.usage_ledger "
        "where user_id = %s order by created_at",
        [person.id],
    ).fetchall()


async def test_usage_by_the_catalogs_prices(
    client: httpx.AsyncClient, conversation: str, owned: Connection, person: Person
) -> None:
    priced = await turn(client, conversation, script(tokens=5), model=PRICED)
    assert priced["tokens_used"] == 12
    await turn(client, conversation, script(tokens=3))
    # $0.25 and $2.00 for a million tokens, in micro-dollars, rounded up
    assert ledger(owned, person) == [(PRICED, 7, 5, 12), (MODEL, 7, 3, None)]

    usage = (await client.get("/v1/usage")).json()
    totals = {"replies": 2, "prompt_tokens": 14, "completion_tokens": 8, "cached_tokens": 0, "tokens": 22}
    assert usage["month"] == totals | {"cost_micro_usd": 12, "unpriced_replies": 1}
    assert usage["plan"] == "premium"
    assert [(model["provider"], model["model"], model["tokens"]) for model in usage["models"]] == [
        ("openai", PRICED, 12),
        ("openai", MODEL, 10),
    ]
    assert usage["held_tokens"] == 0
    assert usage["tokens"]["remaining"] == usage["tokens"]["limit"] - 22
    assert usage["budget"] is None


async def test_deleting_does_not_make_it_undone(client: httpx.AsyncClient, conversation: str) -> None:
    await turn(client, conversation, script(tokens=5))
    assert (await client.delete(f"/v1/conversations/{conversation}")).status_code == 204
    assert (await client.get("/v1/usage")).json()["month"]["tokens"] == 12


async def test_deleting_while_it_is_written_does_not_either(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    body = {"content": script(id="doomed", tokens=500, gap=0.02)}
    async with reading(client, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
        await reader.until("delta")
        await client.delete(f"/v1/conversations/{conversation}")
        await reader.to_end()
    usage = (await client.get("/v1/usage")).json()
    assert usage["held_tokens"] == 0
    assert usage["month"]["completion_tokens"] > 0


async def test_provider_that_never_answered_costs_nothing(
    client: httpx.AsyncClient, conversation: str, owned: Connection, person: Person
) -> None:
    transcript = await send(client, conversation, script(status=400))
    assert transcript.ending is not None
    assert transcript.ending.name == "error"
    assert ledger(owned, person) == []
    assert (await client.get("/v1/usage")).json()["held_tokens"] == 0


async def test_stopping_before_the_first_token_is_no_free_question(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream, owned: Connection, person: Person
) -> None:
    content = script(id="impatient", first=20)
    body = {"content": content}
    async with reading(client, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
        await reader.until("message.started")
        await upstream.call("impatient")
        await client.post(f"/v1/messages/{reader.transcript.events[0].data['message_id']}/stop")
        await reader.to_end()
    assert ledger(owned, person) == [(MODEL, -(-len(content) // 4), 0, None)]


async def test_budget(client: httpx.AsyncClient, conversation: str, owned: Connection, person: Person) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=12))
    await turn(client, conversation, script(tokens=5), model=PRICED)
    path = f"/v1/conversations/{conversation}/messages"
    refused = await client.post(path, json={"content": "Hello"})
    assert (refused.status_code, refused.json()["code"]) == (402, "budget_exceeded")
    assert (await client.get("/v1/usage")).json()["budget"] == {"limit_micro_usd": 12, "remaining_micro_usd": 0}
