"""Branches: edits, new beginnings, switching between them, and reading the one that is shown from either end."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from tests.support.client import assert_problem, history, new_conversation, reading, script, turn
from tests.support.replica_client import eventually
from tests.support.upstream import Upstream


@pytest.fixture
async def conversation(as_owner: httpx.AsyncClient) -> str:
    return await new_conversation(as_owner)


async def read(client: httpx.AsyncClient, conversation: str) -> dict[str, Any]:
    response = await client.get(f"/v1/conversations/{conversation}")
    assert response.status_code == 200
    found: dict[str, Any] = response.json()
    return found


async def switch(client: httpx.AsyncClient, conversation: str, message: str) -> dict[str, Any]:
    response = await client.patch(f"/v1/conversations/{conversation}", json={"head_id": message})
    assert response.status_code == 200, response.text
    changed: dict[str, Any] = response.json()
    return changed


async def shown(client: httpx.AsyncClient, conversation: str) -> list[str]:
    """The texts of the users' messages on the branch."""
    return [message["content"] for message in await history(client, conversation) if message["role"] == "user"]


async def contents_sent(upstream: Upstream, marker: str) -> list[str]:
    [call] = upstream.calls_of(marker)
    return [message["content"] for message in call.body["messages"]]


# ── what begins a branch ─────────────────────────────────────────────────────────────────────────────────────────


async def test_message_follows_the_head(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, "one")
    second = await turn(as_owner, conversation, "two")
    one, reply, two, last = await history(as_owner, conversation)
    assert [one["parent_id"], reply["parent_id"], two["parent_id"], last["parent_id"]] == [
        None,
        one["id"],
        first["id"],
        two["id"],
    ]
    assert (await read(as_owner, conversation))["head_id"] == second["id"] == last["id"]
    assert {message["siblings"] for message in (one, reply, two, last)} == {None}


