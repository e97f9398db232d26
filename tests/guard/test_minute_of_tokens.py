"""The sum of a minute's tokens stays within the limit and one reply, however long the replies are."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle, new_plan
from tests.support.callers import Caller, Connection, new_conversation, one
from tests.support.client import new_conversation as opened
from tests.support.client import person_client, script, turn
from tests.support.documents import put_in
from tests.support.replica_client import eventually
from tests.support.service import Api, sign_up
from tests.support.turn_functions import Answer, final, finish, send
from tests.support.upstream import Upstream

LIMIT = 100_000
LONG = 3000
UNBOUND = 131_072
"""What is held for a reply that nothing has to limit."""


async def flood(client: httpx.AsyncClient, conversation: str, number: int, **behaviour: Any) -> Counter[int]:
    """So many sends at once; their statuses."""
    path, body = f"/v1/conversations/{conversation}/messages", {"content": script(**behaviour)}
    answers = await asyncio.gather(*(client.post(path, json=body) for _ in range(number)))
    return Counter(answer.status_code for answer in answers)


async def test_sixty_long_replies_at_once(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api], upstream: Upstream
) -> None:
    """Of a provider that does not do as it is told: it writes what it likes."""
    person = await sign_up(stack, new_plan(owned, requests_per_minute=60, tokens_per_minute=LIMIT))
    async with person_client(replicas[0], person) as client:
        # none ends before the last is admitted or refused, or their number would depend on the machine
        statuses = await flood(client, await opened(client), 60, id="long", tokens=LONG, stepped=True)
        await eventually(lambda: len(upstream.calls_of("long")) == statuses[202], 60)
        for call in upstream.calls_of("long"):
            call.step(LONG)
        await eventually(
            lambda: one(owned, "select count(*) from private.reservations where user_id = %s", [person.id]) == 0, 60
        )
    assert set(statuses) <= {202, 429}
    used = one(owned, "select sum(tokens)::int from private.usage_ledger where user_id = %s", [person.id])
    assert used <= LIMIT + LONG
    calls = upstream.calls_of("long")
    assert len(calls) == statuses[202] == 60
    bounds = [call.body["max_tokens"] for call in calls]
    assert min(bounds) >= 1024
    assert sum(bounds) <= LIMIT


async def test_reply_in_an_idle_minute_may_be_long(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api], upstream: Upstream
) -> None:
    person = await sign_up(stack, new_plan(owned, requests_per_minute=60, tokens_per_minute=LIMIT))
    async with person_client(replicas[0], person) as client:
        reply = await turn(client, await opened(client), script(id="alone in its minute", tokens=LONG))
    assert (reply["finish_reason"], reply["tokens_used"]) == ("stop", 7 + LONG)
    # of a model that nobody knows, no more than any model takes
    assert upstream.calls_of("alone in its minute")[0].body["max_tokens"] == 4096


async def test_reply_that_passes_its_bound_is_cut_and_charged_with_that(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    person = await sign_up(stack, new_plan(owned, tokens_per_minute=LIMIT))
    async with person_client(replicas[0], person) as client:
        content = script(tokens=LONG)
        reply = await turn(client, await opened(client), content, max_tokens=100)
    assert reply["finish_reason"] == "length"
    assert reply["tokens_used"] == -(-len(content) // 4) + 100
    assert 100 <= len(reply["content"].split()) < LONG


async def test_passages_are_held(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api], upstream: Upstream
) -> None:
    person = await sign_up(stack, new_plan(owned, tokens_per_minute=LIMIT))
    async with person_client(replicas[0], person) as client:
        conversation = await opened(client)
        await put_in(client, "A sentence of a document. " * 20)
        path = f"/v1/conversations/{conversation}/messages"
        for use_rag, passages in ((False, 0), (True, 3000)):
            begun = await client.post(
                path, json={"content": script(id=f"held {use_rag}", first=20), "use_rag": use_rag, "max_tokens": 50}
            )
            reply = begun.json()["message"]["id"]
            query = "select prompt_tokens - input_tokens from private.reservations where reply_id = %s"
            assert one(owned, query, [reply]) == passages
            await client.post(f"/v1/messages/{reply}/stop")


# ── in the database ──────────────────────────────────────────────────────────────────────────────────────────────

OFFER = Jsonb(
    {"models": [{"provider": "p", "model": "m", "known": True, "input": 1, "output": 1}], "passage_tokens": 3000}
)


def offered(db: Connection, user: Caller, conversation: UUID, content: str = "Hello", **arguments: Any) -> Answer:
    return send(db, user, conversation, content, p_offer=OFFER, **arguments)


def limited(db: Connection, user: Caller, **limits: int) -> None:
    entitle(db, user.id, new_plan(db, **limits))


@pytest.mark.parametrize("limit", [2000, 20_000, LIMIT, 1_000_000])
def test_what_is_held_together_fits_the_limit(db: Connection, user: Caller, limit: int) -> None:
    limited(db, user, tokens_per_minute=limit, requests_per_minute=60)
    bounds: list[int] = []
    with suppress(psycopg.DatabaseError), db.transaction():
        for _ in range(60):
            begun = offered(db, user, new_conversation(db, user))
            bounds.append(begun["output_tokens"] or UNBOUND)
            held = one(db, "select sum(tokens)::int from private.reservations where user_id = %s", [user.id])
            assert held == sum(bounds) + 2 * len(bounds) <= limit
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] >= min(1024, limit // 10)
    # with the default limits as many as there are requests
    assert len(bounds) == 60 or limit < LIMIT


def test_reply_is_bound_by_what_the_minute_has_left(db: Connection, user: Caller, conversation: UUID) -> None:
    limited(db, user, tokens_per_minute=LIMIT, requests_per_minute=60)
    begun = offered(db, user, conversation)
    assert begun["output_tokens"] > 4096
    finish(db, final(begun["message"]["id"], "x", prompt_tokens=90_000, completion_tokens=1, user_id=str(user.id)))
    assert offered(db, user, conversation)["output_tokens"] == 1024


def test_large_limit_bounds_no_reply(db: Connection, user: Caller, conversation: UUID) -> None:
    limited(db, user, tokens_per_minute=10_000_000, requests_per_minute=60)
    assert offered(db, user, conversation)["output_tokens"] is None
    assert offered(db, user, conversation, p_max_tokens=70)["output_tokens"] == 70


def test_repeated_call_is_told_the_same_bound(db: Connection, user: Caller, conversation: UUID) -> None:
    limited(db, user, tokens_per_minute=LIMIT, requests_per_minute=60)
    call = {"p_writer": user.id, "p_reply_id": user.id}
    first, again = (offered(db, user, conversation, **call) for _ in range(2))
    same = ("output_tokens", "passage_tokens", "models", "history")
    assert [first[key] for key in same] == [again[key] for key in same]
