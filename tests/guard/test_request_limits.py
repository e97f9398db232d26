"""Requests a minute: over two replicas, to the second, and whatever came before."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import new_plan
from tests.support.callers import Connection, one
from tests.support.client import assert_problem, new_conversation, person_client, script, turn
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import MODEL, Upstream

SENDS = 500


def meter(db: Connection, person: Person, what: str) -> float:
    """Something of the user's meter for turns, in SQL, as a number."""
    value = one(db, f"select ({what})::float from private.meters where user_id = %s and kind = 'turn'", [person.id])  # noqa: S608
    return float(value)


async def send(client: httpx.AsyncClient, conversation: str, **behaviour: object) -> httpx.Response:
    content = script(tokens=1, **behaviour)
    return await client.post(f"/v1/conversations/{conversation}/messages", json={"content": content})


async def test_five_hundred_at_once_on_two_replicas(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    # the defaults; the replies are under way all the while, so that what is held for them counts
    plan = new_plan(owned, requests_per_minute=60, tokens_per_minute=100_000)
    person = await sign_up(stack, plan)
    async with person_client(replicas[0], person) as here, person_client(replicas[1], person) as there:
        conversation = await new_conversation(here)
        answers = await asyncio.gather(*(send((here, there)[i % 2], conversation, first=12) for i in range(SENDS)))

        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) == {202, 429}
        admitted = statuses[202]
        counts = owned.execute(
            "select role, count(*) from public.messages where user_id = %s group by role", [person.id]
        ).fetchall()
        assert dict(counts) == {"user": admitted, "assistant": admitted}
        # by the database's clock: from the first admission to the last
        seconds = one(
            owned,
            "select extract(epoch from max(created_at) - min(created_at))::float from public.messages "
            "where user_id = %s and role = 'user'",
            [person.id],
        )
        assert 60 <= admitted <= 60 + int(seconds) + 1
        # each admission moved the meter on by a second, and it was never full again in between
        assert meter(
            owned,
            person,
            "extract(epoch from full_at - (select min(created_at) from public.messages as m "
            "where m.user_id = meters.user_id))",
        ) == pytest.approx(admitted, abs=0.5)

        refused = await send(here, conversation)
        while refused.status_code == 202:  # a slot was free again by now
            refused = await send(here, conversation)
        assert refused.status_code == 429
        await asyncio.sleep(int(refused.headers["retry-after"]))
        assert (await send(there, conversation)).status_code == 202


async def test_refusal_says_when_and_what_in_headers(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    person = await sign_up(stack, new_plan(owned, requests_per_minute=2))
    async with person_client(replicas[0], person) as client:
        conversation = await new_conversation(client)
        first, second, refused = [await send(client, conversation) for _ in range(3)]
        assert first.headers["ratelimit-policy"].startswith('"requests";q=2;w=60, "tokens";q=')
        assert first.headers["ratelimit"].startswith('"requests";r=1;t=30, "tokens";r=')
        assert second.headers["ratelimit"].startswith('"requests";r=0;t=')

        assert refused.status_code == 429
        problem = refused.json()
        assert (problem["code"], problem["status"]) == ("rate_limited", 429)
        seconds = refused.headers["retry-after"]
        assert 25 <= int(seconds) <= 30
        assert refused.headers["ratelimit-policy"] == '"requests";q=2;w=60'
        assert refused.headers["ratelimit"] == f'"requests";r=0;t={seconds}'
        assert re.search(rf"\b{seconds} s\b", problem["detail"])


async def test_regenerating_is_charged_and_a_known_key_is_not(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    person = await sign_up(stack, new_plan(owned, requests_per_minute=2))
    key = {"Idempotency-Key": "k", "Prefer": "wait"}
    async with person_client(replicas[0], person) as client:
        conversation = await new_conversation(client)
        path, body = f"/v1/conversations/{conversation}/messages", {"content": script(tokens=1)}
        reply = (await client.post(path, json=body, headers=key)).json()
        assert (await client.post(f"/v1/messages/{reply['id']}/regenerate")).status_code == 202
        assert (await client.post(f"/v1/messages/{reply['id']}/regenerate")).status_code in (409, 429)
        again = await client.post(path, json=body, headers=key)
        assert (again.status_code, again.json()["id"]) == (200, reply["id"])


async def test_limits_come_from_the_environment(
    stack: LocalSupabase, kept_settings: None, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = tmp_path_factory.mktemp("tight") / "api.log"
    settings = {
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": MODEL,
        "EMBEDDING_MODEL": "local",
        "RATE_LIMIT_REQUESTS_PER_MINUTE": "2",
        "RATE_LIMIT_TOKENS_PER_MINUTE": "500",
        "REQUIRE_PREMIUM": "false",
    }
    person = await sign_up(stack, None)
    async with running_api(stack, log, **settings) as api, person_client(api, person) as client:
        conversation = await new_conversation(client)
        for _ in range(2):
            await turn(client, conversation, script(tokens=1))
        assert (await send(client, conversation)).headers["ratelimit-policy"] == '"requests";q=2;w=60'
        # no waiting would make room for these
        path = f"/v1/conversations/{conversation}/messages"
        long = await client.post(path, json={"content": "x" * 2001})
        assert (long.status_code, long.json()["code"]) == (413, "payload_too_large")
        much = await client.post(path, json={"content": "Hello", "max_tokens": 500})
        assert (much.status_code, much.json()["code"]) == (422, "invalid_request")
        assert "max_tokens" in much.json()["detail"]


async def test_documents_are_refused_before_they_are_read_and_bad_ones_count(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    person = await sign_up(stack, new_plan(owned, requests_per_minute=3))
    bad = {"file": ("broken.pdf", b"%PDF-1.4 nothing")}
    async with person_client(replicas[0], person) as client:
        for _ in range(2):
            assert_problem(await client.post("/v1/documents", files=bad), 422, "invalid_request")
        created = await client.post("/v1/documents", json={"title": "T", "content": "A text"})
        assert created.status_code == 201
        assert created.headers["ratelimit"].startswith('"requests";r=0;t=')
        for body in ({"files": bad}, {"json": {"title": "T", "content": "Another"}}, {"content": b"nonsense"}):
            refused = await client.post("/v1/documents", **body)
            assert_problem(refused, 429, "rate_limited")
            assert refused.headers["ratelimit"] == f'"requests";r=0;t={refused.headers["retry-after"]}'
        await asyncio.sleep(int(refused.headers["retry-after"]))
        assert (await client.post("/v1/documents", json={"title": "T", "content": "Another"})).status_code == 201


async def test_documents_at_once_are_as_many_as_the_limit(
    stack: LocalSupabase, owned: Connection, replicas: tuple[Api, Api]
) -> None:
    person = await sign_up(stack, new_plan(owned, requests_per_minute=6))
    async with person_client(replicas[0], person) as here, person_client(replicas[1], person) as there:
        # each that is admitted is read by a process of its own, which takes its time on a busy machine
        here.timeout = there.timeout = httpx.Timeout(300)
        texts = [{"title": "T", "content": f"Text {i}"} for i in range(20)]
        sending = [(here, there)[i % 2].post("/v1/documents", json=text) for i, text in enumerate(texts)]
        began = time.monotonic()
        answers = await asyncio.gather(*sending)
        seconds = time.monotonic() - began
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {201, 429}
    # one more for each ten seconds that have passed meanwhile
    assert 6 <= statuses[201] <= 6 + seconds / 10 + 1
    assert all(answer.headers["ratelimit-policy"] == '"requests";q=6;w=60' for answer in answers)
