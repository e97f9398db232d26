"""What the database says of messages on conversation:{id}: whatever changes them, in the transaction that does."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import pytest

from tests.realtime.conftest import Connect
from tests.realtime.people import (
    Connection,
    Someone,
    as_service,
    finish,
    journal,
    new_conversation,
    new_message,
    new_reply,
    value,
)
from tests.support.sockets import Socket

Event = tuple[str, dict[str, Any]]


@pytest.fixture
async def device(connect: Connect, owner: Someone, conversation: str) -> AsyncGenerator[Socket]:
    """A device of the owner that has joined the conversation's topic."""
    async with connect() as socket:
        await socket.join(f"conversation:{conversation}", private=True, token=owner.token)
        yield socket


async def heard(device: Socket, count: int = 1) -> list[Event]:
    """The next events: their names and payloads, without the id that realtime.send puts into each."""
    events = []
    for _ in range(count):
        payload = (await device.next("broadcast")).payload
        payload["payload"].pop("id")
        events.append((payload["event"], payload["payload"]))
    return events


async def streaming(device: Socket, db: Connection, owner: Someone, conversation: str) -> str:
    """A reply that has begun, of which the device knows."""
    reply = await new_reply(db, owner, conversation)
    assert [name for name, _ in await heard(device, 2)] == ["message.created", "message.started"]
    return reply


