"""Replay: what the database sent to a private topic while the client was away."""

from __future__ import annotations

import time

import pytest

from tests.realtime.conftest import Connect
from tests.realtime.people import Connection, Someone
from tests.support.sockets import V1, V2

SEND = "select realtime.send('{}'::jsonb, %s, %s, %s)"


async def sent(db: Connection, topic: str, *events: str) -> None:
    for event in events:
        await db.execute(SEND, [event, topic, True])


@pytest.mark.parametrize("version", [V1, V2])
async def test_the_newest_come_first_to_last_then_what_is_new(
    connect: Connect, db: Connection, owner: Someone, version: str
) -> None:
    since = int(time.time() * 1000) - 1000
    await sent(db, owner.topic, "one", "two", "three")
    async with connect(version) as socket:
        replay = {"since": since, "limit": 2}
        await socket.join(owner.topic, private=True, token=owner.token, broadcast={"replay": replay})
        await sent(db, owner.topic, "four")
        messages = [(await socket.next()).payload for _ in range(3)]
        assert [message["event"] for message in messages] == ["two", "three", "four"]
        assert [message["meta"].get("replayed") for message in messages] == [True, True, None]


async def test_only_since(connect: Connect, db: Connection, owner: Someone) -> None:
    await sent(db, owner.topic, "before")
    await db.execute(
        "update realtime.messages set inserted_at = inserted_at - interval '1 minute' where topic = %s", [owner.topic]
    )
    async with connect() as socket:
        replay = {"since": int(time.time() * 1000) - 30_000}
        await socket.join(owner.topic, private=True, token=owner.token, broadcast={"replay": replay})
        await sent(db, owner.topic, "after")
        assert (await socket.next()).payload["event"] == "after"


async def test_at_most_25(connect: Connect, db: Connection, owner: Someone) -> None:
    query = "select realtime.send('{}', n::text, %s, true) from generate_series(1, 30) as n"
    await db.execute(query, [owner.topic])
    async with connect() as socket:
        replay = {"since": 0, "limit": 1000}
        await socket.join(owner.topic, private=True, token=owner.token, broadcast={"replay": replay})
        events = [(await socket.next()).payload["event"] for _ in range(25)]
        # those of one transaction have one time; they keep their order all the same
        assert events == [str(number) for number in range(6, 31)]


async def test_bytes(connect: Connect, db: Connection, owner: Someone) -> None:
    await db.execute("select realtime.send_binary(%s, 'bytes', %s, true)", [b"\x00\xff", owner.topic])
    async with connect() as socket:
        replay = {"since": 0}
        await socket.join(owner.topic, private=True, token=owner.token, broadcast={"replay": replay})
        message = await socket.next()
        assert (message.sent, message.payload["meta"]["replayed"]) == (b"\x00\xff", True)


async def test_nothing_twice_nothing_lost(connect: Connect, db: Connection, owner: Someone) -> None:
    """Joins in the middle of a stream of messages: each is replayed or comes live, once and in order."""
    async with connect() as socket, connect() as witness:
        await witness.join(owner.topic, private=True, token=owner.token)
        for number in range(25):
            if number == 10:
                replay = {"since": 0, "limit": 25}
                payload = {"config": {"private": True, "broadcast": {"replay": replay}}, "access_token": owner.token}
                await socket.push(owner.topic, "phx_join", payload)
            await sent(db, owner.topic, str(number))
        assert [(await witness.next()).payload["event"] for _ in range(25)] == [str(number) for number in range(25)]
        events: list[int] = []
        while not events or events[-1] != 24:
            events.append(int((await socket.next("broadcast")).payload["event"]))
        # no more than are replayed at most, so that it does not matter how many came before it was joined
        assert events == list(range(25))


@pytest.mark.parametrize("replay", [{}, {"since": "yesterday"}, {"since": 1.5}, {"since": 0, "limit": "all"}])
async def test_a_replay_that_makes_no_sense(connect: Connect, owner: Someone, replay: dict[str, object]) -> None:
    async with connect() as socket:
        answer = await socket.join(owner.topic, private=True, token=owner.token, broadcast={"replay": replay})
        reason = "UnableToReplayMessages: Replay params are not valid"
        assert answer == {"status": "error", "response": {"reason": reason}}


async def test_public_channels_have_none(connect: Connect) -> None:
    async with connect() as socket:
        answer = await socket.join("room", broadcast={"replay": {"since": 0}})
        reason = "UnableToReplayMessages: Replay is not allowed for public channels"
        assert answer == {"status": "error", "response": {"reason": reason}}


async def test_needs_the_permission_to_read(
    connect: Connect, db: Connection, open_topics: None, owner: Someone
) -> None:
    """test:presence lets nobody receive broadcasts."""
    await sent(db, "test:presence", "secret")
    async with connect() as socket:
        config = {"broadcast": {"replay": {"since": 0}}, "presence": {"enabled": True}}
        answer = await socket.join("test:presence", private=True, token=owner.token, **config)  # type: ignore[arg-type]
        reason = "Unauthorized: You do not have permissions to read from this Channel topic: test:presence"
        assert answer == {"status": "error", "response": {"reason": reason}}
        assert socket.unread("broadcast") == []


async def test_replication_ready(connect: Connect, owner: Someone) -> None:
    async with connect() as socket:
        await socket.join(owner.topic, private=True, token=owner.token, broadcast={"replication_ready": True})
        system = (await socket.next("system")).payload
        assert system == {
            "extension": "system",
            "status": "ok",
            "message": "Replication connection established",
            "channel": owner.topic,
        }
