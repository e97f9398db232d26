"""A monthly budget: what is begun together passes it by one reply at most, and what has no price is not answered."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from app import admin as command_line
from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle, new_plan
from tests.support.callers import Caller, Connection, acting, new_user, one, rpc
from tests.support.callers import new_conversation as place
from tests.support.client import assert_problem, new_conversation, person_client, script, turn
from tests.support.replica_client import eventually
from tests.support.service import Api, Person, running_api
from tests.support.turn_functions import final, finish, send
from tests.support.upstream import EMBEDDED_TOKENS, MODEL, Upstream

PRICED = "gpt-5-mini"
LISTED = "listed-without-a-price"


@pytest.fixture
async def conversation(client: httpx.AsyncClient) -> str:
    return await new_conversation(client)


@pytest.fixture
def operator(stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Awaitable[int]]:
    """Runs the operator's command line; its exit code."""
    monkeypatch.setenv("SUPABASE_URL", stack.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", stack.secret_key)
    return lambda *arguments: asyncio.to_thread(command_line.main, arguments)


@pytest.fixture
def without_prices(owned: Connection) -> Any:
    """The operator's prices are gone after the test."""
    yield
    owned.execute("delete from private.model_prices")


def spent(db: Connection, person: Person) -> int:
    cost: int = one(
        db, "select coalesce(sum(cost_micro_usd), 0)::int from private.usage_ledger where user_id = %s", [person.id]
    )
    return cost


async def ask(client: httpx.AsyncClient, conversation: str, **body: Any) -> httpx.Response:
    body = {"content": script(tokens=5), **body}
    return await client.post(f"/v1/conversations/{conversation}/messages", json=body)


# ── which models may answer ──────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def listing(
    stack: LocalSupabase,
    kept_settings: None,
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncGenerator[Api]:
    """An API whose provider lists a model that the catalog does not know."""
    monkeypatch.setattr(upstream, "models", (MODEL, LISTED))
    settings = {"OPENAI_API_KEY": "test", "OPENAI_BASE_URL": upstream.url, "OPENAI_MODEL": MODEL}
    log = tmp_path_factory.mktemp("listing") / "api.log"
    async with running_api(stack, log, EMBEDDING_MODEL="local", **settings) as running:
        yield running


async def test_model_that_is_only_listed_is_refused_by_what_there_is(listing: Api, person: Person) -> None:
    async with person_client(listing, person) as client:
        refused = await ask(client, await new_conversation(client), model=LISTED)
    detail = assert_problem(refused, 422, "invalid_request")["detail"]
    assert detail.startswith(f"model: the plan premium does not allow openai/{LISTED}, which has no known price.")
    assert f"Available: openai/{MODEL}, " in detail
    assert f"openai/{PRICED}" in detail


@pytest.mark.usefixtures("without_prices")
async def test_model_with_the_operators_price_answers_and_costs_that(
    listing: Api, owned: Connection, person: Person, operator: Callable[..., Awaitable[int]]
) -> None:
    assert await operator("price", f"openai/{LISTED}", "--input", "1000", "--output", "2000") == 0
    async with person_client(listing, person) as client:
        await turn(client, await new_conversation(client), script(tokens=5), model=LISTED)
        # where the conversation names it, too
        await turn(client, await new_conversation(client, model=LISTED), script(tokens=5))
    assert spent(owned, person) == 2 * (7 * 1000 + 5 * 2000)


async def test_plan_has_models_of_its_own(
    client: httpx.AsyncClient,
    conversation: str,
    owned: Connection,
    person: Person,
    operator: Callable[..., Awaitable[int]],
) -> None:
    plan = new_plan(owned)
    entitle(owned, person.id, plan)
    assert await operator("models", plan, "--only", f"openai/{PRICED}") == 0
    # who names none is answered by what is allowed; nothing else is in the offer of this test's provider
    detail = assert_problem(await ask(client, conversation), 422, "invalid_request")["detail"]
    assert detail == f"model: the plan {plan} does not allow any model that can answer now. Available: openai/{PRICED}."
    assert (await turn(client, conversation, model=PRICED))["model"] == PRICED
    refused = assert_problem(await ask(client, conversation, model=MODEL), 422, "invalid_request")
    assert refused["detail"].startswith(f"model: the plan {plan} does not allow openai/{MODEL}. ")
    assert await operator("models", plan, "--catalog") == 0
    assert (await turn(client, conversation))["model"] == MODEL


@pytest.mark.usefixtures("without_prices")
async def test_operator_is_told_which_models_of_a_plan_have_no_price(
    owned: Connection, operator: Callable[..., Awaitable[int]], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = new_plan(owned)
    named = f"openai/{PRICED},{PRICED},openai/{LISTED},{LISTED},openai/*,ollama/llama9,q/x"
    missing = [f"openai/{LISTED}", LISTED, "q/x"]
    assert await operator("models", plan, "--only", named) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{plan}: {named.replace(',', ', ')}"
    assert second.startswith(
        f"  no known price: {', '.join(missing)}. Such a model is refused until it has one (`price "
    )
    assert await operator("price", f"openai/{LISTED}", "--input", "1", "--output", "2") == 0
    capsys.readouterr()
    assert await operator("models", plan, "--json") == 0
    assert json.loads(capsys.readouterr().out)["without_price"] == ["q/x"]
    assert await operator("models", plan, "--catalog") == 0
    assert capsys.readouterr().out == (
        f"{plan}: the models of the catalog, those that a setting names, and those with a price\n"
    )


NO_PRICE = (
    f"model: the plan {{}} does not allow openai/{LISTED}, which has no known price. Available: {{}}. "
    f"The operator sets a price: python -m app.admin price openai/{LISTED} --input USD --output USD."
)


@pytest.mark.usefixtures("without_prices")
@pytest.mark.parametrize("only", [f"openai/{LISTED}", LISTED, "openai/*"])
async def test_model_of_a_plans_list_without_a_price_is_refused_for_that(
    listing: Api, owned: Connection, person: Person, operator: Callable[..., Awaitable[int]], only: str
) -> None:
    """And what is called available is what is answered, as `GET /v1/models` has it."""
    plan = new_plan(owned)
    entitle(owned, person.id, plan)
    assert await operator("models", plan, "--only", only) == 0
    async with person_client(listing, person) as client:
        conversation = await new_conversation(client)
        detail = assert_problem(await ask(client, conversation, model=LISTED), 422, "invalid_request")["detail"]
        _, _, available = detail.partition("Available: ")
        available, _, _ = available.partition(". The operator")
        assert detail == NO_PRICE.format(plan, available)
        items = (await client.get("/v1/models")).json()["items"]
        shown = [f"{item['provider']}/{item['model']}" for item in items if item["available"]]
        assert available == ", ".join(shown or ["none"])
        assert bool(shown) is (only == "openai/*")

        assert await operator("price", f"openai/{LISTED}", "--input", "1", "--output", "2") == 0
        assert (await turn(client, conversation, model=LISTED))["model"] == LISTED
        if only != "openai/*":
            refused = assert_problem(await ask(client, conversation, model=MODEL), 422, "invalid_request")
            assert refused["detail"] == (
                f"model: the plan {plan} does not allow openai/{MODEL}. Available: openai/{LISTED}."
            )


@pytest.mark.parametrize(
    ("offer", "plan_models", "said"),
    [
        # nobody is named, and what could answer has no price
        (
            {"models": [{"provider": "p", "model": "m"}], "others": []},
            ["p/*"],
            "any model that can answer now: p/m has no known price. Available: none. The operator sets a price: "
            "python -m app.admin price p/m --input USD --output USD.",
        ),
        # the plan's list names models of a provider that costs nothing, and models that nobody has
        (
            {
                "models": [{"provider": "p", "model": "m", "named": True, "known": True}],
                "others": [{"provider": "free", "model": None, "input": 0, "cached": 0, "output": 0}],
            },
            ["free/llama", "q/x", "y", "p/z"],
            "p/m. Available: free/llama.",
        ),
        # the provider is named alone: the reason is that of the model that the plan has
        (
            {
                "models": [
                    {"provider": "p", "model": "a", "named": True, "known": True},
                    {"provider": "p", "model": "b", "named": True},
                ]
            },
            ["p/b"],
            "p/b, which has no known price. Available: none. The operator sets a price: "
            "python -m app.admin price p/b --input USD --output USD.",
        ),
    ],
)
def test_refusal_of_a_model_says_why(
    db: Connection, user: Caller, offer: dict[str, Any], plan_models: list[str], said: str
) -> None:
    plan = new_plan(db)
    entitle(db, user.id, plan)
    db.execute("insert into private.plan_models (plan, models) values (%s, %s)", [plan, plan_models])
    with pytest.raises(psycopg.DatabaseError) as refused:
        db.execute("select private.require_model(private.limits_of(%s), %s)", [user.id, Jsonb(offer)])
    assert refused.value.diag.message_detail == f"model: the plan {plan} does not allow {said}"


async def test_model_that_a_conversation_prefers_answers_if_it_may(
    client: httpx.AsyncClient,
    owned: Connection,
    person: Person,
    operator: Callable[..., Awaitable[int]],
) -> None:
    conversation = await new_conversation(client, model=PRICED)
    assert (await turn(client, conversation))["model"] == PRICED
    plan = new_plan(owned)
    entitle(owned, person.id, plan)
    assert await operator("models", plan, "--only", PRICED) == 0
    assert (await turn(client, conversation))["model"] == PRICED
    assert await operator("models", plan, "--only", MODEL) == 0
    assert (await turn(client, conversation))["model"] == MODEL


@pytest.mark.usefixtures("without_prices")
async def test_what_has_no_price_does_not_answer_under_a_budget(
    client: httpx.AsyncClient,
    conversation: str,
    owned: Connection,
    person: Person,
    operator: Callable[..., Awaitable[int]],
) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=1))
    for choice in ({}, {"model": MODEL}):
        detail = assert_problem(await ask(client, conversation, **choice), 422, "invalid_request")["detail"]
        assert "no known price, which a plan with a budget needs. Available: openai/" in detail
    await operator("price", f"openai/{MODEL}", "--input", "1", "--output", "1")
    assert (await turn(client, conversation))["model"] == MODEL
    assert_problem(await ask(client, conversation), 402, "budget_exceeded")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("price", "gpt"), "argument PROVIDER/MODEL: 'gpt' is no model: write PROVIDER/MODEL"),
        (("price", "a/b", "--input", "-1"), "argument --input: '-1' is not allowed: dollars from 0"),
        (("models", "free", "--only", "a,,b"), "argument --only: 'a,,b' is no list of models"),
    ],
)
async def test_wrong_argument_is_named(
    operator: Callable[..., Awaitable[int]],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    complaint: str,
) -> None:
    with pytest.raises(SystemExit) as ended:
        await operator(*arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("price", "a/b", "--input", "1"), "a price has --input and --output"),
        (("price", "--input", "1"), "name the model whose price this is, as PROVIDER/MODEL"),
        (("price", "a/b", "--remove"), "a/b has no price of the operator's."),
        (("models", "no such plan"), "There is no plan no such plan; there are"),
    ],
)
async def test_command_that_cannot_be_done_says_why(
    operator: Callable[..., Awaitable[int]],
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    complaint: str,
) -> None:
    assert await operator(*arguments) == 1
    assert complaint in capsys.readouterr().err