async def test_a_users_message(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    message = await new_message(db, owner, conversation, "Grüße")
    [(name, payload)] = await heard(device)
    assert name == "message.created"
    created_at = payload.pop("created_at")
    assert created_at == await value(db, "select to_jsonb(created_at) from public.messages where id = %s", message)
    assert payload == {
        "message_id": message,
        "conversation_id": conversation,
        "role": "user",
        "status": "complete",
        "parent_id": None,
        "version": 1,
        "seq": 0,
        "content": "Grüße",
    }


async def test_reasoning_comes_in_the_messages_of_the_text(
    device: Socket, db: Connection, owner: Someone, conversation: str
) -> None:
    reply = await new_reply(db, owner, conversation)
    await heard(device, 2)
    await journal(db, (reply, 1, ""), reasoning="Grüße? ")
    await journal(db, (reply, 2, "Hello"), reasoning="Yes.")
    await journal(db, (reply, 3, "!"), reasoning="é" * 20_001)
    assert await heard(device, 3) == [
        ("message.delta", {"message_id": reply, "seq": 1, "text": "", "reasoning": "Grüße? "}),
        ("message.delta", {"message_id": reply, "seq": 2, "text": "Hello", "reasoning": "Yes."}),
        # too long to be pushed: read the row
        ("message.delta", {"message_id": reply, "seq": 3, "text": "!", "reasoning": None}),
    ]


async def test_a_reply_from_beginning_to_end(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    reply = await new_reply(db, owner, conversation)
    (_, asked), (name, started) = await heard(device, 2)
    assert (name, started["message_id"], started["status"], started["content"]) == (
        "message.started", reply, "streaming", "",
    )  # fmt: skip
    assert started["parent_id"] == asked["message_id"]
    await journal(db, (reply, 1, "Hello"))
    await journal(db, (reply, 2, ", wörld"))
    await finish(db, reply, "Hello, wörld!", finish_reason="stop", prompt_tokens=3, completion_tokens=4)
    events = await heard(device, 4)
    assert events[:3] == [
        ("message.delta", {"message_id": reply, "seq": 1, "text": "Hello"}),
        ("message.delta", {"message_id": reply, "seq": 2, "text": ", wörld"}),
        ("message.delta", {"message_id": reply, "seq": 3, "text": "!"}),
    ]
    name, ended = events[3]
    assert name == "message.completed"
    assert (ended["message_id"], ended["status"], ended["seq"], ended["length"]) == (reply, "complete", 3, 13)
    assert (ended["finish_reason"], ended["prompt_tokens"], ended["completion_tokens"]) == ("stop", 3, 4)
    assert "sources" not in ended


async def test_an_end_that_adds_no_text(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    reply = await streaming(device, db, owner, conversation)
    await journal(db, (reply, 1, "all"))
    await finish(db, reply, "all")
    assert [(name, payload["seq"]) for name, payload in await heard(device, 2)] == [
        ("message.delta", 1),
        ("message.completed", 1),
    ]


@pytest.mark.parametrize(
    ("status", "event"),
    [
        ("complete", "message.completed"),
        ("filtered", "message.completed"),
        ("stopped", "message.stopped"),
        ("failed", "message.failed"),
        ("interrupted", "message.interrupted"),
    ],
)
async def test_each_end_has_its_event(
    device: Socket, db: Connection, owner: Someone, conversation: str, status: str, event: str
) -> None:
    reply = await streaming(device, db, owner, conversation)
    await finish(db, reply, "", status)
    [(name, payload)] = await heard(device)
    assert (name, payload["status"]) == (event, status)


async def test_only_what_was_appended(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    """A journal write that is repeated, or of a reply that is over, says nothing."""
    reply = await streaming(device, db, owner, conversation)
    for _ in range(2):
        await journal(db, (reply, 1, "once"))
    await finish(db, reply, "once")
    await finish(db, reply, "once and more")
    await journal(db, (reply, 2, "late"))
    await new_message(db, owner, conversation, "after")
    names = [name for name, _ in await heard(device, 3)]
    assert names == ["message.delta", "message.completed", "message.created"]


async def test_a_writer_that_is_gone(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    """The reply is interrupted; should its writer come back, it ends a second time, with the rest of its text."""
    reply = await streaming(device, db, owner, conversation)
    await journal(db, (reply, 1, "Hel"))
    async with as_service(db):
        await db.execute("update private.live_replies set lease_expires_at = now() - interval '1 s'")
        await db.execute("select public.recover_replies()")
    await finish(db, reply, "Hello")
    events = [(name, payload.get("text"), payload.get("status")) for name, payload in await heard(device, 4)]
    assert events == [
        ("message.delta", "Hel", None),
        ("message.interrupted", None, "interrupted"),
        ("message.delta", "lo", None),
        ("message.completed", None, "complete"),
    ]


async def test_long_texts_are_left_out(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    """A device reads the row instead. 20,000 two-byte letters still fit."""
    fits, does_not = "é" * 20_000, "é" * 20_001
    await new_message(db, owner, conversation, fits)
    await new_message(db, owner, conversation, does_not)
    assert [payload["content"] for _, payload in await heard(device, 2)] == [fits, None]
    reply = await streaming(device, db, owner, conversation)
    await journal(db, (reply, 1, fits))
    await journal(db, (reply, 2, does_not))
    assert [payload["text"] for _, payload in await heard(device, 2)] == [fits, None]


async def test_a_text_that_is_replaced(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    """It cannot be appended to what devices have: they read the row."""
    reply = await streaming(device, db, owner, conversation)
    await journal(db, (reply, 1, "first thoughts"))
    await finish(db, reply, "something else altogether")
    (_, first), (name, replaced), (_, ended) = await heard(device, 3)
    assert first["text"] == "first thoughts"
    assert (name, replaced["text"], replaced["seq"]) == ("message.delta", None, 2)
    assert ended["length"] == 25


async def test_a_text_that_is_taken_back(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    """By moderation, of a reply that devices have begun to show: its `seq` says that theirs is void."""
    reply = await streaming(device, db, owner, conversation)
    await journal(db, (reply, 1, "something nasty"))
    await finish(db, reply, "", "filtered", flagged=["violence"], flagged_part="output")
    _, (name, taken), (ended, payload) = await heard(device, 3)
    assert (name, taken["seq"], taken["text"]) == ("message.delta", 2, None)
    assert (ended, payload["seq"], payload["length"]) == ("message.completed", 2, 0)


async def test_plain_sql(device: Socket, db: Connection, owner: Someone, conversation: str) -> None:
    """Whoever writes as the service, with whatever client: an answer that was made elsewhere, a message deleted."""
    async with as_service(db):
        inserted = await value(
            db,
            "insert into public.messages (conversation_id, user_id, role, content) "
            "values (%s, %s, 'assistant', 'imported') returning id::text",
            conversation,
            owner.id,
        )
        await db.execute("update public.messages set finish_reason = 'stop' where id = %s", [inserted])
        await db.execute("delete from public.messages where id = %s", [inserted])
    (created, payload), (deleted, gone) = await heard(device, 2)
    assert (created, payload["role"], payload["content"]) == ("message.created", "assistant", "imported")
    assert (deleted, gone) == ("message.deleted", {"message_id": inserted, "conversation_id": conversation})


async def test_a_question_goes_with_its_replies(
    device: Socket, db: Connection, owner: Someone, conversation: str
) -> None:
    reply = await new_reply(db, owner, conversation)
    (_, asked), _ = await heard(device, 2)
    await db.execute("delete from public.messages where id = %s", [asked["message_id"]])
    deleted = await heard(device, 2)
    assert {name for name, _ in deleted} == {"message.deleted"}
    assert {payload["message_id"] for _, payload in deleted} == {asked["message_id"], reply}


async def test_nothing_of_what_is_rolled_back(
    device: Socket, db: Connection, owner: Someone, conversation: str
) -> None:
    async with db.transaction(force_rollback=True):
        await new_message(db, owner, conversation, "never")
    await new_message(db, owner, conversation, "really")
    [(_, payload)] = await heard(device)
    assert payload["content"] == "really"


async def test_a_conversation_that_goes_says_so_once(db: Connection, owner: Someone, conversation: str) -> None:
    """Not once for each of its messages; and of a user who goes there is nobody to tell."""
    other = await new_conversation(db, owner)
    for place in (conversation, conversation, other):
        await new_message(db, owner, place)
    query = (
        "select coalesce(array_agg(event order by inserted_at), '{}') from realtime.messages "
        "where event like '%%.deleted' and topic = any(%s)"
    )
    topics = [owner.topic, f"conversation:{conversation}", f"conversation:{other}"]
    await db.execute("delete from public.conversations where id = %s", [conversation])
    assert await value(db, query, topics) == ["conversation.deleted"]
    await db.execute("delete from auth.users where id = %s", [owner.id])
    assert await value(db, query, topics) == ["conversation.deleted"]


async def test_a_reply_that_grows_while_its_conversation_goes(
    device: Socket, db: Connection, owner: Someone, conversation: str
) -> None:
    """ReplyFinder of its event stream learn that it is gone, and so does a device that watches this topic alone."""
    reply = await streaming(device, db, owner, conversation)
    await db.execute("delete from public.conversations where id = %s", [conversation])
    assert await heard(device) == [("message.deleted", {"message_id": reply, "conversation_id": conversation})]


async def test_a_large_import_does_not_flood(db: Connection, owner: Someone, conversation: str) -> None:
    await db.execute(
        "insert into public.messages (conversation_id, user_id, role, content) "
        "select %s, %s, 'user', n::text from generate_series(1, 1500) as n",
        [conversation, owner.id],
    )
    topic = f"conversation:{conversation}"
    sent = "select array_agg(payload ->> 'content') from realtime.messages where topic = %s"
    assert set(await value(db, sent, topic)) == {str(number) for number in range(1, 1001)}


async def test_a_broadcast_that_fails_fails_nothing_else(db: Connection, owner: Someone, conversation: str) -> None:
    """As when the day's partition is missing: the message is stored all the same."""
    async with db.transaction(force_rollback=True):
        partition = await value(db, "select 'realtime.messages_' || to_char(now() at time zone 'UTC', 'YYYY_MM_DD')")
        await db.execute("set local role supabase_realtime_admin")
        await db.execute(f"alter table realtime.messages detach partition {partition}")
        await db.execute("set local role postgres")
        reply = await new_reply(db, owner, conversation)
        await journal(db, (reply, 1, "stored"))
        await finish(db, reply, "stored too")
        assert await value(db, "select content from public.messages where id = %s", reply) == "stored too"
