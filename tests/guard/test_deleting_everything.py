"""Deleting everything of mine: what goes, what stays, and that it is no way around a limit."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle, new_plan
from tests.support.callers import Connection, one
from tests.support.client import assert_problem, history, new_conversation, person_client, reading, script, turn
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, sign_up

CONFIRMED = {"confirm": "delete everything of mine"}
PRICED = "gpt-5-mini"
PLACES = (
    "public.conversations",
    "public.messages",
    "public.documents",
    "public.embeddings",
    "public.user_settings",
    "private.personal_keys",
    "private.live_replies",
    "private.idempotency_keys",
    "private.index_jobs",
    "private.searched_texts",
    "private.usage_ledger",
)


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    return await sign_up(stack)


@pytest.fixture
async def client(replicas: tuple[Api, Api], person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(replicas[0], person) as opened:
        yield opened


async def delete(client: httpx.AsyncClient) -> dict[str, int]:
    response = await client.request("DELETE", "/v1/me/data", json=CONFIRMED)
    assert response.status_code == 200, response.text
    counts: dict[str, int] = response.json()
    return counts


def left(owned: Connection, person: Person) -> dict[str, int]:
    counts = {place: one(owned, f"select count(*) from {place} where user_id = %s", [person.id]) for place in PLACES}  # noqa: S608
    return {place: count for place, count in counts.items() if count}


@pytest.mark.parametrize("body", [{}, {"confirm": "yes"}, {"confirm": True}, {**CONFIRMED, "really": True}])
async def test_unconfirmed_deletes_nothing(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    conversation = await new_conversation(client)
    refused = await client.request(
        "DELETE", "/v1/me/data", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    assert_problem(refused, 422, "invalid_request")
    assert (await client.get(f"/v1/conversations/{conversation}")).status_code == 200


async def test_all_of_mine_and_nothing_of_others(
    client: httpx.AsyncClient, person: Person, replicas: tuple[Api, Api], stack: LocalSupabase, owned: Connection
) -> None:
    other = await sign_up(stack)
    async with person_client(replicas[0], other) as theirs:
        kept = await new_conversation(theirs)
        await turn(theirs, kept)
    conversation = await new_conversation(client, title="Mine")
    reply = await turn(client, conversation)
    await client.put(f"/v1/messages/{reply['id']}/feedback", json={"rating": "up"})
    await new_conversation(client)
    await client.patch("/v1/settings", json={"instructions": "Be brief."})
    await client.post("/v1/keys", json={"name": "notebook"})
    await client.post("/v1/documents", json={"title": "D", "content": "A text"})
    used = one(owned, "select sum(tokens)::int from private.usage_ledger where reply_id = %s", [reply["id"]])
    assert await delete(client) == {"conversations": 2, "messages": 2, "documents": 1}
    assert left(owned, person) == {}
    assert one(owned, "select sum(tokens)::int from private.usage_ledger where reply_id = %s", [reply["id"]]) == used
    assert (await client.get("/v1/conversations")).json()["items"] == []
    assert left(owned, other)["public.messages"] == 2
    assert await delete(client) == {"conversations": 0, "messages": 0, "documents": 0}
    assert (await turn(client, await new_conversation(client)))["status"] == "complete"


async def test_running_replies_end_and_are_charged_to_nobody(
    client: httpx.AsyncClient, person: Person, replicas: tuple[Api, Api], owned: Connection
) -> None:
    """One of this replica, one of the other."""
    async with person_client(replicas[1], person) as elsewhere:
        running = []
        for one_client in (client, elsewhere):
            conversation = await new_conversation(one_client)
            body = {"content": script(tokens=1000, gap=0.05)}
            async with reading(one_client, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
                await reader.until("delta")
                running.append(reader.transcript.events[0].data["message_id"])
        assert (await delete(client))["messages"] == 4
        charged = "select count(distinct reply_id) from private.usage_ledger where reply_id = any(%s::uuid[])"
        await eventually(lambda: one(owned, charged, [running]) == 2, within=20)
        assert left(owned, person) == {}


async def test_long_conversation_goes_in_parts(client: httpx.AsyncClient, person: Person, owned: Connection) -> None:
    conversation = await new_conversation(client)
    owned.execute(
        "insert into public.messages (conversation_id, user_id, role, content) "
        "select %s, %s, 'user', 'x' from generate_series(1, 12000)",
        [conversation, person.id],
    )
    assert await delete(client) == {"conversations": 1, "messages": 12000, "documents": 0}
    assert left(owned, person) == {}


async def test_budget_of_the_month_stays_used(client: httpx.AsyncClient, person: Person, owned: Connection) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=1))
    conversation = await new_conversation(client)
    await turn(client, conversation, model=PRICED)
    spent = (await client.get("/v1/usage")).json()["month"]["cost_micro_usd"]
    assert spent > 0
    await delete(client)
    month = (await client.get("/v1/usage")).json()["month"]
    assert (month["cost_micro_usd"], month["replies"], month["tokens"]) == (spent, 0, 0)
    again = await new_conversation(client)
    refused = await client.post(f"/v1/conversations/{again}/messages", json={"content": "x", "model": PRICED})
    assert_problem(refused, 402, "budget_exceeded")
    assert await history(client, again) == []


async def test_tokens_of_the_minute_stay_used(client: httpx.AsyncClient, person: Person, owned: Connection) -> None:
    await turn(client, await new_conversation(client))
    before = (await client.get("/v1/usage")).json()["tokens"]["remaining"]
    await delete(client)
    assert (await client.get("/v1/usage")).json()["tokens"]["remaining"] <= before