@pytest.mark.usefixtures("without_prices")
async def test_prices_are_shown(operator: Callable[..., Awaitable[int]], capsys: pytest.CaptureFixture[str]) -> None:
    await operator("price", "openai/mine", "--input", "0.5", "--output", "1.5")
    await operator("price")
    line = "openai/mine: $0.50 in, $0.50 cached, $1.50 out, a million tokens\n"
    assert capsys.readouterr().out == 2 * line
    await operator("price", "openai/mine", "--remove")
    await operator("price")
    assert capsys.readouterr().out == ""


# ── how far it may be passed ─────────────────────────────────────────────────────────────────────────────────────


async def test_sixty_sends_at_once_pass_it_by_one_reply(
    client: httpx.AsyncClient, conversation: str, owned: Connection, person: Person, upstream: Upstream
) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=1))
    sends = [ask(client, conversation, content=script(id="sixty", tokens=5, first=1), model=PRICED) for _ in range(60)]
    assert Counter(answer.status_code for answer in await asyncio.gather(*sends)) == {202: 1, 402: 59}
    await eventually(lambda: spent(owned, person) == 12)
    assert len(upstream.calls_of("sixty")) == 1
    assert_problem(await ask(client, conversation, model=PRICED), 402, "budget_exceeded")


async def test_what_is_held_is_not_left(
    client: httpx.AsyncClient, conversation: str, owned: Connection, person: Person
) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=10_000_000))
    begun = await ask(client, conversation, content=script(first=20), model=PRICED, max_tokens=1000)
    left = (await client.get("/v1/usage")).json()["budget"]["remaining_micro_usd"]
    # 1,000 tokens of reply at $2.00 a million, and 4 of the message at $0.25
    assert left == 10_000_000 - 2000 - 1
    await client.post(f"/v1/messages/{begun.json()['message']['id']}/stop")
    assert (await client.get("/v1/usage")).json()["budget"]["remaining_micro_usd"] >= 10_000_000 - 2


