"""Broadcasts that SQL sends: after the commit, in order, of any size, at once."""

from __future__ import annotations

import asyncio
import time
import uuid

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.realtime.conftest import Connect
from tests.realtime.people import Connection, Someone, value
from tests.support.sockets import V1, V2

SEND = "select realtime.send(%s::jsonb, %s, %s, %s)"


@pytest.mark.parametrize("version", [V1, V2])
async def test_send(connect: Connect, db: Connection, owner: Someone, version: str) -> None:
    async with connect(version) as socket:
        await socket.join(owner.topic, private=True, token=owner.token)
        await db.execute(SEND, ['{"é": [1, null]}', "happened", owner.topic, True])
        message = await socket.next()
        assert message.topic == f"realtime:{owner.topic}"
        assert (message.payload["type"], message.payload["event"]) == ("broadcast", "happened")
        row = await value(db, "select id::text from realtime.messages where topic = %s", owner.topic)
        # send() puts an id into the payload, another than the row's only when there was one
        assert message.payload["meta"] == {"id": row}
        assert message.sent == {"é": [1, None], "id": row}


async def test_public_topics(connect: Connect, db: Connection) -> None:
    topic = f"room:{uuid.uuid4()}"
    async with connect() as socket:
        await socket.join(topic)
        await db.execute(SEND, ["{}", "private", topic, True])
        await db.execute(SEND, ['{"id": "mine"}', "public", topic, False])
        message = await socket.next()
        assert (message.payload["event"], message.sent) == ("public", {"id": "mine"})


async def test_after_the_commit_in_the_order_of_commits(
    stack: LocalSupabase, connect: Connect, db: Connection, owner: Someone
) -> None:
    async with (
        connect() as socket,
        await psycopg.AsyncConnection.connect(stack.database_url) as first,
        await psycopg.AsyncConnection.connect(stack.database_url) as second,
    ):
        await socket.join(owner.topic, private=True, token=owner.token)
        for number in (1, 2):
            await first.execute(SEND, ["{}", f"first {number}", owner.topic, True])
        await second.execute(SEND, ["{}", "rolled back", owner.topic, True])
        await second.rollback()
        await second.execute(SEND, ["{}", "second", owner.topic, True])
        await second.commit()
        await db.execute(SEND, ["{}", "third", owner.topic, True])
        await first.commit()
        events = [(await socket.next()).payload["event"] for _ in range(4)]
        assert events == ["second", "third", "first 1", "first 2"]


async def test_larger_than_a_notification_may_be(connect: Connect, db: Connection, owner: Someone) -> None:
    async with connect() as socket:
        await socket.join(owner.topic, private=True, token=owner.token)
        query = "select realtime.send(jsonb_build_object('text', repeat('é', 100000)), 'large', %s, true)"
        await db.execute(query, [owner.topic])
        assert (await socket.next()).sent["text"] == "é" * 100_000


async def test_many_in_one_transaction(connect: Connect, db: Connection, owner: Someone) -> None:
    async with connect() as socket:
        await socket.join(owner.topic, private=True, token=owner.token)
        query = "select realtime.send(jsonb_build_object('n', n), 'e', %s, true) from generate_series(1, 500) as n"
        await db.execute(query, [owner.topic])
        assert [(await socket.next()).sent["n"] for _ in range(500)] == list(range(1, 501))


async def test_bytes(connect: Connect, db: Connection, owner: Someone) -> None:
    async with connect() as modern, connect(V1) as old:
        for socket in (modern, old):
            await socket.join(owner.topic, private=True, token=owner.token)
        await db.execute("select realtime.send_binary(%s, 'bytes', %s, true)", [b"\x00\xff\\x", owner.topic])
        await db.execute(SEND, ["{}", "after", owner.topic, True])
        message = await modern.next()
        assert (message.payload["event"], message.sent) == ("bytes", b"\x00\xff\\x")
        assert (await old.next()).payload["event"] == "after"


async def test_changes_of_rows(connect: Connect, db: Connection, owner: Someone) -> None:
    """realtime.broadcast_changes, called by a trigger."""
    async with connect() as socket:
        await socket.join(owner.topic, private=True, token=owner.token)
        async with db.transaction():
            await db.execute("create temporary table notes (id integer primary key, note text) on commit drop")
            await db.execute(
                "create function pg_temp.tell() returns trigger language plpgsql as $$ begin "
                "perform realtime.broadcast_changes(tg_argv[0], tg_op, tg_op, tg_table_name, 'notes', new, old); "
                "return null; end $$"
            )
            await db.execute(
                "create trigger tell after insert or update or delete on notes for each row "
                f"execute function pg_temp.tell('{owner.topic}')"
            )
            await db.execute("insert into notes values (1, 'a')")
            await db.execute("update notes set note = 'b'")
            await db.execute("delete from notes")
        seen = [(await socket.next()).payload for _ in range(3)]
        for message, before, after in zip(seen, (None, "a", "b"), ("a", "b", None), strict=True):
            changed = message["payload"]
            assert changed["operation"] == message["event"]
            assert (changed["table"], changed["schema"]) == ("notes", "notes")
            assert changed["old_record"] == (before and {"id": 1, "note": before})
            assert changed["record"] == (after and {"id": 1, "note": after})


async def test_a_failure_is_a_warning(connect: Connect, db: Connection, owner: Someone) -> None:
    """A payload that is no object cannot get its id: whoever calls send goes on."""
    async with connect() as socket:
        await socket.join(owner.topic, private=True, token=owner.token)
        await db.execute(SEND, ["[]", "impossible", owner.topic, True])
        await db.execute(SEND, ["{}", "possible", owner.topic, True])
        assert (await socket.next()).payload["event"] == "possible"


async def test_at_once(connect: Connect, db: Connection, owner: Someone) -> None:
    """From the commit to the client within 30 ms, as the middle of 50 tries: others use this machine too."""
    async with connect() as socket:
        await socket.join(owner.topic, private=True, token=owner.token)
        waits = []
        for number in range(50):
            await db.execute(SEND, ["{}", str(number), owner.topic, True])
            committed = time.perf_counter()
            await socket.next()
            waits.append(time.perf_counter() - committed)
            await asyncio.sleep(0)
        assert sorted(waits)[25] < 0.030


async def test_the_publication_is_the_platforms(connect: Connect, db: Connection) -> None:
    async with connect():
        tables = await value(
            db,
            "select array_agg(distinct tablename::text) from pg_publication_tables "
            "where pubname = 'supabase_realtime_messages_publication'",
        )
    assert tables
    assert all(table.startswith("messages_20") for table in tables)
