"""Completions and embeddings obey the limits of turns: plan, requests, tokens, budget, and how many at once."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from app.errors import ERRORS
from tests.guard.plans import entitle, new_plan
from tests.support.callers import SERVICE, Caller, Connection, acting, new_user, one, rpc
from tests.support.client import new_conversation, script, turn
from tests.support.service import Person
from tests.support.upstream import MODEL, Upstream

CHAT, EMBEDDINGS = "/openai/v1/chat/completions", "/openai/v1/embeddings"
PRICED = "gpt-5-mini"
PRICE = {"provider": "openai", "model": PRICED, "known": True, "input": 250_000, "cached": 25_000, "output": 2_000_000}
CALL = {"kind": "reply", "provider": "openai", "model": PRICED, "prompt_tokens": 10, "completion_tokens": 5,
        "cached_tokens": 0, "cost_micro_usd": 13}  # fmt: skip


def chat(content: str = "Hello", **body: Any) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": content}]} | body


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_requests_are_counted_with_turns(client: httpx.AsyncClient, owned: Connection, person: Person) -> None:
    entitle(owned, person.id, new_plan(owned, requests_per_minute=3))
    answered = await client.post(CHAT, json=chat(max_tokens=5))
    assert answered.status_code == 200
    assert answered.headers["x-ratelimit-limit-requests"] == "3"
    assert answered.headers["x-ratelimit-remaining-requests"] == "2"
    assert answered.headers["x-ratelimit-reset-requests"].endswith("s")
    await turn(client, await new_conversation(client))
    assert (await client.post(EMBEDDINGS, json={"model": "auto", "input": "x"})).status_code == 200
    for stream in (False, True):
        refusal = await client.post(CHAT, json=chat(stream=stream))
        assert refusal.status_code == 429
        assert refusal.json()["error"]["type"] == "requests"
        assert refusal.json()["error"]["code"] == "rate_limit_exceeded"
        assert 1 <= int(refusal.headers["retry-after"]) <= 20
        assert refusal.headers["x-ratelimit-remaining-requests"] == "0"
        assert "RateLimit" in refusal.headers


async def test_tokens_are_counted(client: httpx.AsyncClient, owned: Connection, person: Person) -> None:
    entitle(owned, person.id, new_plan(owned, tokens_per_minute=500))
    answered = await client.post(CHAT, json=chat("x" * 400, max_tokens=300))  # 105 of prompt
    assert answered.headers["x-ratelimit-remaining-tokens"] == "95"
    # it has used 12: 488 are left
    refusal = await client.post(CHAT, json=chat(max_tokens=487))
    assert refusal.json()["error"]["type"] == "tokens"
    assert int(refusal.headers["retry-after"]) >= 1
    assert (await client.post(CHAT, json=chat(max_tokens=480))).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        (CHAT, chat("x" * 2004), 413, None),
        (CHAT, chat(max_tokens=600), 400, "max_tokens"),
        (EMBEDDINGS, {"model": "auto", "input": ["x" * 1004] * 2}, 413, None),
    ],
)
async def test_what_no_minute_has_room_for(
    client: httpx.AsyncClient,
    owned: Connection,
    person: Person,
    path: str,
    body: dict[str, Any],
    status: int,
    param: str | None,
) -> None:
    entitle(owned, person.id, new_plan(owned, tokens_per_minute=500))
    refusal = await client.post(path, json=body)
    assert refusal.status_code == status, refusal.text
    assert refusal.json()["error"]["param"] == param


async def test_tools_count_as_tokens(client: httpx.AsyncClient, owned: Connection, person: Person) -> None:
    entitle(owned, person.id, new_plan(owned, tokens_per_minute=500))
    tool = {"type": "function", "function": {"name": "f", "description": "x" * 2004}}
    assert (await client.post(CHAT, json=chat(tools=[tool]))).status_code == 413


async def test_budget_that_is_used_up_is_not_worth_a_retry(
    client: httpx.AsyncClient, owned: Connection, person: Person
) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=10))
    assert (await client.post(CHAT, json=chat(model=PRICED))).status_code == 200  # 12 micro-dollars
    for path, body in ((CHAT, chat(model=PRICED)), (EMBEDDINGS, {"model": "auto", "input": "x"})):
        refusal = await client.post(path, json=body)
        assert refusal.status_code == 429
        assert refusal.json()["error"]["code"] == refusal.json()["error"]["type"] == "insufficient_quota"
        assert refusal.headers["x-should-retry"] == "false"
        assert "retry-after" not in refusal.headers


async def test_model_that_the_plan_does_not_allow_is_not_there(
    client: httpx.AsyncClient, owned: Connection, person: Person
) -> None:
    plan = new_plan(owned)
    owned.execute("insert into private.plan_models (plan, models) values (%s, %s)", [plan, [f"openai/{MODEL}"]])
    entitle(owned, person.id, plan)
    listed = {model["id"] for model in (await client.get("/openai/v1/models")).json()["data"]}
    assert listed == {"auto", MODEL, "local"}
    refusal = await client.post(CHAT, json=chat(model=PRICED))
    assert (refusal.status_code, refusal.json()["error"]["code"]) == (404, "model_not_found")
    assert (await client.get(f"/openai/v1/models/{PRICED}")).status_code == 404
    assert (await client.post(CHAT, json=chat(model=MODEL))).status_code == 200


async def test_usage_tells_of_completions(client: httpx.AsyncClient) -> None:
    await client.post(CHAT, json=chat(model=PRICED))
    usage = (await client.get("/v1/usage")).json()
    assert (usage["month"]["replies"], usage["month"]["tokens"], usage["month"]["cost_micro_usd"]) == (1, 12, 12)
    assert usage["held_tokens"] == 0


async def test_cost_is_held_while_it_is_written(
    client: httpx.AsyncClient, owned: Connection, person: Person, upstream: Upstream
) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=100))
    content = script(id="held-completion", stepped=True, tokens=1)
    body = chat(content, model=PRICED, max_tokens=60)  # 120 micro-dollars at most
    asking = asyncio.create_task(client.post(CHAT, json=body))
    call = await upstream.call("held-completion")
    refusal = await client.post(CHAT, json=chat(model=PRICED))
    assert refusal.json()["error"]["code"] == "insufficient_quota"
    call.step(1)
    assert (await asking).status_code == 200
    assert (await client.post(CHAT, json=chat(model=PRICED))).status_code == 200


# ── in the database ──────────────────────────────────────────────────────────────────────────────────────────────


def begin(db: Connection, user: Caller, **arguments: object) -> dict[str, Any]:
    defaults = {
        "p_user_id": user.id,
        "p_completion_id": uuid.uuid4(),
        "p_prompt_tokens": 10,
        "p_max_tokens": 20,
        "p_offer": Jsonb({"models": [PRICE], "others": []}),
    }
    with acting(db, SERVICE):
        answer: dict[str, Any] = rpc(db, "begin_completion", **(defaults | arguments))
    return answer


def held(db: Connection, user: Caller) -> list[tuple[Any, ...]]:
    return db.execute(
        "select tokens, cost_micro_usd, completion from private.reservations where user_id = %s", [user.id]
    ).fetchall()


def ledger(db: Connection, user: Caller) -> list[tuple[Any, ...]]:
    return db.execute(
        "select kind, prompt_tokens, completion_tokens, cost_micro_usd from private.usage_ledger where user_id = %s",
        [user.id],
    ).fetchall()


def refusal_of(db: Connection, user: Caller, **arguments: object) -> str:
    with pytest.raises(psycopg.Error) as refusal, db.transaction():
        begin(db, user, **arguments)
    words = str(refusal.value).split("\n")[0]
    assert words in ERRORS
    return words


def test_completion_is_held_and_settled_once(db: Connection, user: Caller) -> None:
    completion = uuid.uuid4()
    answer = begin(db, user, p_completion_id=completion)
    assert answer["output_tokens"] == 20
    assert [model["model"] for model in answer["models"]] == [PRICED]
    assert set(answer["quotas"]) == {"requests", "tokens"}
    assert held(db, user) == [(30, 43, True)]
    again = begin(db, user, p_completion_id=completion)  # its answer was lost
    assert (again["models"], again["output_tokens"]) == (answer["models"], 20)
    assert held(db, user) == [(30, 43, True)]
    finished = [{"id": str(completion), "user_id": str(user.id), "calls": [CALL]}]
    for _ in range(2):
        with acting(db, SERVICE):
            assert rpc(db, "finish_completions", p_completions=Jsonb(finished)) is True
    assert (held(db, user), ledger(db, user)) == ([], [("reply", 10, 5, 13)])


def test_completion_that_is_renewed_is_not_recovered(db: Connection, user: Caller) -> None:
    completion = uuid.uuid4()
    begin(db, user, p_completion_id=completion)
    late = "update private.reservations set expires_at = now() - interval '1 s' where user_id = %s"
    db.execute(late, [user.id])
    with acting(db, SERVICE):
        rpc(db, "renew_completions", p_completions=Jsonb([{"id": str(completion), "calls": [CALL]}]))
        rpc(db, "recover_replies")
    assert len(held(db, user)) == 1
    db.execute(late, [user.id])
    with acting(db, SERVICE):
        rpc(db, "recover_replies")
    assert (held(db, user), ledger(db, user)) == ([], [("reply", 10, 5, 13)])


def test_process_that_dies_at_once_is_charged_its_prompt(db: Connection, user: Caller) -> None:
    begin(db, user)
    db.execute("update private.reservations set expires_at = now() - interval '1 s' where user_id = %s", [user.id])
    with acting(db, SERVICE):
        rpc(db, "recover_replies")
    assert ledger(db, user) == [("reply", 10, 0, 3)]


def test_completions_of_a_user_at_once(db: Connection, user: Caller) -> None:
    entitle(db, user.id, new_plan(db, requests_per_minute=1000, tokens_per_minute=1_000_000))
    for _ in range(100):
        begin(db, user)
    assert refusal_of(db, user) == "rate_limited"
    db.execute("update private.reservations set expires_at = now() - interval '1 s' where user_id = %s", [user.id])
    begin(db, user)  # those of a process that is gone do not count
    other = new_user(db)
    entitle(db, other.id, "premium")
    begin(db, other)


def test_what_moderation_flags_is_audited_once(db: Connection, user: Caller) -> None:
    completion = uuid.uuid4()
    begin(db, user, p_completion_id=completion)
    finished = [
        {"id": str(completion), "user_id": str(user.id), "calls": [CALL], "flagged": ["violence"],
         "flagged_part": "input"}
    ]  # fmt: skip
    for _ in range(2):
        with acting(db, SERVICE):
            rpc(db, "finish_completions", p_completions=Jsonb(finished))
    audited = db.execute(
        "select message_id, part, categories from private.moderation_audit where user_id = %s", [user.id]
    ).fetchall()
    assert audited == [(completion, "input", ["violence"])]


@pytest.mark.parametrize("function", ["begin_completion", "completion_models", "begin_embeddings"])
def test_no_user_may_call_what_the_service_calls(db: Connection, user: Caller, function: str) -> None:
    names = db.execute(
        "select has_function_privilege(r, p.oid, 'execute') from pg_proc as p "
        "cross join unnest(array['anon', 'authenticated']) as r where p.proname = %s",
        [function],
    ).fetchall()
    assert {allowed for (allowed,) in names} == {False}


def test_embeddings_hold_their_tokens_for_a_minute(db: Connection, user: Caller) -> None:
    entitle(db, user.id, new_plan(db, tokens_per_minute=100))
    arguments = {
        "p_user_id": user.id,
        "p_tokens": 60,
        "p_model": Jsonb({"provider": "openai", "model": "text-embedding-3-small", "input": 20_000}),
    }
    request = uuid.uuid4()
    for _ in range(2):  # the second time its answer was lost
        with acting(db, SERVICE):
            rpc(db, "begin_embeddings", p_request_id=request, **arguments)
    assert sorted(held(db, user)) == [(0, 2, False), (60, 0, False)]
    charge = [{"id": str(request), "user_id": str(user.id), "calls": []}]
    with acting(db, SERVICE):
        rpc(db, "charge_usage", p_charges=Jsonb(charge))
    assert held(db, user) == [(60, 0, False)]
    with pytest.raises(psycopg.Error, match="rate_limited"), db.transaction(), acting(db, SERVICE):
        rpc(db, "begin_embeddings", p_request_id=uuid.uuid4(), **arguments)


def test_embeddings_of_a_process_that_dies_are_charged(db: Connection, user: Caller) -> None:
    model = {"provider": "openai", "model": "text-embedding-3-small", "input": 20_000}
    with acting(db, SERVICE):
        rpc(db, "begin_embeddings", p_user_id=user.id, p_request_id=uuid.uuid4(), p_tokens=60, p_model=Jsonb(model))
    db.execute("update private.reservations set expires_at = now() - interval '1 s' where user_id = %s", [user.id])
    with acting(db, SERVICE):
        rpc(db, "recover_replies")
    assert (held(db, user), ledger(db, user)) == ([], [("embedding", 60, 0, 2)])


def test_user_who_is_gone_is_refused(db: Connection) -> None:
    nobody = Caller("authenticated", uuid.uuid4())
    db.execute("update private.settings set require_premium = false")
    with pytest.raises(psycopg.Error, match="users"), db.transaction():
        begin(db, nobody)


def test_only_the_callers_plan_counts(db: Connection, user: Caller) -> None:
    free = new_user(db)
    assert refusal_of(db, free) == "premium_required"
    with acting(db, SERVICE):
        assert one(db, "select public.completion_models(%s, %s)", [user.id, Jsonb([PRICE])])[0]["model"] == PRICED
