"""Estimates and what may be chosen: never less than a turn then costs, whatever its provider counts."""

from __future__ import annotations

import random
import uuid
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle, new_plan
from tests.support.callers import Connection, one
from tests.support.client import assert_problem, new_conversation, person_client, script, turn
from tests.support.documents import put_in
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import MODEL, Upstream

PRICED = "gpt-5-mini"
TURNS = 30


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    return await sign_up(stack)


@pytest.fixture
async def api(
    stack: LocalSupabase, kept_settings: None, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    settings = {
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": MODEL,
        "EMBEDDING_MODEL": "text-embedding-3-large",
        "RATE_LIMIT_TOKENS_PER_MINUTE": "2000000000",
    }
    async with running_api(stack, tmp_path_factory.mktemp("estimates") / "api.log", **settings) as running:
        yield running


@pytest.fixture
async def client(api: Api, person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(api, person) as opened:
        yield opened


async def estimate(client: httpx.AsyncClient, content: str, **body: Any) -> dict[str, Any]:
    answer = await client.post("/v1/estimate", json={"content": content, **body})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def of(told: dict[str, Any], model: str) -> Any:
    [found] = [one for one in told["models"] if one["model"] == model]
    return found


def price(db: Connection, model: str, input: int, output: int) -> None:
    db.execute(
        "insert into private.model_prices (provider, model, input, cached, output) values ('openai', %s, %s, %s, %s) "
        "on conflict (provider, model) do update set input = excluded.input, cached = excluded.cached, "
        "output = excluded.output",
        [model, input, input, output],
    )


@pytest.fixture
def prices(owned: Connection) -> Any:
    yield owned
    owned.execute("delete from private.model_prices where provider = 'openai'")


@pytest.mark.parametrize("seed", range(3))
async def test_estimate_is_never_below_what_the_turn_costs(
    client: httpx.AsyncClient, owned: Connection, prices: Connection, person: Person, seed: int
) -> None:
    """Turns of all kinds at once: models, prices, limits, histories, passages, reasoning, scripts; each provider counts
    a token for every byte and writes as long a reply as it may."""
    chance = random.Random(seed)  # noqa: S311 - the same ones each time
    texts = ("a word ", "слово ", "言葉", "😀", "{}[]();\n", "0123456789")
    if seed:
        await put_in(client, "".join(chance.choice(texts) for _ in range(2000)))
    price(owned, MODEL, 1, 1)
    conversation = await new_conversation(client)
    for _ in range(TURNS // 3):
        tokens = chance.choice((20_000, 100_000, 1_000_000))
        entitle(
            owned, person.id, new_plan(owned, tokens_per_minute=tokens, requests_per_minute=chance.choice((3, 1000)))
        )
        owned.execute("delete from private.meters where user_id = %s", [person.id])
        owned.execute(
            "update private.usage_ledger set created_at = created_at - interval '2 minutes' where user_id = %s",
            [person.id],
        )
        model = chance.choice((PRICED, MODEL, "gpt-4o-mini"))
        price(owned, model, chance.randrange(10_000_000), chance.randrange(50_000_000))
        content = script(
            counts="most",
            thoughts=chance.choice(([], ["hm"] * 3)),
            padding="".join(chance.choice(texts) for _ in range(chance.choice((0, 10, 300)))),
        )
        options: dict[str, Any] = {"use_rag": chance.choice((True, False))}
        if (most := chance.choice((None, 1, 700))) is not None:
            options["max_tokens"] = most
        told = await estimate(client, content, conversation_id=conversation, **options)
        reply = await turn(
            client, conversation, content, model=model, reasoning=chance.choice(("off", "high")), **options
        )
        assert (reply["status"], reply["model"]) == ("complete", model)
        assert 0 <= reply["cost_micro_usd"] <= of(told, model)["cost_micro_usd"] <= told["most_micro_usd"]
        assert reply["cost_micro_usd"] == one(
            owned, "select sum(cost_micro_usd)::bigint from private.usage_ledger where reply_id = %s", [reply["id"]]
        )


async def test_broken_calls_are_within_the_most(
    client: httpx.AsyncClient, prices: Connection, upstream: Upstream
) -> None:
    for model in (PRICED, MODEL):
        price(prices, model, 1_000_000, 1_000_000)
    conversation, content = (
        await new_conversation(client),
        script(thoughts=["hm " * 50], break_after=0, id=str(uuid.uuid4())),
    )
    told = await estimate(client, content, conversation_id=conversation)
    body = {"content": content, "model": PRICED}
    await client.post(f"/v1/conversations/{conversation}/messages", json=body, headers={"Prefer": "wait"})
    cost = (await client.get(f"/v1/conversations/{conversation}")).json()["cost_micro_usd"]
    assert 0 < cost <= told["most_micro_usd"]


async def test_estimate_is_of_the_branch_that_is_continued(
    client: httpx.AsyncClient, owned: Connection, person: Person, prices: Connection
) -> None:
    """A branch that is not shown may be longer than the one that is."""
    price(prices, MODEL, 1_000_000, 1_000_000)
    conversation = await new_conversation(client)
    hidden = await turn(client, conversation, script(padding="x" * 20_000, tokens=1))
    shown = await turn(client, conversation, script(tokens=1), parent_id=None)
    content = script(counts="most")
    told = {
        place: await estimate(client, content, conversation_id=conversation, max_tokens=10, **follows)
        for place, follows in (("hidden", {"parent_id": hidden["id"]}), ("head", {}), ("none", {"parent_id": None}))
    }
    held = [told[place]["prompt_tokens"] for place in ("hidden", "head", "none")]
    assert held[0] > held[1] + 4000 > held[2] + 4000
    assert told["none"]["prompt_tokens"] == (await estimate(client, content, max_tokens=10))["prompt_tokens"]
    for place, follows in (("hidden", hidden["id"]), ("head", shown["id"]), ("none", None)):
        reply = await turn(client, conversation, content, parent_id=follows, max_tokens=10)
        assert 0 < reply["cost_micro_usd"] <= of(told[place], MODEL)["cost_micro_usd"]


@pytest.mark.parametrize("options", [{}, {"max_tokens": 321}])
async def test_estimate_tells_what_the_turn_then_holds(
    client: httpx.AsyncClient, owned: Connection, person: Person, options: dict[str, Any]
) -> None:
    entitle(owned, person.id, new_plan(owned, tokens_per_minute=100_000, requests_per_minute=60))
    await put_in(client, "A text about Rome")
    conversation = await new_conversation(client, instructions="Be brief. " * 40)
    await turn(client, conversation, script(tokens=20, padding="x" * 3000))
    content = script(first=20, padding="y" * 500)
    told = await estimate(client, content, conversation_id=conversation, **options)
    body = {"content": content, **options}
    begun = (await client.post(f"/v1/conversations/{conversation}/messages", json=body)).json()["message"]
    held = owned.execute(
        "select prompt_tokens, output_tokens from private.reservations where reply_id = %s", [begun["id"]]
    ).fetchone()
    await client.post(f"/v1/messages/{begun['id']}/stop")
    assert held is not None
    assert told["prompt_tokens"] == held[0] > 3800
    # a moment of the minute comes back between both
    assert told["output_tokens"] == pytest.approx(held[1], abs=3000)
    if options:
        assert told["output_tokens"] == held[1] == 321


async def test_estimate_takes_nothing(client: httpx.AsyncClient, owned: Connection, person: Person) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=1_000_000, requests_per_minute=10))
    before = (await client.get("/v1/usage")).json()
    for _ in range(20):
        told = await estimate(client, "Hello")
    assert told["left"] == {name: before[name] for name in ("requests", "tokens", "budget")}
    assert (await client.get("/v1/usage")).json() == before
    assert (await client.get("/v1/conversations")).json()["items"] == []


async def test_estimate_of_a_user_without_budget_tells_that(
    client: httpx.AsyncClient, owned: Connection, person: Person
) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=0))
    told = await estimate(client, "Hello")
    assert told["left"]["budget"] == {"limit_micro_usd": 0, "remaining_micro_usd": 0}
    assert of(told, PRICED)["cost_micro_usd"] > 0


