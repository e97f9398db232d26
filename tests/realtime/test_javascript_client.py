"""The official JavaScript client, unchanged, against the local server and what the database pushes."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from scripts.local_supabase import LocalSupabase
from tests.realtime.javascript_client import about, outcome, scenario
from tests.realtime.people import Connection, Someone, Tokens, new_message, soon
from tests.support.proxy import Proxy

both_versions = pytest.mark.parametrize("vsn", ["1.0.0", "2.0.0"])


@pytest.fixture
def settings(stack: LocalSupabase) -> dict[str, Any]:
    return {"url": stack.url, "key": stack.publishable_key, "vsn": "2.0.0"}


async def say(db: Connection, topic: str, event: str) -> None:
    await db.execute("select realtime.send('{}', %s, %s, true)", [event, topic])


@both_versions
async def test_broadcast(settings: dict[str, Any], vsn: str) -> None:
    seen = await outcome("broadcast", settings, vsn=vsn)
    messages = [
        {"type": "broadcast", "event": "message", "payload": payload}
        for payload in ({"é": [1, None]}, {"n": 2}, {"n": 3})
    ]
    assert seen == {
        "statuses": [["SUBSCRIBED", None]] * 2,
        "sent": ["ok"] * 3,
        "received": [*messages, [0, 255]] if vsn == "2.0.0" else messages,
        "own": 0,
    }


async def test_own_broadcast(settings: dict[str, Any]) -> None:
    seen = await outcome("ownBroadcast", settings)
    assert seen == {"acknowledged": "ok", "heard": {"type": "broadcast", "event": "e", "payload": {"a": 1}}}


async def test_sending_over_http(settings: dict[str, Any]) -> None:
    seen = await outcome("http", settings)
    assert seen == {
        "answers": [{"success": True}, {"success": True}, "ok"],
        "heard": [
            {"type": "broadcast", "event": "sent", "payload": {"a": 1}},
            [0, 255],
            {"type": "broadcast", "event": "fallback", "payload": {"b": 2}},
        ],
        "refused": "Unauthorized",
    }


@both_versions
async def test_presence(settings: dict[str, Any], vsn: str) -> None:
    seen = await outcome("presence", settings, vsn=vsn)
    assert seen == {
        "tracked": ["ok"] * 4,
        "seen": [
            ["join", "first", [{"mood": "good"}]],
            ["join", "second", [{"mood": "fine"}]],
            ["join", "second", [{"mood": "better"}]],
            ["leave", "second", [{"mood": "fine"}]],
            ["leave", "second", [{"mood": "better"}]],
        ],
        "states": [["first"], ["first", "second"]],
    }


async def test_leaving(settings: dict[str, Any]) -> None:
    assert await outcome("leaving", settings) == {
        "first": ["SUBSCRIBED", None],
        "left": "ok",
        "then": ["CLOSED", None],
        "again": ["SUBSCRIBED", None],
        "removed": ["ok"],
        "channels": 0,
    }


async def test_heartbeat(settings: dict[str, Any]) -> None:
    assert await outcome("heartbeat", settings) == {"beats": ["sent", "ok", "sent", "ok"]}


async def test_joining_a_private_channel(
    settings: dict[str, Any], owner: Someone, stranger: Someone, conversation: str
) -> None:
    for topic in (owner.topic, f"conversation:{conversation}"):
        refusal = f"Unauthorized: You do not have permissions to read from this Channel topic: {topic}"
        seen = await outcome("joining", settings, **about(owner, stranger=stranger.token, topic=topic))
        assert seen == {
            "owner": ["SUBSCRIBED", None],
            "stranger": ["CHANNEL_ERROR", refusal],
            "anon": ["CHANNEL_ERROR", refusal],
        }


async def test_postgres_changes_are_refused(settings: dict[str, Any]) -> None:
    status, reason = (await outcome("postgresChanges", settings))["status"]
    assert status == "CHANNEL_ERROR"
    assert "has no Postgres Changes" in reason


async def test_forged_events_reach_nobody(
    settings: dict[str, Any], db: Connection, owner: Someone, conversation: str
) -> None:
    async with scenario("forging", settings, **about(owner, topic=f"conversation:{conversation}")) as running:
        await running.ready()
        await new_message(db, owner, conversation)
        assert await running.seen() == {"refused": "Unauthorized", "heard": ["message.created"] * 2}


async def test_an_expired_token_is_cut_off_and_a_renewed_one_is_not(
    settings: dict[str, Any], db: Connection, owner: Someone, tokens: Tokens
) -> None:
    short = tokens.of(owner.id, exp=soon(4))
    async with scenario("expiry", settings, **about(owner, short=short)) as running:
        await running.ready()
        await say(db, owner.topic, "still here")
        seen = await running.seen()
        assert re.fullmatch(r"Token has expired [0-4] seconds ago", seen["cut"].pop(1))
        assert seen == {"cut": [["SUBSCRIBED", None], ["CLOSED", None]], "heard": "still here", "state": "joined"}


async def test_replay(settings: dict[str, Any], db: Connection, owner: Someone) -> None:
    since = int(time.time() * 1000) - 1000
    for event in ("one", "two", "three"):
        await say(db, owner.topic, event)
    async with scenario("replay", settings, **about(owner, since=since)) as running:
        await running.ready()
        await say(db, owner.topic, "four")
        assert await running.seen() == {"heard": [["two", True], ["three", True], ["four", False]]}


async def test_reconnection_resumes(settings: dict[str, Any], db: Connection, owner: Someone) -> None:
    async with (
        Proxy(settings["url"]) as proxy,
        scenario("reconnection", {**settings, "url": proxy.url}, **about(owner)) as running,
    ):
        await running.ready()
        proxy.cut()
        await running.ready()
        await say(db, owner.topic, "back")
        assert await running.seen() == {"seen": ["SUBSCRIBED", "CHANNEL_ERROR"], "heard": "back"}
