"""Premium: nothing gated without an entitlement, everything at once with one, and no claim that replaces it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle, new_plan
from tests.support.callers import Connection
from tests.support.client import WAIT, assert_problem, new_conversation, person_client, script, turn
from tests.support.service import Api, Person, sign_up

PLACES = (
    "public.messages",
    "public.documents",
    "private.meters",
    "private.reservations",
    "private.usage_ledger",
    "private.live_replies",
    "private.idempotency_keys",
)


def stored(db: Connection, person: Person) -> dict[str, int]:
    counts = {
        place: db.execute(f"select count(*) from {place} where user_id = %s", [person.id]).fetchone() or (0,)  # noqa: S608
        for place in PLACES
    }
    return {place: count for place, (count,) in counts.items() if count}


def gated(conversation: str) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    return [
        (f"/v1/conversations/{conversation}/messages", {"content": "Hello"}, {}),
        (f"/v1/conversations/{conversation}/messages", {"content": "Hello"}, {"Accept": "text/event-stream"}),
        (f"/v1/conversations/{conversation}/messages", {"content": "Hello"}, {"Idempotency-Key": "k"}),
        ("/v1/documents", {"title": "Notes", "content": "A text"}, {}),
        ("/v1/search", {"query": "A text"}, {}),
    ]


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    """A user without a plan."""
    return await sign_up(stack, None)


async def test_without_entitlement_nothing_is_stored_or_charged(
    replicas: tuple[Api, Api], person: Person, owned: Connection
) -> None:
    async with person_client(replicas[0], person) as client:
        conversation = await new_conversation(client)
        for path, body, headers in gated(conversation):
            assert_problem(await client.post(path, json=body, headers=headers), 403, "premium_required")
        # not even read, whatever it is
        broken = {"file": ("broken.pdf", b"%PDF-1.4 nothing" * 100_000)}
        assert_problem(await client.post("/v1/documents", files=broken), 403, "premium_required")
        replacing = await client.put(f"/v1/documents/{uuid4()}", content=b"nonsense")
        assert_problem(replacing, 403, "premium_required")
        assert stored(owned, person) == {}
        entitle(owned, person.id, "premium")
        # the key was not taken by the refusal
        for path, body, headers in gated(conversation):
            response = await client.post(path, json=body, headers=headers)
            assert response.is_success, (path, response.text)


async def test_downgrade_takes_effect_at_once_and_leaves_what_there_is(
    replicas: tuple[Api, Api], person: Person, owned: Connection
) -> None:
    entitle(owned, person.id, "premium")
    async with person_client(replicas[0], person) as client:
        conversation = await new_conversation(client)
        path, body, key = f"/v1/conversations/{conversation}/messages", {"content": "Hello"}, {"Idempotency-Key": "k"}
        reply = (await client.post(path, json=body, headers=WAIT | key)).json()
        owned.execute("delete from public.entitlements where user_id = %s", [person.id])
        assert_problem(await client.post(path, json=body), 403, "premium_required")
        assert_problem(await client.post(f"/v1/messages/{reply['id']}/regenerate"), 403, "premium_required")
        # what was begun before is theirs to read, by its key too
        assert (await client.get(path)).status_code == 200
        assert (await client.get(f"/v1/messages/{reply['id']}/stream")).status_code == 200
        assert (await client.post(path, json=body, headers=WAIT | key)).json() == reply


@pytest.mark.parametrize(
    ("plan", "valid_until", "allowed"),
    [
        ("premium", None, True),
        ("premium", "now() + interval '1 hour'", True),
        ("premium", "now() - interval '1 second'", False),
        ("free", None, False),
        ("no such plan", None, False),
    ],
)
async def test_plan_and_time(
    replicas: tuple[Api, Api], person: Person, owned: Connection, plan: str, valid_until: str | None, allowed: bool
) -> None:
    entitle(owned, person.id, plan, valid_until)
    async with person_client(replicas[0], person) as client:
        response = await client.post(
            f"/v1/conversations/{await new_conversation(client)}/messages", json={"content": "x"}
        )
    assert response.status_code == (202 if allowed else 403)


async def test_nothing_a_client_can_write_grants_it(
    stack: LocalSupabase, replicas: tuple[Api, Api], person: Person
) -> None:
    """`user_metadata` is the user's own to write; so are sign-up data."""
    claims = {"plan": "premium", "premium": True, "entitlement": {"plan": "premium"}, "role": "service_role"}
    async with httpx.AsyncClient(base_url=stack.url, headers={"apikey": stack.publishable_key}) as auth:
        await auth.put("/auth/v1/user", headers=person.headers, json={"data": claims, "app_metadata": claims})
        email = f"claims-{person.id}@example.com"
        session = await auth.post("/auth/v1/signup", json={"email": email, "password": "long enough", "data": claims})
        token = session.json()["access_token"]
    for asking in (person, Person(session.json()["user"]["id"], email, token)):
        async with person_client(replicas[0], asking) as client:
            path = f"/v1/conversations/{await new_conversation(client)}/messages"
            assert_problem(await client.post(path, json={"content": "x"}), 403, "premium_required")


async def test_plan_that_is_not_premium_may_have_limits(
    replicas: tuple[Api, Api], person: Person, owned: Connection
) -> None:
    entitle(owned, person.id, new_plan(owned, premium=True, requests_per_minute=1))
    async with person_client(replicas[0], person) as client:
        conversation = await new_conversation(client)
        await turn(client, conversation, script(tokens=1))
        path = f"/v1/conversations/{conversation}/messages"
        assert (await client.post(path, json={"content": "x"})).status_code == 429
        # each kind is limited by itself
        for path, body in (("/v1/search", {"query": "A text"}), ("/v1/documents", {"title": "N", "content": "A text"})):
            assert (await client.post(path, json=body)).is_success
            limited = await client.post(path, json={**body, **({"content": "B"} if "content" in body else {})})
            assert limited.status_code == 429
            assert limited.headers["ratelimit-policy"] == '"requests";q=1;w=60'
            assert limited.headers["ratelimit"] == f'"requests";r=0;t={limited.headers["retry-after"]}'
