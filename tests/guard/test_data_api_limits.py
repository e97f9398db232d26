"""What a user's own token can do to their limits through the Data API: nothing that helps."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from scripts.local_supabase import LocalSupabase
from tests.guard.plans import new_plan
from tests.support.callers import NOBODY, Connection, acting, rpc
from tests.support.service import Person, sign_up

TABLES = (
    "settings",
    "plans",
    "meters",
    "reservations",
    "usage_ledger",
    "moderation_audit",
)
SERVICE_FUNCTIONS: dict[str, dict[str, Any]] = {
    "configure_limits": {
        "p_require_premium": False,
        "p_requests_per_minute": 10**9,
        "p_tokens_per_minute": 10**9,
        "p_screen_input": False,
    },
    "admin_grant": {"p_email": "{email}", "p_plan": "premium"},
    "admin_revoke": {"p_email": "{email}"},
    "admin_show": {"p_email": "{email}"},
    "admin_limits": {"p_plan": "premium", "p_changes": {"requests_per_minute": 10**9}},
    "finish_replies": {"p_replies": [{"id": "{reply}", "content": "", "status": "complete", "prompt_tokens": -5}]},
    "recover_replies": {},
    "journal_write": {"p_pieces": [], "p_alive": ["{reply}"]},
}
# of schema private, and helpers: none has a way in
INTERNAL = (
    "settle",
    "admit_turn",
    "refuse",
    "require_premium",
    "limits_of",
    "user_by_email",
    "usage_totals",
    "tokens_wait",
)


@pytest.fixture
async def person(stack: LocalSupabase, owned: Connection) -> Person:
    """A user with three requests a minute and 5,000 tokens."""
    return await sign_up(stack, new_plan(owned, requests_per_minute=3, tokens_per_minute=5000))


@pytest.fixture
def http(stack: LocalSupabase, person: Person) -> httpx.AsyncClient:
    headers = {"apikey": stack.publishable_key, **person.headers}
    return httpx.AsyncClient(base_url=f"{stack.url}/rest/v1", headers=headers, timeout=30)


def everything(db: Connection, person: Person) -> dict[str, list[Any]]:
    """All that decides the person's limits, as it stands. What others hold is released when its time has come."""
    rows = {
        table: [row for (row,) in db.execute(f"select to_jsonb(t) from private.{table} as t")]  # noqa: S608
        for table in TABLES
    } | {"entitlements": [row for (row,) in db.execute("select to_jsonb(e) from public.entitlements as e")]}
    return {
        table: sorted(json.dumps(row) for row in found if row.get("user_id", person.id) == person.id)
        for table, found in rows.items()
    }


def written_for_ever(db: Connection, person: Person) -> None:
    """Keep what the person's replies hold, however long the test takes."""
    db.execute("update private.live_replies set lease_expires_at = 'infinity' where user_id = %s", [person.id])


async def begin(http: httpx.AsyncClient, conversation: str, **arguments: Any) -> httpx.Response:
    body = {"p_writer": str(uuid4()), "p_conversation_id": conversation, "p_content": "Hello", **arguments}
    return await http.post("/rpc/begin_turn", json=body)


async def new_conversation(http: httpx.AsyncClient) -> str:
    made = await http.post("/conversations", json={"title": "x"}, headers={"Prefer": "return=representation"})
    return str(made.json()[0]["id"])


async def test_tables_are_out_of_reach(http: httpx.AsyncClient, owned: Connection, person: Person) -> None:
    async with http:
        await begin(http, await new_conversation(http))
        written_for_ever(owned, person)
        before = everything(owned, person)
        rows: dict[str, Any] = {"user_id": person.id, "full_at": "1970-01-01", "tokens": -1, "prompt_tokens": -1000}
        for table in (*TABLES, "private.meters", "private.settings"):
            for profile in ({}, {"Accept-Profile": "private", "Content-Profile": "private"}):
                for method in ("GET", "POST", "PATCH", "DELETE"):
                    response = await http.request(
                        method,
                        f"/{table}?user_id=eq.{person.id}",
                        headers=profile,
                        json=rows if method != "GET" else None,
                    )
                    assert response.status_code >= 400, (method, table, response.text)
        for method, query in (
            ("POST", ""),
            ("PATCH", f"?user_id=eq.{person.id}"),
            ("DELETE", f"?user_id=eq.{person.id}"),
        ):
            body = {"user_id": person.id, "plan": "premium", "valid_until": None}
            refused = await http.request(method, f"/entitlements{query}", json=body)
            assert refused.status_code in (401, 403)
        assert everything(owned, person) == before