def offer(*prices: tuple[int, int]) -> Jsonb:
    models = [
        {"provider": "p", "model": f"m{place}", "known": True, "input": input, "cached": 0, "output": output}
        for place, (input, output) in enumerate(prices)
    ]
    return Jsonb({"models": models, "passage_tokens": 0})


def test_cost_is_held_for_the_most_expensive_that_may_answer(db: Connection, user: Caller) -> None:
    conversation = place(db, user)
    prices = ((1_000_000, 1_000_000), (3_000_000, 5_000_000))
    send(db, user, conversation, "x" * 400, p_max_tokens=10, p_offer=offer(*prices))
    assert one(db, "select cost_micro_usd from private.reservations where user_id = %s", [user.id]) == 100 * 3 + 10 * 5


def test_held_cost_is_released_with_the_reply(db: Connection, user: Caller) -> None:
    conversation = place(db, user)
    entitle(db, user.id, new_plan(db, monthly_budget_micro_usd=100))
    begun = send(db, user, conversation, p_offer=offer((1_000_000, 1_000_000)))
    with pytest.raises(psycopg.DatabaseError, match="budget_exceeded"):
        send(db, user, conversation, p_offer=offer((1_000_000, 1_000_000)))
    call = {"provider": "p", "model": "m0", "prompt_tokens": 2, "completion_tokens": 3, "cost_micro_usd": 5}
    finish(db, final(begun["message"]["id"], "x", user_id=str(user.id), calls=[call]))
    send(db, user, conversation, p_offer=offer((1_000_000, 1_000_000)))