async def test_edit_is_a_sibling_and_is_shown(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    first = await turn(as_owner, conversation, "one")
    old = await turn(as_owner, conversation, "two")
    marker = uuid.uuid4().hex
    edited = await turn(as_owner, conversation, script(id=marker), parent_id=first["id"])
    asked = (await history(as_owner, conversation))[2]
    assert (asked["parent_id"], edited["parent_id"]) == (first["id"], asked["id"])
    assert asked["siblings"] == {"index": 2, "count": 2, "previous_id": old["parent_id"], "next_id": None}
    before = (await as_owner.get(f"/v1/messages/{old['parent_id']}")).json()
    assert before["siblings"] == {"index": 1, "count": 2, "previous_id": None, "next_id": asked["id"]}
    assert await contents_sent(upstream, marker) == ["one", first["content"], script(id=marker)]


async def test_null_is_a_new_beginning(as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream) -> None:
    await turn(as_owner, conversation, "one")
    marker = uuid.uuid4().hex
    await turn(as_owner, conversation, script(id=marker), parent_id=None)
    asked, _ = await history(as_owner, conversation)
    assert (asked["parent_id"], asked["siblings"]["index"], asked["siblings"]["count"]) == (None, 2, 2)
    assert await contents_sent(upstream, marker) == [script(id=marker)]


async def test_regenerated_reply_is_a_sibling(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, "one")
    await turn(as_owner, conversation, "two")
    again = await as_owner.post(f"/v1/messages/{first['id']}/regenerate", headers={"Prefer": "wait"})
    asked, reply = await history(as_owner, conversation)
    assert (reply["id"], reply["siblings"]["index"], reply["siblings"]["previous_id"]) == (
        again.json()["id"],
        2,
        first["id"],
    )
    # what followed the old reply follows it still
    await switch(as_owner, conversation, first["id"])
    assert await shown(as_owner, conversation) == ["one", "two"]
    assert (await history(as_owner, conversation))[0]["id"] == asked["id"]


async def test_only_of_a_conversation_is_nobodys_sibling(as_owner: httpx.AsyncClient, conversation: str) -> None:
    """Beginnings of other conversations follow none either."""
    await turn(as_owner, await new_conversation(as_owner), "elsewhere")
    await turn(as_owner, conversation, "one")
    assert (await history(as_owner, conversation))[0]["siblings"] is None


async def test_parent_that_cannot_be_followed(
    as_owner: httpx.AsyncClient, as_stranger: httpx.AsyncClient, conversation: str
) -> None:
    path = f"/v1/conversations/{conversation}/messages"
    reply = await turn(as_owner, conversation, "one")
    elsewhere = await turn(as_owner, await new_conversation(as_owner), "elsewhere")
    strangers = await turn(as_stranger, await new_conversation(as_stranger), "theirs")
    missing = "parent_id: no such message in this conversation."
    for parent, said in (
        (reply["parent_id"], "parent_id: expected a reply, got a user message that has one; "),
        (elsewhere["id"], missing),
        (strangers["id"], missing),
        (str(uuid.uuid4()), missing),
        ("x", "parent_id: expected a UUID, or null, got text."),
        (5, "parent_id: expected a UUID, or null, got 5."),
    ):
        refused = await as_owner.post(path, json={"content": "next", "parent_id": parent})
        assert assert_problem(refused, 422, "invalid_request")["detail"].startswith(said), parent
    # nothing was stored, and nothing charged to the head
    assert (await read(as_owner, conversation))["message_count"] == 2
    assert (await turn(as_owner, conversation, "next"))["status"] == "complete"


async def test_two_devices_at_once(as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream) -> None:
    """Both continue what both of them show: two branches, the later one shown, and each asks with its own history."""
    first = await turn(as_owner, conversation, "one")
    markers = [uuid.uuid4().hex for _ in range(2)]
    replies = await asyncio.gather(
        *(turn(as_owner, conversation, script(id=marker), parent_id=first["id"]) for marker in markers)
    )
    [*_, asked, reply] = await history(as_owner, conversation)
    assert (asked["siblings"]["index"], asked["siblings"]["count"]) == (2, 2)
    assert (await read(as_owner, conversation))["message_count"] == 6
    [other] = [each for each in replies if each["id"] != reply["id"]]
    await switch(as_owner, conversation, other["id"])
    assert (await history(as_owner, conversation))[-1]["id"] == other["id"]
    for marker in markers:
        assert await contents_sent(upstream, marker) == ["one", first["content"], script(id=marker)]


# ── switching ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_switch_leads_to_the_end_of_the_branch(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    first = await turn(as_owner, conversation, "one")
    second = await turn(as_owner, conversation, "two")
    third = await turn(as_owner, conversation, "three")
    await turn(as_owner, conversation, "other two", parent_id=first["id"])
    changed = await switch(as_owner, conversation, second["parent_id"])
    assert (changed["head_id"], changed["preview"]) == (third["id"], third["content"])
    assert await shown(as_owner, conversation) == ["one", "two", "three"]
    marker = uuid.uuid4().hex
    await turn(as_owner, conversation, script(id=marker))
    assert (await contents_sent(upstream, marker))[::2] == ["one", "two", "three", script(id=marker)]


async def test_message_that_is_shown_changes_nothing(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, "one")
    await turn(as_owner, conversation, "two")
    other = await turn(as_owner, conversation, "other two", parent_id=first["id"])
    await turn(as_owner, conversation, "third two", parent_id=first["id"])
    await switch(as_owner, conversation, other["id"])
    for message in (first["id"], first["parent_id"], other["id"]):
        assert (await switch(as_owner, conversation, message))["head_id"] == other["id"]


async def test_title_and_branch_at_once(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, "one")
    await turn(as_owner, conversation, "anew", parent_id=None)
    changed = await as_owner.patch(f"/v1/conversations/{conversation}", json={"head_id": first["id"], "title": "Both"})
    assert (changed.json()["head_id"], changed.json()["title"]) == (first["id"], "Both")


async def test_branch_is_not_switched_by_what_is_refused(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, "one")
    await turn(as_owner, conversation, "edited", parent_id=None)
    for change in ({"instructions": " "}, {"title": " "}):
        body = {"head_id": first["id"], **change}
        assert_problem(await as_owner.patch(f"/v1/conversations/{conversation}", json=body), 422, "invalid_request")
    assert await shown(as_owner, conversation) == ["edited"]


async def test_head_that_is_none(as_owner: httpx.AsyncClient, conversation: str) -> None:
    reply = await turn(as_owner, conversation, "one")
    elsewhere = await turn(as_owner, await new_conversation(as_owner), "elsewhere")
    path = f"/v1/conversations/{conversation}"
    missing = "head_id: no such message in this conversation."
    for head, said in (
        (elsewhere["id"], missing),
        (str(uuid.uuid4()), missing),
        ("x", "head_id: expected a UUID, got text."),
        (None, "head_id: expected a UUID, got null."),
    ):
        refused = await as_owner.patch(path, json={"head_id": head, "title": "Not taken"})
        assert assert_problem(refused, 422, "invalid_request")["detail"] == said
    after = await read(as_owner, conversation)
    assert (after["head_id"], after["title"]) == (reply["id"], None)


# ── reading a branch ─────────────────────────────────────────────────────────────────────────────────────────────


async def pages(client: httpx.AsyncClient, conversation: str, **params: Any) -> list[str]:
    """The ids of all pages, one after the other."""
    seen: list[str] = []
    while True:
        response = await client.get(f"/v1/conversations/{conversation}/messages", params=params)
        assert response.status_code == 200, response.text
        body = response.json()
        seen += [message["id"] for message in body["items"]]
        assert len(seen) <= 100
        if body["next_cursor"] is None:
            return seen
        params["cursor"] = body["next_cursor"]


@pytest.mark.parametrize("limit", [1, 2, 3, 6, 100])
async def test_both_orders_and_both_ways(as_owner: httpx.AsyncClient, conversation: str, limit: int) -> None:
    for number in range(3):
        await turn(as_owner, conversation, f"Message {number}")
    whole = [message["id"] for message in await history(as_owner, conversation)]
    assert len(whole) == 6
    assert await pages(as_owner, conversation, limit=limit) == whole
    assert await pages(as_owner, conversation, limit=limit, order="asc") == whole
    assert await pages(as_owner, conversation, limit=limit, order="desc") == whole[::-1]
    assert await pages(as_owner, conversation, limit=limit, order="desc", before=whole[4]) == whole[3::-1]
    assert await pages(as_owner, conversation, limit=limit, order="asc", after=whole[1]) == whole[2:]
    between = {"after": whole[0], "before": whole[4], "limit": limit}
    assert await pages(as_owner, conversation, order="asc", **between) == whole[1:4]
    assert await pages(as_owner, conversation, order="desc", **between) == whole[3:0:-1]


async def test_nearest_page_in_either_order(as_owner: httpx.AsyncClient, conversation: str) -> None:
    for number in range(3):
        await turn(as_owner, conversation, f"Message {number}")
    path = f"/v1/conversations/{conversation}/messages"
    whole = [message["id"] for message in await history(as_owner, conversation)]

    async def page(**params: Any) -> list[str]:
        return [message["id"] for message in (await as_owner.get(path, params=params)).json()["items"]]

    assert await page(before=whole[4], limit=2) == whole[2:4]
    assert await page(before=whole[4], limit=2, order="desc") == [whole[3], whole[2]]
    assert await page(after=whole[1], limit=2) == whole[2:4]
    assert await page(after=whole[1], limit=2, order="desc") == [whole[3], whole[2]]
    # a cursor goes on from its page, wherever it is sent
    newest = (await as_owner.get(path, params={"order": "desc", "limit": 2})).json()
    for name in ("before", "after", "cursor"):
        assert await page(**{name: newest["next_cursor"]}, order="desc", limit=2) == [whole[3], whole[2]]
    oldest = (await as_owner.get(path, params={"limit": 2})).json()
    for name in ("before", "after", "cursor"):
        assert await page(**{name: oldest["next_cursor"]}, limit=2) == whole[2:4]


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_between_a_hidden_message_and_a_shown_one(
    as_owner: httpx.AsyncClient, conversation: str, limit: int
) -> None:
    """What leads to `before` is the same in both orders, whichever branch it is on."""
    first = await turn(as_owner, conversation, "one")
    for number in range(2):
        await turn(as_owner, conversation, f"hidden {number}")
    hidden = [message["id"] for message in await history(as_owner, conversation)]
    await turn(as_owner, conversation, "shown 0", parent_id=first["id"])
    await turn(as_owner, conversation, "shown 1")
    shown = [message["id"] for message in await history(as_owner, conversation)]
    assert shown[:2] == hidden[:2]
    for before, after, between in (
        (hidden[5], shown[0], hidden[1:5]),
        (hidden[5], hidden[2], hidden[3:5]),
        (hidden[5], shown[5], []),
        (shown[5], hidden[1], shown[2:5]),
        # all of the other branch was written before it
        (shown[5], hidden[5], shown[2:5]),
    ):
        bounds = {"before": before, "after": after, "limit": limit}
        assert await pages(as_owner, conversation, order="asc", **bounds) == between
        assert await pages(as_owner, conversation, order="desc", **bounds) == between[::-1]


@pytest.mark.parametrize("name", ["before", "after"])
@pytest.mark.parametrize("value", ["", "x", "!", "é", str(uuid.UUID(int=0))[:-1]])
async def test_place_that_is_none(as_owner: httpx.AsyncClient, conversation: str, name: str, value: str) -> None:
    path = f"/v1/conversations/{conversation}/messages"
    refused = await as_owner.get(path, params={name: value})
    said = f"{name}: expected the id of a message, or the next_cursor of a page."
    assert assert_problem(refused, 422, "invalid_request")["detail"] == said
    unknown = await as_owner.get(path, params={name: str(uuid.uuid4())})
    said = f"{name}: no such message in this conversation."
    assert assert_problem(unknown, 422, "invalid_request")["detail"] == said


async def test_order_that_is_none(as_owner: httpx.AsyncClient, conversation: str) -> None:
    refused = await as_owner.get(f"/v1/conversations/{conversation}/messages", params={"order": "newest"})
    assert assert_problem(refused, 422, "invalid_request")["detail"].startswith("order: expected one of `asc`, `desc`")


async def test_reader_of_older_messages_goes_on_after_a_switch(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, "one")
    second = await turn(as_owner, conversation, "two")
    path = f"/v1/conversations/{conversation}/messages"
    newest = (await as_owner.get(path, params={"order": "desc", "limit": 1})).json()
    await turn(as_owner, conversation, "anew", parent_id=None)
    older = (await as_owner.get(path, params={"order": "desc", "cursor": newest["next_cursor"]})).json()
    assert [message["id"] for message in older["items"]] == [second["parent_id"], first["id"], first["parent_id"]]


# ── deleting ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_deleted_with_what_follows(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, "one")
    second = await turn(as_owner, conversation, "two")
    other = await turn(as_owner, conversation, "other two", parent_id=first["id"])
    gone = await as_owner.delete(f"/v1/messages/{first['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    for message in (first, second, other):
        assert_problem(await as_owner.get(f"/v1/messages/{message['id']}"), 404, "not_found")
    [left] = await history(as_owner, conversation)
    assert left["id"] == first["parent_id"]
    row = await read(as_owner, conversation)
    assert (row["head_id"], row["preview"], row["message_count"]) == (left["id"], "one", 1)
    # it can be answered again, or followed
    assert (await turn(as_owner, conversation, "and then"))["status"] == "complete"
    assert await shown(as_owner, conversation) == ["one", "and then"]


async def test_sibling_is_shown_instead(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, "one")
    second = await turn(as_owner, conversation, "two")
    middle = await turn(as_owner, conversation, "middle two", parent_id=first["id"])
    last = await turn(as_owner, conversation, "last two", parent_id=first["id"])
    await switch(as_owner, conversation, middle["id"])
    await as_owner.delete(f"/v1/messages/{middle['parent_id']}")
    assert (await read(as_owner, conversation))["head_id"] == second["id"]
    await as_owner.delete(f"/v1/messages/{second['parent_id']}")
    assert (await read(as_owner, conversation))["head_id"] == last["id"]
    assert (await history(as_owner, conversation))[2]["siblings"] is None


async def test_hidden_branch_goes_without_moving_the_shown_one(as_owner: httpx.AsyncClient, conversation: str) -> None:
    hidden = await turn(as_owner, conversation, "one")
    head = await turn(as_owner, conversation, "anew", parent_id=None)
    await as_owner.delete(f"/v1/messages/{hidden['parent_id']}")
    row = await read(as_owner, conversation)
    assert (row["head_id"], row["message_count"]) == (head["id"], 2)


async def test_all_of_it(as_owner: httpx.AsyncClient, conversation: str) -> None:
    reply = await turn(as_owner, conversation, "one")
    await as_owner.delete(f"/v1/messages/{reply['parent_id']}")
    row = await read(as_owner, conversation)
    assert (row["head_id"], row["preview"], row["message_count"]) == (None, None, 0)
    assert await history(as_owner, conversation) == []
    assert (await turn(as_owner, conversation, "anew"))["status"] == "complete"


async def test_reply_that_is_being_written_ends(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    body = {"content": script(id="deleted-while-written", tokens=10_000, gap=0.05)}
    async with reading(as_owner, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
        await reader.until("delta")
        reply = reader.transcript.events[0].data["message_id"]
        assert (await as_owner.delete(f"/v1/messages/{reply}")).status_code == 204
        transcript = await reader.to_end()
    assert transcript.ending is not None
    assert transcript.ending.name == "error"
    assert_problem(await as_owner.get(f"/v1/messages/{reply}"), 404, "not_found")
    [call] = upstream.calls_of("deleted-while-written")
    await eventually(lambda: call.cancelled, within=30)
