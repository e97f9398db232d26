"""Broadcasts between clients: who gets them, in what form, and what the sender is told."""

from __future__ import annotations

import pytest

from tests.realtime.conftest import Connect
from tests.realtime.people import Someone
from tests.support.sockets import V1, V2

OWN = {"self": True}


@pytest.mark.parametrize(("sends", "receives"), [(V1, V1), (V1, V2), (V2, V1), (V2, V2)])
async def test_reaches_the_others(connect: Connect, sends: str, receives: str) -> None:
    async with connect(sends) as sender, connect(receives) as receiver:
        await sender.join("room")
        await receiver.join("room")
        await sender.broadcast("room", "first", {"é": [1, None]})
        await sender.broadcast("room", "second", {})
        first, second = await receiver.next(), await receiver.next()
        assert first.topic == "realtime:room"
        assert first.payload == {"type": "broadcast", "event": "first", "payload": {"é": [1, None]}}
        assert second.payload["event"] == "second"
        # what the sender gets next is the answer to this, and not its own message
        await sender.reply(await sender.push("phoenix", "heartbeat", {}))
        assert sender.unread("broadcast") == []


async def test_reaches_the_sender_that_wants_it(connect: Connect) -> None:
    async with connect() as socket:
        await socket.join("room", broadcast=OWN)
        await socket.broadcast("room", "e", {"a": 1})
        assert (await socket.next()).sent == {"a": 1}


@pytest.mark.parametrize("version", [V1, V2])
async def test_is_acknowledged_when_asked(connect: Connect, version: str) -> None:
    async with connect(version) as socket:
        await socket.join("quiet")
        await socket.broadcast("quiet", "e", {})
        await socket.join("loud", broadcast={"ack": True})
        ref = await socket.broadcast("loud", "e", {})
        assert await socket.reply(ref) == {"status": "ok", "response": {}}
        assert socket.unread("phx_reply") == []


async def test_binary_form(connect: Connect) -> None:
    """JSON sent in the binary form is readable in both versions, bytes only in version 2."""
    async with connect() as sender, connect() as modern, connect(V1) as old:
        for socket in (sender, modern, old):
            await socket.join("room")
        await sender.push_binary("room", "bytes", b"\x00\xff", is_json=False)
        await sender.push_binary("room", "json", b'{"a": 1}', is_json=True)
        raw = await modern.next()
        assert (raw.binary, raw.payload["event"], raw.sent) == (True, "bytes", b"\x00\xff")
        assert [(await socket.next()).sent for socket in (modern, old)] == [{"a": 1}, {"a": 1}]


async def test_rooms_are_apart(connect: Connect, open_topics: None, owner: Someone) -> None:
    """Another topic, and the private topic of the same name, are other rooms."""
    async with connect() as socket:
        await socket.join("test:open:1", broadcast=OWN)
        await socket.join("test:open:2", broadcast=OWN)
        async with connect() as member:
            await member.join("test:open:1", private=True, token=owner.token, broadcast=OWN)
            await socket.broadcast("test:open:1", "public", {})
            await member.broadcast("test:open:1", "private", {})
            assert (await member.next()).payload["event"] == "private"
            got = await socket.next()
            assert (got.topic, got.payload["event"]) == ("realtime:test:open:1", "public")
            await socket.reply(await socket.push("phoenix", "heartbeat", {}))
            assert socket.unread("broadcast") == member.unread("broadcast") == []


async def test_who_has_left_gets_nothing(connect: Connect) -> None:
    async with connect() as stays, connect() as leaves:
        await stays.join("room", broadcast=OWN)
        await leaves.join("room")
        await leaves.reply(await leaves.push("room", "phx_leave", {}))
        await leaves.next("phx_close")
        await stays.broadcast("room", "e", {})
        await stays.next("broadcast")
        await leaves.reply(await leaves.push("phoenix", "heartbeat", {}))
        assert leaves.unread("broadcast") == []


async def test_keeps_the_order(connect: Connect) -> None:
    async with connect() as sender, connect(V1) as receiver:
        await sender.join("room")
        await receiver.join("room")
        for number in range(300):
            await sender.broadcast("room", "e", {"n": number})
        assert [(await receiver.next()).sent["n"] for _ in range(300)] == list(range(300))


async def test_without_permission_to_send_it_reaches_nobody(
    connect: Connect, open_topics: None, owner: Someone
) -> None:
    """Nor is there an answer, even when one was asked for: as the real server."""
    async with connect() as socket:
        for topic in ("test:read", "test:open"):
            await socket.join(topic, private=True, token=owner.token, broadcast={"self": True, "ack": True})
        await socket.broadcast("test:read", "e", {})
        ref = await socket.broadcast("test:open", "e", {})
        assert (await socket.reply(ref))["status"] == "ok"
        assert (await socket.next()).topic == "realtime:test:open"
        assert socket.unread("phx_reply", "broadcast") == []


async def test_only_presence_may_be_read(connect: Connect, open_topics: None, owner: Someone) -> None:
    async with connect() as reader, connect() as writer:
        presence = {"enabled": True, "key": "k"}
        answer = await reader.join("test:open", private=True, token=owner.token)
        assert answer["status"] == "ok"
        assert (await reader.join("test:presence", private=True, token=owner.token, presence=presence))[
            "status"
        ] == "ok"
        assert (await reader.next()).event == "presence_state"
        refused = await writer.join("test:presence", private=True, token=owner.token)
        reason = "Unauthorized: You do not have permissions to read from this Channel topic: test:presence"
        assert refused == {"status": "error", "response": {"reason": reason}}