# ── embeddings, checks and searches ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def embedding(
    stack: LocalSupabase, kept_settings: None, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API whose vectors are a provider's."""
    settings = {
        "OPENAI_API_KEY": "test",
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_MODEL": MODEL,
        "EMBEDDING_MODEL": "text-embedding-3-large",
        "MODERATION": "openai",
    }
    async with running_api(stack, tmp_path_factory.mktemp("embedding") / "api.log", **settings) as running:
        yield running


def entries(db: Connection, person: Person) -> list[tuple[Any, ...]]:
    return db.execute(
        "select kind, model, sum(prompt_tokens)::int, sum(cost_micro_usd)::int from private.usage_ledger "
        "where user_id = %s group by 1, 2 order by 1, 2",
        [person.id],
    ).fetchall()


async def test_embeddings_and_checks_are_in_the_ledger(
    embedding: Api, owned: Connection, person: Person, upstream: Upstream
) -> None:
    before = len(upstream.embedded)
    async with person_client(embedding, person) as client:
        document = (await client.post("/v1/documents", json={"title": "T", "content": "A text"})).json()
        await eventually(
            lambda: one(owned, "select status from public.documents where id = %s", [document["id"]]) == "ready", 30
        )
        assert (await client.post("/v1/search", json={"query": "a question"})).status_code == 200
        await turn(client, await new_conversation(client), script(tokens=1), use_rag=True)
        assert (await client.post("/v1/moderations", json={"content": "x" * 40})).status_code == 200
        usage = (await client.get("/v1/usage")).json()
    calls = len(upstream.embedded) - before
    assert calls == 3
    model = "text-embedding-3-large"
    # 11 tokens at $0.13 a million are 2 micro-dollars, rounded up, each
    assert entries(owned, person) == [
        ("embedding", model, EMBEDDED_TOKENS * calls, 2 * calls),
        ("moderation", "moderation", 10, 0),
        ("reply", MODEL, 7, None),
    ]
    assert usage["month"]["replies"] == 1
    assert usage["month"]["tokens"] == EMBEDDED_TOKENS * calls + 10 + 8
    # the minute is that of replies
    assert usage["tokens"]["limit"] - usage["tokens"]["remaining"] == 8


async def test_budget_that_is_used_up_admits_no_document_and_no_search(
    embedding: Api, owned: Connection, person: Person
) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=0))
    async with person_client(embedding, person) as client:
        assert_problem(await client.post("/v1/search", json={"query": "a question"}), 402, "budget_exceeded")
        document = {"title": "T", "content": "A text"}
        assert_problem(await client.post("/v1/documents", json=document), 402, "budget_exceeded")


async def test_refused_sends_embed_once_at_most(
    embedding: Api, owned: Connection, person: Person, upstream: Upstream
) -> None:
    """A search begins before its turn; the next one waits until its own is let in."""
    entitle(owned, person.id, new_plan(owned, requests_per_minute=2))
    async with person_client(embedding, person) as client:
        document = (await client.post("/v1/documents", json={"title": "T", "content": "A text"})).json()
        await eventually(
            lambda: one(owned, "select status from public.documents where id = %s", [document["id"]]) == "ready", 30
        )
        conversation = await new_conversation(client)
        for _ in range(2):
            await turn(client, conversation, script(tokens=1))
        before = len(upstream.embedded)
        for _ in range(10):
            assert_problem(await ask(client, conversation), 429, "rate_limited")
        # one that is cut off is charged by estimate, also when the request has not quite reached its server
        asked = len(upstream.embedded) - before
        await eventually(lambda: not asked or entries(owned, person)[0][2] > EMBEDDED_TOKENS * (1 + 2))
        assert asked <= 1


