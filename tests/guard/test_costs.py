"""Costs: a reply's is what the ledger has for it, and a conversation's is that of its replies, whoever tells them."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest
from psycopg.types.json import Jsonb

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle, new_plan
from tests.support.callers import SERVICE, Caller, Connection, acting, one, rpc
from tests.support.callers import new_conversation as place
from tests.support.client import new_conversation, person_client, script, send, turn
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.turn_functions import expire, final, finish, recover
from tests.support.turn_functions import send as begin
from tests.support.upstream import Upstream

PRICED = "gpt-5-mini"
COST = 12
"""In micro-dollars, of 7 tokens at $0.25 a million and 5 at $2.00."""


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    return await sign_up(stack)


@pytest.fixture
async def client(replicas: tuple[Api, Api], person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(replicas[0], person) as opened:
        yield opened


@pytest.fixture
async def conversation(client: httpx.AsyncClient) -> str:
    return await new_conversation(client)


async def row(client: httpx.AsyncClient, conversation: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.get(f"/v1/conversations/{conversation}")).json()
    return answer


def ledger(db: Connection, reply: str) -> Any:
    return one(db, "select sum(cost_micro_usd)::bigint from private.usage_ledger where reply_id = %s", [reply])


# ── of replies ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_view_of_a_reply_tells_it(
    client: httpx.AsyncClient, conversation: str, owned: Connection, replicas: tuple[Api, Api], person: Person
) -> None:
    told = await send(client, conversation, script(tokens=5), model=PRICED)
    assert told.ending is not None
    usage = told.ending.data["usage"]
    assert usage == {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "cost_micro_usd": COST,
    }
    reply = told.events[0].data["message_id"]
    assert ledger(owned, reply) == COST
    stored = (await client.get(f"/v1/messages/{reply}")).json()
    assert (stored["cost_micro_usd"], stored["usage"]) == (COST, usage)
    async with person_client(replicas[1], person) as other:
        events = (await other.get(f"/v1/messages/{reply}/stream")).text
    assert f'"cost_micro_usd":{COST}' in events


async def test_stopped_reply_tells_it(client: httpx.AsyncClient, conversation: str, owned: Connection) -> None:
    body = {"content": script(tokens=50, gap=0.05), "model": PRICED}
    begun = (await client.post(f"/v1/conversations/{conversation}/messages", json=body)).json()["message"]
    assert begun["cost_micro_usd"] is None
    await client.post(f"/v1/messages/{begun['id']}/stop")
    stopped = (await client.get(f"/v1/messages/{begun['id']}")).json()
    assert stopped["status"] == "stopped"
    assert stopped["cost_micro_usd"] == ledger(owned, begun["id"]) > 0


async def test_model_without_a_price_has_none(client: httpx.AsyncClient, conversation: str) -> None:
    reply = await turn(client, conversation)
    assert (reply["cost_micro_usd"], reply["usage"]["cost_micro_usd"]) == (None, None)
    told = await row(client, conversation)
    assert (told["cost_micro_usd"], told["tokens"]) == (0, reply["tokens_used"])


async def test_failed_calls_of_a_reply_are_in_its_cost(
    stack: LocalSupabase,
    kept_settings: None,
    upstream: Upstream,
    person: Person,
    owned: Connection,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """In a process of its own, as its circuit breaker learns of them."""
    settings = {"OPENAI_API_KEY": "test", "OPENAI_BASE_URL": upstream.url, "OPENAI_MODEL": PRICED}
    log = tmp_path_factory.mktemp("broken") / "api.log"
    async with running_api(stack, log, EMBEDDING_MODEL="local", **settings) as api, person_client(api, person) as alone:
        conversation = await new_conversation(alone)
        told = await send(alone, conversation, script(break_after=0, padding="x" * 4000))
        reply = told.events[0].data["message_id"]
        cost = (await alone.get(f"/v1/messages/{reply}")).json()["cost_micro_usd"]
        assert cost == ledger(owned, reply)
        # each call has sent about 1,000 tokens at $0.25 a million
        assert cost > 2 * 250
        assert (await row(alone, conversation))["cost_micro_usd"] == cost


def test_recovered_reply_tells_it(db: Connection, user: Caller) -> None:
    conversation = place(db, user)
    models = [{"provider": "p", "model": "m", "known": True, "input": 1_000_000, "cached": 0, "output": 0}]
    begun = begin(db, user, conversation, "x" * 400, p_offer=Jsonb({"models": models, "passage_tokens": 0}))
    reply = begun["message"]["id"]
    expire(db, reply)
    recover(db)
    assert one(db, "select cost_micro_usd from public.messages where id = %s", [reply]) == 100 == ledger(db, reply)
    assert one(db, "select cost_micro_usd from public.conversations where id = %s", [conversation]) == 100
    # its writer comes back, and knows better
    call = {"provider": "p", "model": "m", "prompt_tokens": 90, "completion_tokens": 0, "cost_micro_usd": 90}
    finish(db, final(reply, "x", user_id=str(user.id), calls=[call]))
    assert one(db, "select cost_micro_usd from public.messages where id = %s", [reply]) == 90 == ledger(db, reply)
    assert one(db, "select cost_micro_usd from public.conversations where id = %s", [conversation]) == 90


# ── of conversations ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_conversation_has_the_sum_of_all_its_branches(client: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(client, conversation, script(tokens=5), model=PRICED)
    again = await client.post(
        f"/v1/messages/{first['id']}/regenerate", json={"model": PRICED}, headers={"Prefer": "wait"}
    )
    await turn(client, conversation, script(tokens=5), model=PRICED, parent_id=None)
    told = await row(client, conversation)
    assert (told["cost_micro_usd"], told["tokens"]) == (3 * COST, 3 * 12)
    listed = (await client.get("/v1/conversations")).json()["items"][0]
    assert told == listed | {"instructions": None}
    # the ledger keeps what a deleted reply has cost
    assert (await client.delete(f"/v1/messages/{again.json()['id']}")).status_code in (200, 204)
    told = await row(client, conversation)
    assert (told["cost_micro_usd"], told["tokens"]) == (2 * COST, 2 * 12)
    month = (await client.get("/v1/usage")).json()["month"]
    assert month["cost_micro_usd"] == 3 * COST


@pytest.mark.parametrize("column", ["cost_micro_usd", "tokens"])
def test_sums_cannot_be_written_with_a_users_token(db: Connection, user: Caller, column: str) -> None:
    conversation = place(db, user)
    with pytest.raises(Exception, match="permission denied"), acting(db, user):
        db.execute(f"update public.conversations set {column} = 0 where id = %s", [conversation])  # noqa: S608


def test_conversation_of_the_release_before_gets_its_sums(db: Connection, user: Caller) -> None:
    """With its tree: that release wrote the ledger alone."""
    conversation = place(db, user)
    reply = begin(db, user, conversation)["message"]["id"]
    call = {"provider": "p", "model": "m", "prompt_tokens": 2, "completion_tokens": 3, "cost_micro_usd": 5}
    finish(db, final(reply, "x", user_id=str(user.id), calls=[call], prompt_tokens=2, completion_tokens=3))
    db.execute(
        "update public.conversations set message_count = null, cost_micro_usd = 0, tokens = 0 where id = %s",
        [conversation],
    )
    db.execute("update public.messages set cost_micro_usd = null where id = %s", [reply])
    db.execute("select private.plant_tree(%s)", [conversation])
    assert one(db, "select cost_micro_usd from public.messages where id = %s", [reply]) == 5
    assert db.execute(
        "select cost_micro_usd, tokens from public.conversations where id = %s", [conversation]
    ).fetchone() == (5, 5)


# ── what is held ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_repeated_charge_lowers_what_is_held_once(db: Connection, user: Caller) -> None:
    db.execute("""update private.settings set embeddings = '{"provider": "p", "model": "e", "input": 1000000}'""")
    passages = Jsonb([{"content": "a" * 400}])
    with acting(db, user):
        rpc(db, "create_document", p_title="T", p_passages=passages, p_content_hash=uuid.uuid4().hex)
    document = one(db, "select id from public.documents where user_id = %s", [user.id])
    call = {"kind": "embedding", "provider": "p", "model": "e", "prompt_tokens": 40, "completion_tokens": 0}
    charge = {
        "id": str(uuid.uuid4()),
        "user_id": str(user.id),
        "document_id": str(document),
        "calls": [{**call, "cost_micro_usd": 40}],
    }
    for _ in range(3):
        with acting(db, SERVICE):
            rpc(db, "charge_usage", p_charges=Jsonb([charge]))
        assert one(db, "select private.held_micro_usd(%s)", [user.id]) == 60


def with_passages(db: Connection, user: Caller, model: str) -> None:
    with acting(db, user):
        rpc(
            db,
            "create_document",
            p_title="T",
            p_passages=Jsonb([{"content": "a"}]),
            p_content_hash=uuid.uuid4().hex,
        )
    db.execute("delete from private.index_jobs where user_id = %s", [user.id])
    db.execute(
        "insert into public.embeddings (document_id, user_id, revision, passage, content, embedding, embedding_model) "
        "select d.id, d.user_id, p.revision, p.passage, p.content, array_fill(1, array[1536])::extensions.vector, %s "
        "from public.documents as d join private.document_passages as p on p.document_id = d.id where d.user_id = %s",
        [model, user.id],
    )
    db.execute(
        "update public.documents as d set embedding_model = %s, revision = "
        "(select min(p.revision) from private.document_passages as p where p.document_id = d.id) where user_id = %s",
        [model, user.id],
    )


def test_searches_at_once_pass_the_budget_by_one(db: Connection, user: Caller) -> None:
    """What a search's vectors cost is held until it is charged."""
    prices = {"provider": "p", "model": "e", "input": 1_000_000, "prices": {"e": 1_000_000}}
    db.execute("update private.settings set embeddings = %s", [Jsonb(prices)])
    with_passages(db, user, "e")
    entitle(db, user.id, new_plan(db, monthly_budget_micro_usd=100))
    with acting(db, user):
        admitted = rpc(db, "admit_request", p_kind="search", p_query="x" * 200)
        assert admitted["held"] is not None
        with pytest.raises(Exception, match="budget_exceeded"), db.transaction():
            rpc(db, "admit_request", p_kind="search", p_query="x")
    assert one(db, "select private.held_micro_usd(%s)", [user.id]) == 216
    charge = {"id": admitted["held"], "user_id": str(user.id), "calls": []}
    with acting(db, SERVICE):
        rpc(db, "charge_usage", p_charges=Jsonb([charge]))
    assert one(db, "select private.held_micro_usd(%s)", [user.id]) == 0
    with acting(db, user):
        rpc(db, "admit_request", p_kind="search", p_query="x")


