"""Conversations: create, read, rename, delete, and paging through them while more are made."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.client import assert_problem, new_conversation, person_client, turn
from tests.support.service import Api, sign_up

PATH = "/v1/conversations"


async def test_created_one_can_be_read(as_owner: httpx.AsyncClient) -> None:
    created = await as_owner.post(PATH, json={"title": "Ünïcode 😀", "model": "scripted-1"})
    assert created.status_code == 201
    conversation = created.json()
    assert created.headers["location"] == f"{PATH}/{conversation['id']}"
    row = ("head_id", "last_message_at", "preview", "message_count", "cost_micro_usd", "tokens")
    assert set(conversation) == {"id", "title", "model", "instructions", "created_at", "updated_at", *row}
    assert [conversation[name] for name in row] == [None, conversation["created_at"], None, 0, 0, 0]
    assert (conversation["title"], conversation["model"]) == ("Ünïcode 😀", "scripted-1")
    assert (await as_owner.get(f"{PATH}/{conversation['id']}")).json() == conversation


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"content": b""},
        {"content": b"", "headers": {"Content-Type": "text/plain"}},
        {"json": {}},
        {"json": {"title": None}},
    ],
)
async def test_nothing_need_be_said(as_owner: httpx.AsyncClient, body: dict[str, Any]) -> None:
    created = await as_owner.post(PATH, **body)
    assert created.status_code == 201
    assert (created.json()["title"], created.json()["model"]) == (None, None)


@pytest.mark.parametrize(
    "body", [{"title": ""}, {"title": " \n"}, {"title": "x" * 201}, {"title": 5}, {"model": ""}, {"model": "x" * 101}]
)
async def test_values_out_of_bounds(as_owner: httpx.AsyncClient, body: dict[str, Any]) -> None:
    field = next(iter(body))
    assert assert_problem(await as_owner.post(PATH, json=body), 422, "invalid_request")["detail"].startswith(field)
    conversation = await new_conversation(as_owner)
    refused = await as_owner.patch(f"{PATH}/{conversation}", json=body)
    assert assert_problem(refused, 422, "invalid_request")["detail"].startswith(field)


@pytest.mark.parametrize("title", ["x", "x" * 200, "😀" * 200, "'; drop table messages; --", "<b>", "a\r\nb"])
async def test_titles_come_back_as_they_were(as_owner: httpx.AsyncClient, title: str) -> None:
    conversation = await new_conversation(as_owner, title=title)
    assert (await as_owner.get(f"{PATH}/{conversation}")).json()["title"] == title


async def test_title_with_a_nul(as_owner: httpx.AsyncClient) -> None:
    """Postgres cannot store it; that is the caller's mistake and not an outage."""
    refused = await as_owner.post(PATH, json={"title": "a\0"})
    assert assert_problem(refused, 422, "invalid_request")["detail"].startswith("title: contains a NUL character")


@pytest.mark.parametrize("field", ["id", "user_id", "position", "created_at", "status"])
async def test_fields_that_are_not_the_callers(as_owner: httpx.AsyncClient, field: str) -> None:
    refused = await as_owner.post(PATH, json={field: "00000000-0000-0000-0000-000000000000"})
    assert assert_problem(refused, 422, "invalid_request")["detail"].startswith(f"{field}: no such field")


async def test_rename(as_owner: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_owner, title="Old", model="scripted-1")
    renamed = (await as_owner.patch(f"{PATH}/{conversation}", json={"title": "New"})).json()
    assert (renamed["title"], renamed["model"]) == ("New", "scripted-1")
    assert renamed["updated_at"] > renamed["created_at"]
    cleared = (await as_owner.patch(f"{PATH}/{conversation}", json={"model": None})).json()
    assert (cleared["title"], cleared["model"]) == ("New", None)
    assert (await as_owner.get(f"{PATH}/{conversation}")).json() == cleared


async def test_rename_to_nothing(as_owner: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_owner)
    assert_problem(await as_owner.patch(f"{PATH}/{conversation}", json={}), 422, "invalid_request")