async def test_model_without_a_price_has_no_estimate(client: httpx.AsyncClient) -> None:
    told = await estimate(client, "Hello")
    assert (of(told, MODEL)["cost_micro_usd"], told["most_micro_usd"]) == (None, None)


async def test_refusals(client: httpx.AsyncClient, api: Api, stack: LocalSupabase, owned: Connection) -> None:
    for body, status, code in (
        ({"content": "x" * 100_001}, 413, "payload_too_large"),
        ({"content": " "}, 400, "invalid_request"),
        ({"content": "x", "conversation_id": str(uuid.uuid4())}, 404, "not_found"),
        ({"content": "x", "parent_id": str(uuid.uuid4())}, 422, "invalid_request"),
        ({"content": "x", "max_tokens": 0}, 400, "invalid_request"),
        ({"content": "x", "model": PRICED}, 400, "invalid_request"),
    ):
        answer = await client.post("/v1/estimate", json=body)
        assert answer.status_code in (status, 422), answer.text
        assert answer.json()["code"] == code
    mine = await new_conversation(client)
    async with person_client(api, await sign_up(stack)) as stranger:
        answer = await stranger.post("/v1/estimate", json={"content": "x", "conversation_id": mine})
        assert_problem(answer, 404, "not_found")


async def test_models_that_the_plan_does_not_allow_are_not_available(
    client: httpx.AsyncClient, owned: Connection, person: Person
) -> None:
    before = (await client.get("/v1/models")).json()
    assert before["default"] == {"provider": "openai", "model": MODEL}
    assert of({"models": before["items"]}, PRICED)["available"] is True
    plan = new_plan(owned)
    entitle(owned, person.id, plan)
    owned.execute("insert into private.plan_models (plan, models) values (%s, %s)", [plan, [PRICED]])
    shown = (await client.get("/v1/models")).json()
    assert [item["model"] for item in shown["items"]] == [item["model"] for item in before["items"]]
    for item in shown["items"]:
        allowed = item["model"] == PRICED and item["provider"] == "openai"
        assert item["available"] is allowed
        reachable = item["provider"] == "openai"
        assert item["unavailable"] == (None if allowed else "not_allowed" if reachable else "unreachable")
    # no turn that names none would be answered
    assert shown["default"] is None
    assert [one["model"] for one in (await estimate(client, "Hello"))["models"]] == [PRICED]


async def test_model_without_a_price_is_not_available_in_a_plan_with_a_budget(
    client: httpx.AsyncClient, owned: Connection, person: Person
) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=1_000_000))
    items = (await client.get("/v1/models")).json()["items"]
    assert of({"models": items}, MODEL)["unavailable"] == "not_allowed"
    assert of({"models": items}, PRICED)["available"] is True
