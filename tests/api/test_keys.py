"""Personal keys over the API: made, listed and revoked by their owner; what they never open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest

from app.personal_keys import is_whole, make_key
from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection
from tests.support.client import assert_problem, person_client
from tests.support.service import Api, Person, sign_up

MISSING = "0198c6f2-7a10-7c44-9d1e-6b0f3a2c5d77"


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    """A new user, who has no keys yet."""
    return await sign_up(stack)


async def create(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    response = await client.post("/v1/keys", json={"name": "notebook", **body})
    assert response.status_code == 201, response.text
    created: dict[str, Any] = response.json()
    return created


async def listed(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    response = await client.get("/v1/keys")
    assert response.status_code == 200, response.text
    assert response.json()["next_cursor"] is None
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_shown_once_and_listed_without_the_key(api: Api, person: Person) -> None:
    async with person_client(api, person) as client:
        response = await client.post("/v1/keys", json={"name": "notebook 📓"})
        assert response.headers["cache-control"] == "no-store"
        created = response.json()
        key = created.pop("key")
        assert is_whole(key)
        assert created["hint"] == key[:11]
        assert (created["name"], created["scope"]) == ("notebook 📓", "completions")
        assert (created["expires_at"], created["last_used_at"]) == (None, None)
        assert await listed(client) == [created]


async def test_newest_first(api: Api, person: Person) -> None:
    async with person_client(api, person) as client:
        for name in ("one", "two", "three"):
            await create(client, name=name)
        assert [key["name"] for key in await listed(client)] == ["three", "two", "one"]


async def test_only_its_hash_is_stored_and_nothing_of_it_logged(api: Api, person: Person, owned: Connection) -> None:
    async with person_client(api, person) as client:
        created = await create(client)
    dumped = owned.execute("select to_jsonb(k)::text from private.personal_keys as k where id = %s", [created["id"]])
    (row,) = dumped.fetchone() or ("",)
    assert created["key"][11:] not in row
    assert created["key"][11:] not in api.log_text


async def test_expires_when_it_is_told_to(api: Api, person: Person) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    async with person_client(api, person) as client:
        await create(client, expires_at=end.isoformat())
        (key,) = await listed(client)
    assert datetime.fromisoformat(key["expires_at"]) == end


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({}, "name: missing; expected text of 1 to 100 characters."),
        ({"name": ""}, "name: expected text of 1 to 100 characters, got 0 characters."),
        ({"name": " \t"}, "name: expected text, got only blanks."),
        ({"name": "x" * 101}, "name: expected text of 1 to 100 characters, got 101 characters."),
        (
            {"name": "x", "expires_at": "tomorrow"},
            "expires_at: expected a time with its zone, such as 2027-01-31T18:00:00Z, or null, got text.",
        ),
        (
            {"name": "x", "expires_at": "2027-01-31T18:00:00"},
            "expires_at: expected a time with its zone, such as 2027-01-31T18:00:00Z, or null, got text.",
        ),
        (
            {"name": "x", "expires_at": "2020-01-31T18:00:00Z"},
            "expires_at: expected a time within the next 366 days; leave it out for a key without an end.",
        ),
        (
            {"name": "x", "expires_at": "9999-12-31T23:59:59Z"},
            "expires_at: expected a time within the next 366 days; leave it out for a key without an end.",
        ),
        (
            {"name": "x", "expires_at": "9999-12-31T23:59:59-20:00"},
            "expires_at: expected a time within the next 366 days; leave it out for a key without an end.",
        ),
        ({"name": "x", "scope": "everything"}, "scope: no such field; the fields are expires_at, name."),
    ],
)
async def test_refused(as_stranger: httpx.AsyncClient, body: dict[str, Any], detail: str) -> None:
    before = await listed(as_stranger)
    refused = await as_stranger.post("/v1/keys", json=body)
    assert assert_problem(refused, 422, "invalid_request")["detail"] == detail
    assert await listed(as_stranger) == before


async def test_end_may_be_told_in_any_zone(api: Api, person: Person) -> None:
    """Postgres takes none beyond 16 hours."""
    until = (datetime.now(UTC) + timedelta(days=30)).replace(microsecond=0)
    far = until.astimezone(timezone(timedelta(hours=23)))
    async with person_client(api, person) as client:
        created = await create(client, expires_at=far.isoformat())
    assert created["expires_at"] == until.isoformat()


async def test_a_user_has_twenty_at_most(api: Api, person: Person) -> None:
    async with person_client(api, person) as client:
        keys = [await create(client, name=str(number)) for number in range(20)]
        refused = await client.post("/v1/keys", json={"name": "one more"})
        assert "at most 20 keys" in assert_problem(refused, 403, "limit_reached")["detail"]
        assert (await client.delete(f"/v1/keys/{keys[3]['id']}")).status_code == 204
        await create(client)
        assert len(await listed(client)) == 20


async def test_revoked_for_good(api: Api, person: Person) -> None:
    async with person_client(api, person) as client:
        gone, kept = await create(client), await create(client)
        assert (await client.delete(f"/v1/keys/{gone['id']}")).status_code == 204
        assert_problem(await client.delete(f"/v1/keys/{gone['id']}"), 404, "not_found")
        assert [key["id"] for key in await listed(client)] == [kept["id"]]


async def test_strangers_neither_see_nor_revoke_them(
    api: Api, person: Person, as_stranger: httpx.AsyncClient, anonymous: httpx.AsyncClient
) -> None:
    async with person_client(api, person) as client:
        created = await create(client)
        assert_problem(await as_stranger.delete(f"/v1/keys/{created['id']}"), 404, "not_found")
        assert created["id"] not in [key["id"] for key in await listed(as_stranger)]
        for refused in (
            await anonymous.get("/v1/keys"),
            await anonymous.post("/v1/keys", json={"name": "x"}),
            await anonymous.delete(f"/v1/keys/{created['id']}"),
        ):
            assert_problem(refused, 401, "unauthenticated")
        assert len(await listed(client)) == 1


async def test_missing(as_owner: httpx.AsyncClient) -> None:
    assert_problem(await as_owner.delete(f"/v1/keys/{MISSING}"), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/conversations"),
        ("POST", "/v1/conversations"),
        ("GET", "/v1/usage"),
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("GET", "/v1/export"),
        ("DELETE", "/v1/me/data"),
        ("POST", "/v1/search"),
    ],
)
async def test_a_key_opens_nothing_of_the_rest(api: Api, person: Person, method: str, path: str) -> None:
    """A key that is valid, and one that nobody has: the answer is the same, and says what keys are for."""
    async with person_client(api, person) as client:
        key = (await create(client))["key"]
    for sent in (key, make_key().text):
        async with httpx.AsyncClient(base_url=api.url, headers={"Authorization": f"Bearer {sent}"}) as client:
            problem = assert_problem(await client.request(method, path, json={}), 401, "unauthenticated")
        assert problem["detail"] == (
            "This is a personal key, which opens /openai/v1 only; send the user's Supabase access token here."
        )


@pytest.mark.parametrize("header", ["apikey", "authorization"])
async def test_a_key_opens_nothing_of_the_data_api(api: Api, person: Person, stack: LocalSupabase, header: str) -> None:
    async with person_client(api, person) as client:
        key = (await create(client))["key"]
    sent = {"apikey": stack.publishable_key, "authorization": f"Bearer {key}"}
    if header == "apikey":
        sent = {"apikey": key}
    async with httpx.AsyncClient(base_url=stack.url, headers=sent) as client:
        for path in ("conversations", "rpc/my_keys"):
            assert (await client.get(f"/rest/v1/{path}")).status_code == 401


async def test_keys_of_the_project_are_nobodys_token(stack: LocalSupabase, anonymous: httpx.AsyncClient) -> None:
    for key in ("sb_publishable_AbCdEf", "sb_secret_AbCdEf"):
        refused = await anonymous.get("/v1/usage", headers={"Authorization": f"Bearer {key}"})
        problem = assert_problem(refused, 401, "unauthenticated")
        assert problem["detail"] == "This is a key of the Supabase project; send a user's access token."
