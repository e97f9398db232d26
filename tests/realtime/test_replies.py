"""A whole reply, from the API to every subscriber: what the deltas say together is what is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from realtime import AsyncRealtimeClient

from scripts.local_supabase import LocalSupabase
from tests.realtime.javascript_client import outcome
from tests.realtime.people import Connection
from tests.support.client import script
from tests.support.python_client import Inbox
from tests.support.replica_client import Client
from tests.support.service import Api

EVENTS = ("message.created", "message.started", "message.delta", "message.completed", "message.stopped")


def check(events: list[tuple[str, dict[str, Any]]], asked: dict[str, Any], stored: dict[str, Any]) -> None:
    """The events of one turn are complete, in order, and add up to the stored reply."""
    names = [name for name, _ in events]
    deltas = [payload for name, payload in events if name == "message.delta"]
    assert names == ["message.created", "message.started", *["message.delta"] * len(deltas), "message.completed"]
    assert events[0][1]["message_id"] == asked["id"]
    assert events[0][1]["content"] == asked["content"]
    assert {payload["message_id"] for _, payload in events[1:]} == {stored["id"]}
    assert [delta["seq"] for delta in deltas] == list(range(1, len(deltas) + 1))
    assert "".join(delta["text"] for delta in deltas) == stored["content"] != ""
    ending = events[-1][1]
    assert (ending["status"], ending["seq"], ending["length"]) == ("complete", stored["seq"], len(stored["content"]))


async def test_javascript_client_receives_a_whole_reply(stack: LocalSupabase, client: Client, api: Api) -> None:
    conversation = await client.new_conversation(api)
    seen = await outcome(
        "reply",
        {"url": stack.url, "key": stack.publishable_key, "api": api.url},
        owner=client.person.token,
        topic=f"conversation:{conversation}",
        conversation=conversation,
        content=script(tokens=60, gap=0.02),
    )
    assert seen["status"] == 202
    stored = await client.message(api, seen["turn"]["message"]["id"])
    check([(event["event"], event["payload"]) for event in seen["events"]], seen["turn"]["user_message"], stored)


async def test_python_client_receives_a_whole_reply(stack: LocalSupabase, client: Client, api: Api) -> None:
    conversation = await client.new_conversation(api)
    realtime = AsyncRealtimeClient(f"{stack.url}/realtime/v1", stack.publishable_key)
    await realtime.connect()
    try:
        await realtime.set_auth(client.person.token)
        channel = realtime.channel(
            f"conversation:{conversation}", {"config": {"private": True, "broadcast": None, "presence": None}}
        )
        heard = Inbox()
        for name in EVENTS:
            channel.on_broadcast(name, heard.put)
        await channel.subscribe()
        begun = await client.post(api, conversation, {"tokens": 60, "gap": 0.02})
        events: list[tuple[str, dict[str, Any]]] = []
        while not events or events[-1][0] != "message.completed":
            message = await heard.next()
            events.append((message["event"], message["payload"]))
        check(events, begun["user_message"], await client.message(api, begun["message"]["id"]))
    finally:
        await realtime.close()


@pytest.mark.parametrize(
    "asked", [{"tokens": 450}, {"thoughts": ["thought "] * 450, "tokens": 1}], ids=["text", "reasoning"]
)
async def test_at_most_four_messages_a_second(client: Client, api: Api, db: Connection, asked: dict[str, Any]) -> None:
    """Whatever the token rate: 200 tokens a second here. Each second is measured from every message on."""
    conversation = await client.new_conversation(api)
    transcript = await client.send(api, conversation, {"gap": 0.005, **asked})
    rows = await db.execute(
        "select inserted_at from realtime.messages where topic = %s and payload ->> 'message_id' = %s order by 1",
        [f"conversation:{conversation}", transcript.message_id],
    )
    times: list[datetime] = [row[0] for row in await rows.fetchall()]
    assert times[-1] - times[0] > timedelta(seconds=2)
    assert max(sum(start <= time < start + timedelta(seconds=1) for time in times) for start in times) <= 4
    assert len(times) >= 6


async def test_a_shorter_interval_says_more(client: Client, replicas: tuple[Api, Api], db: Connection) -> None:
    """JOURNAL_INTERVAL_MS trades messages for latency."""
    _, api = replicas
    conversation = await client.new_conversation(api)
    transcript = await client.send(api, conversation, {"tokens": 100, "gap": 0.01})
    rows = await db.execute(
        "select count(*) from realtime.messages where payload ->> 'message_id' = %s and event = 'message.delta'",
        [transcript.message_id],
    )
    [(deltas,)] = await rows.fetchall()
    assert deltas >= 5
