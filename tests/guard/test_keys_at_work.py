"""Personal keys at work: what they open, whose limits hold, and what ends them, on every replica."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from app.api.key_owners import KEY_SECONDS
from app.personal_keys import make_key
from scripts.local_supabase import LocalSupabase
from tests.guard.plans import entitle, new_plan
from tests.support.callers import Connection, one
from tests.support.client import person_client, script
from tests.support.service import Api, Person, sign_up

pytestmark = pytest.mark.usefixtures("kept_settings")

PER_MINUTE = 120
CHANGES = {
    "banned": "update auth.users set banned_until = now() + interval '1 hour' where id = %s",
    "deleted": "delete from auth.users where id = %s",
    "expired": "update private.personal_keys set expires_at = now() where user_id = %s",
}


async def new_key(api: Api, person: Person) -> dict[str, str]:
    """A key of the person: `key` and `id`."""
    async with person_client(api, person) as client:
        created = await client.post("/v1/keys", json={"name": "notebook"})
        assert created.status_code == 201, created.text
        found: dict[str, str] = created.json()
        return found


def holding(api: Api, key: str, **headers: str) -> httpx.AsyncClient:
    """A client that holds this key and nothing else."""
    return httpx.AsyncClient(
        base_url=f"{api.url}/openai/v1", headers={"Authorization": f"Bearer {key}", **headers}, timeout=30
    )


async def complete(client: httpx.AsyncClient, **behaviour: Any) -> httpx.Response:
    messages = [{"role": "user", "content": script(**behaviour)}]
    return await client.post("/chat/completions", json={"model": "auto", "messages": messages, "max_tokens": 100})


def refusal(response: httpx.Response, status: int) -> dict[str, Any]:
    """The response is an error in OpenAI's shape; what is in it."""
    assert response.status_code == status, response.text
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


async def test_opens_completions_models_and_embeddings(
    replicas: tuple[Api, Api], person: Person, owned: Connection
) -> None:
    async with holding(replicas[0], (await new_key(replicas[0], person))["key"]) as client:
        answer = await complete(client, tokens=3)
        assert answer.status_code == 200, answer.text
        assert answer.json()["choices"][0]["message"]["content"] == "tok0 tok1 tok2 "
        listed = await client.get("/models")
        assert "auto" in [model["id"] for model in listed.json()["data"]]
        vectors = await client.post("/embeddings", json={"model": "local", "input": "a text"})
        assert vectors.status_code == 200, vectors.text
    # charged to its owner, and nothing else is theirs now
    charged = "select count(*) from private.usage_ledger where user_id = %s and kind = 'reply'"
    assert one(owned, charged, [person.id]) == 1
    assert one(owned, "select count(*) from public.messages where user_id = %s", [person.id]) == 0


async def test_last_use_is_listed(replicas: tuple[Api, Api], person: Person) -> None:
    async with person_client(replicas[0], person) as client:
        key = await new_key(replicas[0], person)
        assert [one["last_used_at"] for one in (await client.get("/v1/keys")).json()["items"]] == [None]
        async with holding(replicas[1], key["key"]) as holder:
            await holder.get("/models")
        assert [one["last_used_at"] is not None for one in (await client.get("/v1/keys")).json()["items"]] == [True]


async def test_log_names_the_owner_and_never_the_key(replicas: tuple[Api, Api], person: Person) -> None:
    key = (await new_key(replicas[0], person))["key"]
    async with holding(replicas[0], key) as client:
        await complete(client)
    log = replicas[0].log_text
    assert any("/openai/v1/chat/completions" in line and person.id in line for line in log.splitlines())
    assert key[7:] not in log


# ── the limits of its owner ──────────────────────────────────────────────────────────────────────────────────────


async def test_requests_of_a_minute_are_those_of_its_owner(
    replicas: tuple[Api, Api], person: Person, owned: Connection
) -> None:
    entitle(owned, person.id, new_plan(owned, requests_per_minute=2))
    keys = [(await new_key(replicas[0], person))["key"] for _ in range(2)]
    for key in keys:
        async with holding(replicas[0], key) as client:
            assert (await complete(client)).status_code == 200
    async with holding(replicas[1], keys[0]) as client:
        refused = await complete(client)
        assert refusal(refused, 429)["code"] == "rate_limit_exceeded"
        assert int(refused.headers["retry-after"]) > 0
    # the other way round too: the same meter as for turns
    async with person_client(replicas[0], person) as client:
        conversation = (await client.post("/v1/conversations")).json()["id"]
        sent = await client.post(f"/v1/conversations/{conversation}/messages", json={"content": "Hello"})
        assert sent.status_code == 429


async def test_budget_is_that_of_its_owner(replicas: tuple[Api, Api], person: Person, owned: Connection) -> None:
    entitle(owned, person.id, new_plan(owned, monthly_budget_micro_usd=0))
    async with holding(replicas[0], (await new_key(replicas[0], person))["key"]) as client:
        assert refusal(await complete(client), 429)["code"] == "insufficient_quota"