async def test_deleted_one_is_gone_with_its_messages(as_owner: httpx.AsyncClient) -> None:
    conversation = await new_conversation(as_owner)
    reply = await turn(as_owner, conversation)
    deleted = await as_owner.delete(f"{PATH}/{conversation}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    for path in (f"{PATH}/{conversation}", f"{PATH}/{conversation}/messages", f"/v1/messages/{reply['id']}"):
        assert_problem(await as_owner.get(path), 404, "not_found")
    assert_problem(await as_owner.get(f"/v1/messages/{reply['id']}/stream"), 404, "not_found")
    assert_problem(await as_owner.delete(f"{PATH}/{conversation}"), 404, "not_found")
    refused = await as_owner.post(f"{PATH}/{conversation}/messages", json={"content": "Hello"})
    assert_problem(refused, 404, "not_found")


async def page(client: httpx.AsyncClient, **params: Any) -> tuple[list[str], str | None]:
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    body = response.json()
    assert set(body) == {"items", "next_cursor"}
    return [item["id"] for item in body["items"]], body["next_cursor"]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 100])
async def test_pages_hold_each_once_newest_first(api: Api, stack: LocalSupabase, limit: int) -> None:
    async with person_client(api, await sign_up(stack)) as client:
        made = [await new_conversation(client) for _ in range(7)]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            ids, cursor = await page(client, limit=limit, **({"cursor": cursor} if cursor else {}))
            assert len(ids) == limit or cursor is None
            seen += ids
            assert len(seen) <= len(made)
            if cursor is None:
                break
        assert seen == made[::-1]


async def test_nothing_is_lost_or_repeated_while_more_are_made_and_renamed(api: Api, stack: LocalSupabase) -> None:
    async with person_client(api, await sign_up(stack)) as client:
        made = [await new_conversation(client) for _ in range(6)]
        seen, cursor = await page(client, limit=2)
        while cursor is not None:
            await new_conversation(client)  # ahead of everything: no page moves
            await client.patch(f"{PATH}/{made[0]}", json={"title": "Changed"})
            ids, cursor = await page(client, limit=2, cursor=cursor)
            seen += ids
            assert len(seen) <= len(made)
        assert seen == made[::-1]


async def test_first_page_of_nobody_special(api: Api, stack: LocalSupabase) -> None:
    async with person_client(api, await sign_up(stack)) as client:
        assert await page(client) == ([], None)


async def test_page_is_of_fifty_unless_said_otherwise(api: Api, stack: LocalSupabase) -> None:
    async with person_client(api, await sign_up(stack)) as client:
        await asyncio.gather(*(new_conversation(client) for _ in range(51)))
        ids, cursor = await page(client)
        assert (len(ids), cursor is None) == (50, False)
        assert len((await page(client, cursor=cursor))[0]) == 1


@pytest.mark.parametrize("limit", ["0", "-1", "101", "x", "1.5", ""])
async def test_limit_out_of_bounds(as_owner: httpx.AsyncClient, limit: str) -> None:
    for path in (PATH, f"{PATH}/{await new_conversation(as_owner)}/messages"):
        refused = await as_owner.get(path, params={"limit": limit})
        detail = assert_problem(refused, 422, "invalid_request")["detail"]
        assert detail == "limit: expected a whole number from 1 to 100."


def cursor_of(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "a",
        "no such thing",
        "é",
        "NA==x",
        *map(cursor_of, ("x", "-1", "1.5", " 1", "1_0", str(2**63), "9" * 5000)),
    ],
)
async def test_cursor_that_is_none_of_ours(as_owner: httpx.AsyncClient, cursor: str) -> None:
    for path in (PATH, f"{PATH}/{await new_conversation(as_owner)}/messages"):
        refused = await as_owner.get(path, params={"cursor": cursor})
        assert assert_problem(refused, 422, "invalid_request")["detail"].startswith("cursor: not the next_cursor")


async def test_strangers_cursor_leads_to_ones_own(api: Api, stack: LocalSupabase, as_owner: httpx.AsyncClient) -> None:
    """A cursor is a place, not a permission."""
    for _ in range(2):
        await new_conversation(as_owner)
    _, cursor = await page(as_owner, limit=1)
    async with person_client(api, await sign_up(stack)) as client:
        assert await page(client, cursor=cursor) == ([], None)
