"""Postgres is killed with -9, whole or in part: Realtime outlives it, joins work again, and replies are pushed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import psycopg
import pytest
from realtime import AsyncRealtimeClient

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import Child
from tests.realtime.javascript_client import about, scenario
from tests.realtime.people import Tokens, finish, journal, new_conversation, new_reply, new_someone
from tests.support.python_client import SUBSCRIBED, Inbox, config, subscribe


@pytest.fixture(scope="module")
def own_stack() -> Iterator[LocalSupabase]:
    """A Supabase of this file's own: every connection to its database is lost."""
    with LocalSupabase.throwaway() as running:
        yield running


def part(stack: LocalSupabase, name: str) -> Child:
    [child] = [child for child in stack.children if child.name == name]
    return child


def kill_server(stack: LocalSupabase) -> None:
    """The server itself, which is then started again, as `make run` does."""
    postgres = part(stack, "postgres")
    postgres.process.kill()
    postgres.process.wait()
    stack.restart(postgres)


def kill_connections(stack: LocalSupabase, application: str) -> None:
    """Those of one program: the server ends all others too and starts anew by itself."""
    with psycopg.connect(stack.superuser_url, autocommit=True) as connection:
        query = "select pid from pg_catalog.pg_stat_activity where application_name = %s"
        pids = [pid for (pid,) in connection.execute(query, [application])]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


# the client reads an attribute that its WebSocket library has deprecated; as an error that would end its task
@pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning")
@pytest.mark.parametrize("killed", ["server", "realtime_replication_connection", "realtime"])
async def test_official_clients_join_and_hear_again(own_stack: LocalSupabase, killed: str) -> None:
    tokens = Tokens(own_stack)
    async with await psycopg.AsyncConnection.connect(own_stack.database_url, autocommit=True) as db:
        owner = await new_someone(db, tokens)
        conversation = await new_conversation(db, owner)
    topic = f"conversation:{conversation}"
    server = part(own_stack, "realtime").process.pid

    async def client() -> AsyncRealtimeClient:
        made = AsyncRealtimeClient(f"{own_stack.url}/realtime/v1", own_stack.publishable_key, initial_backoff=0.05)
        await made.connect()
        await made.set_auth(owner.token)
        return made

    settings = {"url": own_stack.url, "key": own_stack.publishable_key, "vsn": "2.0.0"}
    python = await client()
    channel = python.channel(topic, config(private=True))
    heard = Inbox()
    for event in ("message.created", "message.started", "message.delta", "message.completed"):
        channel.on_broadcast(event, heard.put)
    async with scenario("reconnection", settings, **about(owner, topic=topic)) as javascript:
        statuses, first, _ = await subscribe(channel)
        assert first == SUBSCRIBED
        await javascript.ready()

        if killed == "server":
            kill_server(own_stack)
        else:
            kill_connections(own_stack, killed)

        await javascript.ready()
        while (await statuses.next())[0] != SUBSCRIBED:
            pass
        # somebody who was not there before
        late = await client()
        assert (await subscribe(late.channel(topic, config(private=True))))[1] == SUBSCRIBED
        async with await psycopg.AsyncConnection.connect(own_stack.database_url, autocommit=True) as db:
            reply = await new_reply(db, owner, conversation)
            await journal(db, (reply, 1, "Back "))
            await finish(db, reply, "Back again.")
        events = [await heard.next()]
        while events[-1]["event"] != "message.completed":
            events.append(await heard.next())
        deltas = [event["payload"]["text"] for event in events if event["event"] == "message.delta"]
        assert "".join(deltas) == "Back again."
        assert (await javascript.seen())["heard"] == "message.created"
    for one in (python, late):
        await one.close()
    assert (part(own_stack, "realtime").process.pid, part(own_stack, "realtime").alive()) == (server, True)