def test_search_of_a_dead_process_is_released(db: Connection, user: Caller) -> None:
    prices = {"provider": "p", "model": "e", "input": 1_000_000}
    db.execute("update private.settings set embeddings = %s", [Jsonb(prices)])
    with_passages(db, user, "e")
    entitle(db, user.id, new_plan(db, monthly_budget_micro_usd=100))
    with acting(db, user):
        rpc(db, "admit_request", p_kind="search", p_query="x")
    db.execute("update private.reservations set expires_at = now() - interval '1 s' where user_id = %s", [user.id])
    recover(db)
    assert one(db, "select private.held_micro_usd(%s)", [user.id]) == 0
    assert one(db, "select count(*) from private.usage_ledger where user_id = %s", [user.id]) == 0


async def test_search_of_the_api_releases_what_it_holds(
    stack: LocalSupabase,
    kept_settings: None,
    upstream: Upstream,
    person: Person,
    owned: Connection,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    settings = {
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": PRICED,
        "EMBEDDING_MODEL": "text-embedding-3-large",
    }
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=1_000_000))
    log = tmp_path_factory.mktemp("search") / "api.log"
    async with running_api(stack, log, **settings) as api, person_client(api, person) as client:
        document = (await client.post("/v1/documents", json={"title": "T", "content": "A text"})).json()
        await eventually(
            lambda: one(owned, "select status from public.documents where id = %s", [document["id"]]) == "ready", 30
        )
        before = one(owned, "select count(*) from private.usage_ledger where user_id = %s", [person.id])
        assert (await client.post("/v1/search", json={"query": "a question"})).status_code == 200
        assert one(owned, "select count(*) from private.usage_ledger where user_id = %s", [person.id]) == before + 1
        assert one(owned, "select private.held_micro_usd(%s)", [person.id]) == 0
