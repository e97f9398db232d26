"""Two devices of one user, one on the event stream and one on Realtime alone, end up showing the same."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest

from scripts.local_supabase import LocalSupabase
from tests.realtime.conftest import NewClient
from tests.realtime.javascript_client import script
from tests.realtime.people import Connection
from tests.support.device import Device, running
from tests.support.proxy import Proxy
from tests.support.replica_client import Client, Transcript, eventually, read, tokens
from tests.support.service import Api

JOINS = ("before", "during", "after")
DROPS = ("nothing", "stream", "realtime", "both")
STATUS = {"nobody": "complete", "same replica": "stopped", "other replica": "stopped"}


async def play(
    stack: LocalSupabase, client: Client, replicas: tuple[Api, Api], join: str, drop: str, stop: str
) -> None:
    """One reply: the device on Realtime joins, connections drop in the middle, somebody stops it."""
    api, other = replicas
    conversation = await client.new_conversation(api)
    device = Device(stack, client, api, conversation)
    transcript = Transcript()
    async with AsyncExitStack() as on:
        if join == "before":
            await on.enter_async_context(running(device))
            await device.joined()
        asked = {"thoughts": THOUGHTS, "tokens": 40 if stop == "nobody" else 1000, "gap": 0.02}
        async with client.sending(api, conversation, asked) as response:
            # while it still thinks, or in the middle of its text
            await read(response, transcript, until=some_reasoning if drop == "both" else tokens(15))
            assert transcript.message_id is not None
            if join == "during":
                await on.enter_async_context(running(device))
                await device.joined()
            if drop in ("realtime", "both") and join != "after":
                device.drop()
            if stop != "nobody":
                await client.stop(api if stop == "same replica" else other, transcript.message_id)
            if drop not in ("stream", "both"):
                await read(response, transcript)
        if transcript.ending is None:
            await client.follow(api, transcript.message_id, transcript)
        if join == "after":
            await on.enter_async_context(running(device))
        held = await device.ended(transcript.message_id)
        stored = {row["id"]: row for row in await client.history(api, conversation)}
        assert held.content == transcript.text == stored[transcript.message_id]["content"]
        assert held.reasoning == transcript.reasoning == stored[transcript.message_id]["reasoning"] != ""
        assert held.status == stored[transcript.message_id]["status"] == STATUS[stop]
        shown = {
            id_: (one.role, one.content, one.status, one.seq, one.reasoning) for id_, one in device.messages.items()
        }
        assert shown == {id_: tuple(row[name] for name in FIELDS) for id_, row in stored.items()}


FIELDS = ("role", "content", "status", "seq", "reasoning")
THOUGHTS = [f"Thought {number}. " for number in range(30)]


def some_reasoning(transcript: Transcript) -> bool:
    """`until` for `read`: the model has shown some of its reasoning."""
    return len(transcript.reasoning) > 100


@pytest.mark.parametrize("stop", STATUS)
async def test_the_same_final_state(
    stack: LocalSupabase, new_client: NewClient, replicas: tuple[Api, Api], stop: str
) -> None:
    """In every order of joining and dropping: all of them at once, each a user of its own."""
    orders = list(itertools.product(JOINS, DROPS))
    clients = [await new_client() for _ in orders]
    played = await asyncio.gather(
        *(play(stack, client, replicas, *order, stop) for client, order in zip(clients, orders, strict=True)),
        return_exceptions=True,
    )
    assert {order: error for order, error in zip(orders, played, strict=True) if error is not None} == {}


async def test_changes_that_the_stream_does_not_tell(
    stack: LocalSupabase, client: Client, api: Api, db: Connection
) -> None:
    """Another turn, another answer to it, a deletion by SQL: a device that only listens shows what is stored."""
    conversation = await client.new_conversation(api)
    async with running(Device(stack, client, api, conversation)) as device:
        await device.joined()
        first = await client.send(api, conversation, {"tokens": 3})
        assert first.message_id is not None
        async with client.regenerating(api, first.message_id) as response:
            again = await read(response)
        assert again.message_id is not None
        await device.ended(again.message_id)
        await db.execute("delete from public.messages where id = %s", [first.message_id])
        await device.until(lambda: first.message_id not in device.messages)
        stored: list[dict[str, Any]] = await client.history(api, conversation)
        assert [row["id"] for row in stored] == device.shown
        assert {row["id"]: row["content"] for row in stored} == {
            id_: held.content for id_, held in device.messages.items()
        }


async def test_the_documented_hook(stack: LocalSupabase, client: Client, api: Api, db: Connection) -> None:
    """The code of docs/realtime.md: a conversation of more than a page, its connection cut while the model thinks."""
    conversation = await client.new_conversation(api)
    last: str | None = None
    for _ in range(105):
        cursor = await db.execute(
            "insert into public.messages (conversation_id, user_id, role, content, parent_id) "
            "values (%s, %s, 'user', 'earlier', %s) returning id::text",
            [conversation, client.person.id, last],
        )
        [[last]] = await cursor.fetchall()
    async with Proxy(stack.url) as proxy:
        settings = {
            "url": proxy.url,
            "key": stack.publishable_key,
            "api": api.url,
            "owner": client.person.token,
            "conversation": conversation,
        }
        async with script("hook.mjs", json.dumps(settings)) as hook:
            await hook.ready()
            await client.post(api, conversation, {"thoughts": THOUGHTS * 2, "tokens": 80, "gap": 0.02})
            await hook.ready()
            proxy.cut()
            shown = await hook.seen()
    assert len(shown) == 107
    for row in shown[-2:]:
        stored = await client.message(api, row["id"])
        assert row == {name: stored[name] for name in ("id", *FIELDS)}


async def test_two_views_of_the_documented_hook(stack: LocalSupabase, client: Client, api: Api) -> None:
    """They share a channel: one that leaves does not close the other's, and the last one closes it. A branch that is
    switched is another one on both."""
    conversation = await client.new_conversation(api)
    first = await client.send(api, conversation, {"tokens": 1})
    one = [first.user_message_id, first.message_id]
    settings = {
        "url": stack.url,
        "key": stack.publishable_key,
        "api": api.url,
        "owner": client.person.token,
        "conversation": conversation,
    }
    async with script("two_views.mjs", json.dumps(settings)) as views:

        async def show(*expected: list[str | None]) -> None:
            async def same() -> bool:
                return bool(await views.asked("") == list(expected))

            await eventually(same, 60)

        await show(one, one)
        assert await views.asked("channels") == 1
        await views.asked("leave")
        second = await client.send(api, conversation, {"tokens": 1})
        both = [*one, second.user_message_id, second.message_id]
        await show(one, both)
        await views.asked("leave and come back")
        await show(both, both)
        async with client.regenerating(api, str(first.message_id)) as response:
            again = await read(response)
        other = [first.user_message_id, again.message_id]
        await show(other, other)
        await client.call(api, "PATCH", f"/v1/conversations/{conversation}", {"head_id": second.message_id})
        await show(both, both)
        await client.call(api, "DELETE", f"/v1/messages/{second.user_message_id}")
        await show(one, one)
        await views.asked("leave both")

        async def closed() -> bool:
            return bool(await views.asked("channels") == 0)

        await eventually(closed, 60)
