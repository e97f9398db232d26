"""Presence: who is there, told to all who are."""

from __future__ import annotations

import pytest

from tests.realtime.conftest import Connect
from tests.realtime.people import Someone
from tests.support.sockets import V1, V2, Socket

both_versions = pytest.mark.parametrize("version", [V1, V2])


async def track(socket: Socket, topic: str, said: object) -> dict[str, object]:
    ref = await socket.push(topic, "presence", {"type": "presence", "event": "track", "payload": said})
    return await socket.reply(ref)


async def untrack(socket: Socket, topic: str) -> dict[str, object]:
    return await socket.reply(await socket.push(topic, "presence", {"type": "presence", "event": "untrack"}))


def with_key(key: str) -> dict[str, object]:
    return {"enabled": True, "key": key}


@both_versions
async def test_coming_changing_and_going(connect: Connect, version: str) -> None:
    async with connect(version) as one, connect(version) as two:
        await one.join("room", presence=with_key("one"))
        assert (await one.next()).payload == {}
        assert await track(one, "room", {"mood": "good"}) == {"status": "ok", "response": {}}
        came = (await one.next("presence_diff")).payload
        [meta] = came["joins"]["one"]["metas"]
        assert (meta["mood"], came["leaves"]) == ("good", {})

        await two.join("room", presence=with_key("two"))
        assert (await two.next()).payload == {"one": {"metas": [meta]}}
        await track(two, "room", {})
        assert set((await one.next("presence_diff")).payload["joins"]) == {"two"}
        await two.next("presence_diff")

        await track(one, "room", {"mood": "better"})
        changed = (await two.next("presence_diff")).payload
        [again] = changed["joins"]["one"]["metas"]
        assert (again["mood"], again["phx_ref_prev"]) == ("better", meta["phx_ref"])
        assert changed["leaves"] == {"one": {"metas": [meta]}}

        await untrack(one, "room")
        assert (await two.next("presence_diff")).payload == {"joins": {}, "leaves": {"one": {"metas": [again]}}}


async def test_the_same_again_is_no_news(connect: Connect) -> None:
    async with connect() as socket:
        await socket.join("room", presence=with_key("k"))
        await track(socket, "room", {"a": 1})
        await socket.next("presence_diff")
        assert (await track(socket, "room", {"a": 1}))["status"] == "ok"
        await track(socket, "room", {"a": 2})
        assert (await socket.next("presence_diff")).payload["joins"]["k"]["metas"][0]["a"] == 2


@pytest.mark.parametrize("way", ["leaves", "disconnects"])
async def test_whoever_goes_is_gone(connect: Connect, way: str) -> None:
    async with connect() as stays, connect() as goes:
        await stays.join("room", presence=with_key("stays"))
        await goes.join("room", presence=with_key("goes"))
        await track(goes, "room", {})
        await stays.next("presence_diff")
        if way == "leaves":
            await goes.push("room", "phx_leave", {})
        else:
            goes.connection.transport.abort()
        assert set((await stays.next("presence_diff")).payload["leaves"]) == {"goes"}


async def test_two_under_one_key(connect: Connect) -> None:
    async with connect() as one, connect() as two, connect() as late:
        await one.join("room", presence=with_key("shared"))
        await two.join("room", presence=with_key("shared"))
        await track(one, "room", {"device": 1})
        await track(two, "room", {"device": 2})
        await late.join("room", presence=with_key("late"))
        state = (await late.next("presence_state")).payload
        assert [meta["device"] for meta in state["shared"]["metas"]] == [1, 2]


async def test_a_key_of_the_servers_choice(connect: Connect) -> None:
    async with connect() as socket:
        await socket.join("room", presence=with_key(" "))
        await track(socket, "room", {})
        [key] = (await socket.next("presence_diff")).payload["joins"]
        assert len(key) == 36


async def test_tracking_turns_presence_on(connect: Connect) -> None:
    async with connect() as there, connect() as socket:
        await there.join("room", presence=with_key("there"))
        await track(there, "room", {})
        await there.next("presence_diff")
        await socket.join("room")
        await track(socket, "room", {})
        assert set((await socket.next()).payload) == {"there"}
        assert (await socket.next()).event == "presence_diff"


async def test_what_is_tracked_is_an_object(connect: Connect) -> None:
    async with connect() as socket:
        await socket.join("room", presence=with_key("k"))
        reason = "Presence track payload must be a map"
        assert await track(socket, "room", [1]) == {"status": "error", "response": {"reason": reason}}
        ref = await socket.push("room", "presence", {"type": "presence", "event": "dance"})
        assert (await socket.reply(ref))["status"] == "error"


async def test_private_presence_needs_its_own_permission(connect: Connect, open_topics: None, owner: Someone) -> None:
    """test:read may be read, and nobody may be present there; test:open allows all."""
    async with connect() as socket:
        presence = with_key("k")
        await socket.join("test:read", private=True, token=owner.token, presence=presence)
        assert await track(socket, "test:read", {}) == {"status": "error", "response": {}}
        await socket.join("test:open", private=True, token=owner.token, presence=presence)
        assert (await track(socket, "test:open", {}))["status"] == "ok"
        assert [(await socket.next()).event for _ in range(2)] == ["presence_state", "presence_diff"]
        assert socket.unread("presence_state", "presence_diff") == []


async def test_too_many_calls_end_the_channel(connect: Connect) -> None:
    async with connect() as socket:
        await socket.join("room", presence=with_key("k"))
        for number in range(5):
            await track(socket, "room", {"n": number})
        await socket.push("room", "presence", {"type": "presence", "event": "track", "payload": {"n": 6}})
        system = (await socket.next("system")).payload
        assert system == {
            "extension": "system",
            "status": "error",
            "message": "Client presence rate limit exceeded",
            "channel": "room",
        }
        await socket.next("phx_close")