async def test_service_functions_refuse_a_user(
    http: httpx.AsyncClient, owned: Connection, person: Person, stack: LocalSupabase
) -> None:
    async with http:
        reply = (await begin(http, await new_conversation(http))).json()["message"]["id"]
        written_for_ever(owned, person)
        before = everything(owned, person)
        for keys in ({}, {"Authorization": f"Bearer {stack.publishable_key}"}):
            for name, arguments in SERVICE_FUNCTIONS.items():
                text = json.dumps(arguments).replace("{email}", person.email).replace("{reply}", reply)
                refused = await http.post(f"/rpc/{name}", json=json.loads(text), headers=keys)
                assert refused.status_code in (401, 403, 404), (name, refused.text)
            for name in INTERNAL:
                for profile in ({}, {"Content-Profile": "private"}):
                    refused = await http.post(f"/rpc/{name}", json={}, headers=profile | keys)
                    assert refused.status_code >= 400, (name, refused.text)
        assert everything(owned, person) == before


async def test_turns_begun_past_the_api_are_limited_alike(http: httpx.AsyncClient) -> None:
    async with http:
        conversation = await new_conversation(http)
        answers = [await begin(http, conversation, p_max_tokens=1) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        hint = json.loads(answers[3].json()["hint"])
        assert (hint["policy"], hint["limit"]) == ("requests", 3)
        # deleting what was sent gives nothing back
        await http.delete(f"/conversations?id=eq.{conversation}")
        assert (await begin(http, await new_conversation(http), p_max_tokens=1)).status_code == 429


@pytest.mark.parametrize("amount", [-1, -(2**31), 0, 2**31 - 1, -(2**63), 1e300, "1", "-1", None, [1]])
async def test_no_amount_makes_room(http: httpx.AsyncClient, owned: Connection, person: Person, amount: object) -> None:
    async with http:
        response = await begin(http, await new_conversation(http), p_max_tokens=amount)
    held = owned.execute(
        "select tokens, prompt_tokens, output_tokens from private.reservations where user_id = %s", [person.id]
    ).fetchall()
    assert (response.status_code == 200) == bool(held), response.text
    assert all(tokens >= 3 and prompt >= 2 and output >= 1 for tokens, prompt, output in held)


@pytest.mark.parametrize("kind", ["turn", "", "SEARCH", None, "search'; drop table private.meters --"])
async def test_kinds_that_are_none(http: httpx.AsyncClient, kind: str | None) -> None:
    async with http:
        assert (await http.post("/rpc/admit_request", json={"p_kind": kind})).status_code == 422


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        *(("admit_request", {"p_kind": kind}) for kind in ("search", "document", "moderation")),
        ("my_usage", {}),
        ("create_document", {"p_title": "x", "p_passages": Jsonb([{"content": "x"}]), "p_content_hash": "h"}),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
def test_token_that_names_no_user(db: Connection, function: str, arguments: dict[str, object]) -> None:
    with pytest.raises(psycopg.DatabaseError, match=r"^unauthenticated\n") as refused, acting(db, NOBODY):
        rpc(db, function, **arguments)
    assert refused.value.sqlstate == "PT401"


async def test_admitting_only_ever_charges(http: httpx.AsyncClient, owned: Connection, person: Person) -> None:
    async with http:
        statuses = [(await http.post("/rpc/admit_request", json={"p_kind": "search"})).status_code for _ in range(4)]
        assert statuses == [200, 200, 200, 429]
        extra = {"p_kind": "search", "p_cost": -10, "p_user_id": person.id}
        assert (await http.post("/rpc/admit_request", json=extra)).status_code == 404
    assert owned.execute("select count(*) from private.meters where user_id = %s", [person.id]).fetchone() == (1,)


async def test_usage_is_read_and_ones_own(http: httpx.AsyncClient) -> None:
    async with http:
        await begin(http, await new_conversation(http), p_max_tokens=100)
        usage = (await http.post("/rpc/my_usage", json={})).json()
        assert usage["held_tokens"] == 102
        assert usage["requests"]["remaining"] == 2
        assert (await http.post("/rpc/my_usage", json={"p_user_id": str(uuid4())})).status_code == 404
