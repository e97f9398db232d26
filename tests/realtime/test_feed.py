"""The task that reads the database's messages: nothing that goes wrong in it ends it without a word."""

from __future__ import annotations

import asyncio
import uuid

import psycopg
import pytest
from psycopg import pq

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.realtime import feed as module
from scripts.local_supabase.realtime.feed import Feed
from scripts.local_supabase.realtime.wire import Broadcast
from tests.realtime.people import Connection
from tests.support.replica_client import eventually


async def test_a_receiver_that_fails_is_logged_and_the_next_message_arrives(
    stack: LocalSupabase, db: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    topic = str(uuid.uuid4())
    arrived: asyncio.Queue[str] = asyncio.Queue()
    lost = asyncio.Event()

    def receive(name: str, _: bool, message: Broadcast) -> None:
        if name == topic:
            if message.event == "poison":
                raise KeyError("a fault of ours")
            arrived.put_nowait(message.event)

    ready = asyncio.Event()
    feed = Feed(stack.superuser_url, receive, lost.set)
    running = asyncio.create_task(feed.run(ready))
    try:
        async with asyncio.timeout(30):
            await ready.wait()
            await db.execute("select realtime.send('{}', 'poison', %s)", [topic])
            await lost.wait()
            await eventually(lambda: feed.running)
            await db.execute("select realtime.send('{}', 'after', %s)", [topic])
            assert await arrived.get() == "after"
        assert "KeyError: 'a fault of ours'" in caplog.text
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_it_is_told_once_that_the_stream_is_lost(stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at each of the tries to open it again: clients that wait for it keep their connection."""
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.01)
    losses, left, away, tries = 0, 5, False, asyncio.Event()
    loop, opening = asyncio.get_running_loop(), module._open

    def opened(url: str) -> pq.abc.PGconn:
        nonlocal left
        if away:
            left -= 1
            if left == 0:
                loop.call_soon_threadsafe(tries.set)
            raise module.FeedBroken("cannot connect")
        return opening(url)

    def lose() -> None:
        nonlocal losses
        losses += 1

    monkeypatch.setattr(module, "_open", opened)
    ready = asyncio.Event()
    feed = Feed(stack.superuser_url, lambda *_: None, lose)
    running = asyncio.create_task(feed.run(ready))
    try:
        async with asyncio.timeout(30):
            await ready.wait()
            away = True
            async with await psycopg.AsyncConnection.connect(stack.superuser_url, autocommit=True) as superuser:
                await superuser.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where backend_start = "
                    "(select max(backend_start) from pg_stat_activity "
                    "where application_name = 'realtime_replication_connection')"
                )
            await tries.wait()
        assert losses == 1
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