async def test_plan_is_that_of_its_owner(replicas: tuple[Api, Api], person: Person, owned: Connection) -> None:
    entitle(owned, person.id, new_plan(owned, premium=False))
    owned.execute("update private.settings set require_premium = true")
    async with holding(replicas[0], (await new_key(replicas[0], person))["key"]) as client:
        assert refusal(await complete(client), 403)["code"] == "premium_required"


# ── what ends it ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_revoked_on_one_replica_it_ends_on_all_within_ten_seconds(
    replicas: tuple[Api, Api], person: Person
) -> None:
    here, there = replicas
    key = await new_key(here, person)
    time = asyncio.get_running_loop().time
    async with holding(here, key["key"]) as client, holding(there, key["key"]) as elsewhere:
        # both remember it
        assert [(await one.get("/models")).status_code for one in (client, elsewhere)] == [200, 200]
        async with person_client(here, person) as owner:
            assert (await owner.delete(f"/v1/keys/{key['id']}")).status_code == 204
        assert "revoked" in refusal(await client.get("/models"), 401)["message"]
        deadline = time() + KEY_SECONDS
        while (answer := await elsewhere.get("/models")).status_code == 200:
            asked_at = time()
            await asyncio.sleep(0.2)
            assert asked_at < deadline
        assert refusal(answer, 401)["code"] == "invalid_api_key"


@pytest.mark.parametrize("change", CHANGES)
async def test_dies_with_its_time_and_its_owner(
    stack: LocalSupabase, replicas: tuple[Api, Api], owned: Connection, change: str
) -> None:
    person = await sign_up(stack)
    key = await new_key(replicas[0], person)
    owned.execute(CHANGES[change], [person.id])  # type: ignore[arg-type]
    async with holding(replicas[0], key["key"]) as client:
        error = refusal(await complete(client), 401)
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_api_key")
        assert error["message"] == "This personal key does not exist any more: it was revoked or has expired."


async def test_deleting_everything_ends_it(stack: LocalSupabase, replicas: tuple[Api, Api]) -> None:
    person = await sign_up(stack)
    key = await new_key(replicas[0], person)
    async with person_client(replicas[0], person) as client:
        erased = await client.request("DELETE", "/v1/me/data", json={"confirm": "delete everything of mine"})
        assert erased.status_code == 200
        assert (await client.get("/v1/keys")).json()["items"] == []
    async with holding(replicas[0], key["key"]) as client:
        refusal(await complete(client), 401)


# ── what is no key ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("sk-proj-AbCdEf", "This is neither a personal key nor an access token. Send a personal key"),
        ("sb_secret_AbCdEf", "This is neither a personal key nor an access token. Send a personal key"),
        ("parley_", "This is no complete personal key: it is cut off or mistyped. Copy it again."),
        (make_key().text[:-1], "This is no complete personal key: it is cut off or mistyped. Copy it again."),
        (make_key().text, "This personal key does not exist any more: it was revoked or has expired."),
        ("a.b.c", "The access token is malformed."),
    ],
    # the same names in every process: keys are random
    ids=("another service's", "the project's", "its beginning", "cut off", "unknown", "a token"),
)
async def test_what_is_no_key_is_told_what_it_is(replicas: tuple[Api, Api], sent: str, message: str) -> None:
    async with holding(replicas[0], sent) as client:
        refused = await client.get("/models")
    assert refusal(refused, 401)["message"].startswith(message)
    assert refused.headers["www-authenticate"] == "Bearer"


async def test_no_key_at_all(replicas: tuple[Api, Api]) -> None:
    async with httpx.AsyncClient(base_url=replicas[0].url) as client:
        refused = await client.get("/openai/v1/models")
    assert refusal(refused, 401)["message"].startswith("You did not send an API key.")


async def test_the_users_token_opens_it_too(replicas: tuple[Api, Api], person: Person) -> None:
    async with holding(replicas[0], person.token) as client:
        assert (await complete(client)).status_code == 200


async def test_guessed_keys_are_counted_by_address_and_valid_ones_pass(
    replicas: tuple[Api, Api], person: Person
) -> None:
    _, api = replicas
    address = {"X-Forwarded-For": "203.0.113.77"}
    key = (await new_key(api, person))["key"]
    statuses: list[int] = []
    async with holding(api, "", **address) as guesser:
        while not statuses or (statuses[-1] == 401 and len(statuses) < 2 * PER_MINUTE):
            refused = await guesser.get("/models", headers={"Authorization": f"Bearer {make_key().text}"})
            statuses.append(refused.status_code)
    assert statuses[-1] == 429
    # some come back while they are spent
    assert PER_MINUTE <= statuses.count(401) < 2 * PER_MINUTE
    assert refusal(refused, 429)["message"] == "Too many requests without a valid access token."
    async with holding(api, key, **address) as client:
        assert (await client.get("/models")).status_code == 200
