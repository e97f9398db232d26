"""The list of conversations: by last activity, with what its rows tell of their messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.client import new_conversation, person_client, reading, script, turn
from tests.support.service import Api, sign_up

PATH = "/v1/conversations"


@pytest.fixture
async def client(api: Api, stack: LocalSupabase) -> AsyncIterator[httpx.AsyncClient]:
    """Of somebody who has no conversation yet."""
    async with person_client(api, await sign_up(stack)) as opened:
        yield opened


async def listed(client: httpx.AsyncClient, **params: Any) -> list[dict[str, Any]]:
    response = await client.get(PATH, params=params)
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


async def test_latest_activity_first(client: httpx.AsyncClient) -> None:
    first, second, third = [await new_conversation(client) for _ in range(3)]
    assert [item["id"] for item in await listed(client)] == [third, second, first]
    await turn(client, first)
    await turn(client, third)
    await client.patch(f"{PATH}/{second}", json={"title": "No activity"})
    assert [item["id"] for item in await listed(client)] == [third, first, second]


async def test_row_tells_of_the_messages(client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client, title="A title")
    long = "é" * 150 + "😀" * 150
    async with reading(
        client, "POST", f"{PATH}/{conversation}/messages", json={"content": script(pieces=[long], stepped=True)}
    ) as reader:
        await reader.until("message.started")
        [during] = await listed(client)
        reply = reader.transcript.events[0].data["message_id"]
        asked = (await client.get(f"/v1/messages/{reply}")).json()
        assert (during["preview"], during["message_count"]) == (script(pieces=[long], stepped=True)[:200], 2)
        await client.post(f"/v1/messages/{reply}/stop")
    finished = await turn(client, conversation, script(pieces=[long]))
    [item] = await listed(client)
    assert item | {"instructions": None} == (await client.get(f"{PATH}/{conversation}")).json()
    row = {name: item[name] for name in ("title", "head_id", "preview", "message_count", "last_message_at")}
    assert row == {
        "title": "A title",
        "head_id": finished["id"],
        "preview": long[:200],
        "message_count": 4,
        "last_message_at": finished["created_at"],
    }
    assert during["last_message_at"] == asked["created_at"]


async def test_reply_without_text_leaves_the_question(client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client)
    await turn(client, conversation, script(status=400))
    [item] = await listed(client)
    assert (item["preview"], item["message_count"]) == (script(status=400), 2)


async def test_hidden_branch_that_ends_is_no_preview(client: httpx.AsyncClient) -> None:
    conversation = await new_conversation(client)
    first = await turn(client, conversation, script(pieces=["first"]))
    async with reading(
        client, "POST", f"{PATH}/{conversation}/messages", json={"content": script(tokens=10_000, gap=0.01)}
    ) as reader:
        await reader.until("delta")
        reply = reader.transcript.events[0].data["message_id"]
        await turn(client, conversation, script(pieces=["beside"]), parent_id=first["id"])
        await client.post(f"/v1/messages/{reply}/stop")
        await reader.to_end()
    [item] = await listed(client)
    assert (item["preview"], item["message_count"]) == ("beside", 6)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages_hold_each_once(client: httpx.AsyncClient, limit: int) -> None:
    made = [await new_conversation(client) for _ in range(5)]
    for conversation in made[1::2]:
        await turn(client, conversation)
    expected = [made[3], made[1], made[4], made[2], made[0]]
    assert [item["id"] for item in await listed(client)] == expected
    seen: list[str] = []
    params: dict[str, Any] = {"limit": limit}
    while True:
        page = (await client.get(PATH, params=params)).json()
        seen += [item["id"] for item in page["items"]]
        assert len(seen) <= 5
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
        if len(seen) == 1:
            # what was read before moves to the top, and moves nothing else
            await turn(client, seen[0])
    assert seen == expected