def created(db: Connection, user: Caller, content: str) -> None:
    with acting(db, user):
        rpc(db, "create_document", p_title="T", p_passages=Jsonb([{"content": content}]), p_content_hash=content[:9])


def test_a_charge_that_is_repeated_lowers_what_is_held_once(db: Connection, user: Caller) -> None:
    """The service sends a call again when its answer was lost."""
    db.execute("""update private.settings set embeddings = '{"provider": "p", "model": "e", "input": 1000000}'""")
    created(db, user, "a" * 400)
    document = one(db, "select id::text from public.documents where user_id = %s", [user.id])
    call = {
        "kind": "embedding",
        "provider": "p",
        "model": "e",
        "prompt_tokens": 30,
        "completion_tokens": 0,
        "cached_tokens": 0,
        "cost_micro_usd": 30,
    }
    charge = {"id": str(uuid.uuid4()), "user_id": str(user.id), "calls": [call], "document_id": document}
    for _ in range(2):
        db.execute("select public.charge_usage(%s)", [Jsonb([charge])])
        assert one(db, "select private.held_micro_usd(%s)", [user.id]) == 70
    assert one(db, "select sum(cost_micro_usd)::int from private.usage_ledger where user_id = %s", [user.id]) == 30


def test_vectors_of_documents_are_held(db: Connection, user: Caller) -> None:
    """Of one that is deleted no more; and what is held is refused to the next."""
    db.execute("""update private.settings set embeddings = '{"provider": "p", "model": "e", "input": 1000000}'""")
    entitle(db, user.id, new_plan(db, monthly_budget_micro_usd=150))
    created(db, user, "a" * 400)
    assert one(db, "select private.held_micro_usd(%s)", [user.id]) == 100
    created(db, user, "b" * 400)
    with pytest.raises(psycopg.DatabaseError, match="budget_exceeded"):
        created(db, user, "c" * 400)
    db.execute("delete from public.documents where user_id = %s", [user.id])
    assert one(db, "select private.held_micro_usd(%s)", [user.id]) == 0


SEARCHES = {
    "match_embeddings": {"query_embedding": "[" + ",".join(["1"] * 1536) + "]"},
    "search_passages": {"query_text": "a", "query_embedding": "[" + ",".join(["1"] * 1536) + "]"},
}


def search(db: Connection, function: str) -> None:
    """Call it as the Data API does."""
    arguments = SEARCHES[function]
    named = sql.SQL(", ").join(
        sql.SQL("{} => {}").format(sql.Identifier(name), value) for name, value in arguments.items()
    )
    db.execute(sql.SQL("select * from public.{}({})").format(sql.Identifier(function), named))


@pytest.mark.parametrize("function", SEARCHES)
def test_searches_by_rpc_are_limited(db: Connection, user: Caller, function: str) -> None:
    """As those of the API, with which they share the limit."""
    entitle(db, user.id, new_plan(db, requests_per_minute=3))
    with acting(db, user):
        for _ in range(3):
            search(db, function)
        with pytest.raises(psycopg.DatabaseError) as error, db.transaction():
            search(db, function)
        assert error.value.sqlstate == "PT429"
        with pytest.raises(psycopg.DatabaseError, match="rate_limited"), db.transaction():
            rpc(db, "admit_request", p_kind="search")


def test_search_of_servers_is_limited_too(db: Connection, user: Caller) -> None:
    entitle(db, user.id, new_plan(db, requests_per_minute=3))
    arguments = {"p_text": "a", "p_questions": Jsonb([]), "p_count": 5, "p_filter": Jsonb({}), "p_hybrid": False}
    with acting(db, user):
        for _ in range(18):
            rpc(db, "search_documents_v2", **arguments)
        with pytest.raises(psycopg.DatabaseError, match="rate_limited"), db.transaction():
            rpc(db, "search_documents_v2", **arguments)


def test_search_of_the_owner_of_the_database_is_nobodys(db: Connection) -> None:
    new_user(db)
    search(db, "match_embeddings")
    assert one(db, "select count(*) from private.meters where kind = 'search' and user_id is null") == 0
