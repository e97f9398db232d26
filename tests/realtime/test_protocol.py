"""Connections and channels, frame by frame, in both versions of the protocol."""

from __future__ import annotations

import json
import re
from contextlib import suppress

import httpx
import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import ConnectionClosed, InvalidStatus

from scripts.local_supabase import LocalSupabase
from tests.realtime.conftest import Connect
from tests.realtime.people import Someone, Tokens
from tests.support.sockets import V1, V2, Message

both_versions = pytest.mark.parametrize("version", [V1, V2])


@both_versions
async def test_heartbeat(connect: Connect, version: str) -> None:
    async with connect(version) as socket:
        ref = await socket.push("phoenix", "heartbeat", {})
        assert await socket.reply(ref) == {"status": "ok", "response": {}}


async def test_heartbeat_without_ref(connect: Connect) -> None:
    async with connect(V1) as socket:
        await socket.send({"topic": "phoenix", "event": "heartbeat", "payload": {}, "ref": None})
        assert await socket.reply(None) == {"status": "ok", "response": {}}


@both_versions
async def test_join_and_leave(connect: Connect, version: str) -> None:
    async with connect(version) as socket:
        assert await socket.join("room") == {"status": "ok", "response": {"postgres_changes": []}}
        ref = await socket.push("room", "phx_leave", {})
        assert await socket.reply(ref) == {"status": "ok", "response": {}}
        closing = await socket.next()
        assert (closing.topic, closing.event, closing.payload, closing.ref) == ("realtime:room", "phx_close", {}, "1")
        assert closing.join_ref == (None if version == V1 else "1")


@both_versions
async def test_a_channel_that_was_not_joined(connect: Connect, version: str) -> None:
    async with connect(version) as socket:
        ref = await socket.push("room", "broadcast", {"type": "broadcast", "event": "e", "payload": {}})
        assert await socket.reply(ref) == {"status": "error", "response": {"reason": "unmatched topic"}}
        ref = await socket.push("room", "phx_leave", {})
        assert await socket.reply(ref) == {"status": "ok", "response": {}}


async def test_topics_of_no_channel(connect: Connect) -> None:
    async with connect() as socket:
        await socket.send(["9", "9", "elsewhere", "phx_join", {}])
        assert await socket.reply("9") == {"status": "error", "response": {"reason": "unmatched topic"}}
        answer = await socket.join("")
        reason = "TopicNameRequired: You must provide a topic name"
        assert answer == {"status": "error", "response": {"reason": reason}}


async def test_joining_again_ends_the_first_channel(connect: Connect) -> None:
    async with connect() as socket:
        await socket.join("room", broadcast={"self": True})
        answer = await socket.join("room", broadcast={"self": True})
        assert answer["status"] == "ok"
        closing = await socket.next()
        assert (closing.event, closing.join_ref) == ("phx_close", "1")
        await socket.broadcast("room", "e", {"a": 1})
        assert (await socket.next("broadcast")).sent == {"a": 1}
        assert socket.unread("broadcast") == []


async def test_odd_settings_count_as_not_given(connect: Connect) -> None:
    """Booleans as text and nulls are tolerated, whatever makes no sense is passed over."""
    async with connect() as socket:
        answer = await socket.join("room", broadcast={"self": "true", "ack": None}, presence=None, private="false")
        assert answer["status"] == "ok"
        await socket.broadcast("room", "e", {})
        await socket.next("broadcast")
        for payload in ({}, None, {"config": 7}, {"config": {"broadcast": [], "presence": "x", "private": 1}}):
            ref = await socket.push("other", "phx_join", payload)
            assert (await socket.reply(ref))["status"] == "ok"


async def test_postgres_changes_are_refused_with_what_to_use_instead(connect: Connect) -> None:
    async with connect() as socket:
        changes = [{"event": "*", "schema": "public", "table": "messages"}]
        answer = await socket.join("room", postgres_changes=changes)
        assert answer["status"] == "error"
        assert "has no Postgres Changes; use Broadcast" in answer["response"]["reason"]


async def test_unknown_events_are_passed_over(connect: Connect) -> None:
    async with connect() as socket:
        await socket.join("room", broadcast={"self": True})
        await socket.push("room", "something", {})
        await socket.broadcast("room", "e", {})
        assert (await socket.next()).event == "broadcast"


@pytest.mark.parametrize("frame", ["nonsense", "{}", b"\x07\x00"])
async def test_a_frame_that_is_no_message_ends_the_connection(connect: Connect, frame: str | bytes) -> None:
    async with connect() as socket:
        await socket.connection.send(frame)
        assert await socket.closed() == 1007


async def test_an_overlong_frame_ends_the_connection(connect: Connect) -> None:
    async with connect() as socket:
        with suppress(ConnectionClosed):
            await socket.connection.send(json.dumps(["1", "1", "phoenix", "heartbeat", "x" * 5_000_000]))
        # 1006 when the connection was gone before its last frame was read: we were still sending
        assert await socket.closed() in (1009, 1006)


async def test_who_may_connect(stack: LocalSupabase, tokens: Tokens, owner: Someone) -> None:
    refusals = {
        "": "API key is missing",
        "nonsense": "The token provided is not a valid JWT",
        tokens.of(owner.id, seconds=-7000): "Token has expired 70.. seconds ago",
        tokens.of(owner.id, role=None): "Fields `role` and `exp` are required in JWT",
        tokens.of(owner.id, exp=None): "Fields `role` and `exp` are required in JWT",
        owner.token[:-6] + "AAAAAA": "Failed to validate JWT signature",
        tokens.of(owner.id, kid="other"): (
            r'Failed to generate JWT signer for key ID \(kid\) "other", check your JWT secret or JWKS configuration'
        ),
    }
    address = f"{stack.url.replace('http', 'ws', 1)}/realtime/v1/websocket"
    for key, reason in refusals.items():
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(f"{address}?apikey={key}&vsn=1.0.0")
        assert refused.value.response.status_code == 401
        [error] = json.loads(refused.value.response.body).values()
        assert re.fullmatch(reason, error)
    for key in (stack.publishable_key, stack.secret_key, owner.token):
        async with open_socket(f"{address}?apikey={key}"):
            pass
    async with open_socket(f"{address}?apikey=wrong", additional_headers={"x-api-key": stack.publishable_key}):
        pass


async def test_an_unknown_version(stack: LocalSupabase) -> None:
    address = f"{stack.url.replace('http', 'ws', 1)}/realtime/v1/websocket?apikey={stack.publishable_key}&vsn=9"
    with pytest.raises(InvalidStatus) as refused:
        await open_socket(address)
    assert refused.value.response.status_code == 403


async def test_no_socket_without_an_upgrade(stack: LocalSupabase) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{stack.url}/realtime/v1/websocket", params={"apikey": stack.publishable_key})
    assert answer.status_code == 400


async def test_version_1_messages_have_exactly_their_four_keys(connect: Connect) -> None:
    """The Python client refuses a push without `ref`, or a reply with a `join_ref`."""
    async with connect(V1) as socket:
        await socket.join("room", broadcast={"self": True}, presence={"enabled": True, "key": "k"})
        assert (await socket.next()).event == "presence_state"
        await socket.broadcast("room", "e", {})
        expected = {"type": "broadcast", "event": "e", "payload": {}}
        assert await socket.next() == Message("realtime:room", "broadcast", expected, None)
