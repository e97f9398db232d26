"""The official Python client, unchanged, against the local server and what the database pushes."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from realtime import (
    AsyncRealtimeClient,
    RealtimePostgresChangesListenEvent,
)
from realtime.exceptions import RealtimeHTTPError

from scripts.local_supabase import LocalSupabase
from tests.realtime.people import Connection, Someone, Tokens, new_message, soon
from tests.support.proxy import Proxy
from tests.support.python_client import CHANNEL_ERROR, CLOSED, SUBSCRIBED, Inbox, config, subscribe

NewClient = Callable[..., Awaitable[AsyncRealtimeClient]]


@pytest.fixture
async def new_client(stack: LocalSupabase) -> AsyncGenerator[NewClient]:
    """Makes connected clients; `token` signs a user in."""
    async with AsyncExitStack() as opened:

        async def connect(token: str | None = None, url: str = stack.url) -> AsyncRealtimeClient:
            client = AsyncRealtimeClient(f"{url}/realtime/v1", stack.publishable_key, initial_backoff=0.05)
            await client.connect()
            opened.push_async_callback(client.close)
            if token is not None:
                await client.set_auth(token)
            return client

        yield connect


def say(db: Connection, topic: str, event: str) -> Awaitable[Any]:
    return db.execute("select realtime.send('{}', %s, %s, true)", [event, topic])


async def test_broadcast(new_client: NewClient) -> None:
    one, two = await new_client(), await new_client()
    sender, receiver = one.channel("room"), two.channel("room", config())
    own, heard = Inbox(), Inbox()
    sender.on_broadcast("message", own.put)
    receiver.on_broadcast("message", heard.put)
    assert [(await subscribe(channel))[1] for channel in (sender, receiver)] == [SUBSCRIBED] * 2
    for payload in ({"é": [1, None]}, {"n": 2}):
        await sender.send_broadcast("message", payload)
    await sender.send_broadcast("other", {})
    assert [(await heard.next())["payload"] for _ in range(2)] == [{"é": [1, None]}, {"n": 2}]
    assert own.empty


async def test_own_broadcasts(new_client: NewClient) -> None:
    """As the client's own suite: with self and ack, three in a row."""
    channel = (await new_client()).channel("room", config(self=True, ack=True))
    heard = Inbox()
    channel.on_broadcast("e", heard.put)
    await subscribe(channel)
    for number in range(3):
        await channel.send_broadcast("e", {"n": number})
        message = await heard.next()
        assert (message["event"], message["payload"]) == ("e", {"n": number})


async def test_presence(new_client: NewClient) -> None:
    """As the client's own suite: come, change, go."""
    channel = (await new_client()).channel("room")
    synced, joined, left = Inbox(), Inbox(), Inbox()
    channel.on_presence_sync(lambda: synced.put(True)).on_presence_join(joined.put).on_presence_leave(left.put)
    await subscribe(channel)
    await synced.next()
    assert channel.presence_state() == {}

    await channel.track({"user": 1})
    await synced.next()
    key, before, new = await joined.next()
    assert (before, new[0]["user"]) == ([], 1)
    assert channel.presence_state() == {key: new}

    await channel.track({"user": 2})
    await synced.next()
    again, _, new = await joined.next()
    assert (again, new[0]["user"]) == (key, 2)
    assert (await left.next())[2][0]["user"] == 1
    assert channel.presence_state() == {key: new}

    await channel.untrack()
    await synced.next()
    assert (await left.next())[2][0]["user"] == 2
    assert channel.presence_state() == {}


async def test_presence_of_others(new_client: NewClient) -> None:
    one, two = await new_client(), await new_client()
    first = one.channel(
        "room", {"config": {"broadcast": None, "presence": {"key": "first", "enabled": True}, "private": False}}
    )
    second = two.channel("room")
    joined, left = Inbox(), Inbox()
    second.on_presence_join(joined.put).on_presence_leave(left.put)
    await subscribe(first)
    await subscribe(second)
    await first.track({"mood": "good"})
    key, _, new = await joined.next()
    assert (key, new[0]["mood"]) == ("first", "good")
    await one.close()
    assert (await left.next())[0] == "first"


async def test_sending_over_http(new_client: NewClient, owner: Someone) -> None:
    listening = (await new_client()).channel("room")
    heard = Inbox()
    listening.on_broadcast("e", heard.put)
    await subscribe(listening)
    away = await new_client()
    await away.channel("room").http_send("e", {"a": 1})
    assert (await heard.next())["payload"] == {"a": 1}
    with pytest.raises(RealtimeHTTPError, match="Unauthorized"):
        await away.channel("nobody", config(private=True)).http_send("e", {})
    signed_in = await new_client(owner.token)
    with pytest.raises(RealtimeHTTPError, match="Unauthorized"):
        await signed_in.channel(owner.topic, config(private=True)).http_send("e", {})


async def test_leaving(new_client: NewClient) -> None:
    client = await new_client()
    channel = client.channel("room")
    statuses, first, _ = await subscribe(channel)
    assert first == SUBSCRIBED
    await channel.unsubscribe()
    assert (await statuses.next())[0] == CLOSED
    assert client.get_channels() == []
    # the client takes a late phx_close for the end of any channel of that name: an answer after it says that it came
    assert (await subscribe(client.channel("another room")))[1] == SUBSCRIBED
    assert (await subscribe(client.channel("room")))[1] == SUBSCRIBED


async def test_joining_a_private_channel(
    new_client: NewClient, owner: Someone, stranger: Someone, conversation: str
) -> None:
    for topic in (owner.topic, f"conversation:{conversation}"):
        refusal = f"Unauthorized: You do not have permissions to read from this Channel topic: {topic}"
        for token, expected in ((owner.token, SUBSCRIBED), (stranger.token, CHANNEL_ERROR), (None, CHANNEL_ERROR)):
            client = await new_client(token)
            _, status, error = await subscribe(client.channel(topic, config(private=True)))
            assert status == expected
            assert (refusal in error) == (status == CHANNEL_ERROR)
            await client.close()


async def test_postgres_changes_are_refused(new_client: NewClient) -> None:
    channel = (await new_client()).channel("room")
    channel.on_postgres_changes(RealtimePostgresChangesListenEvent.All, lambda _: None, table="messages")
    _, status, error = await subscribe(channel)
    assert status == CHANNEL_ERROR
    assert "has no Postgres Changes" in error


async def test_forged_events_reach_nobody(
    new_client: NewClient, db: Connection, owner: Someone, conversation: str
) -> None:
    topic = f"conversation:{conversation}"
    channels = [(await new_client(owner.token)).channel(topic, config(private=True, self=True)) for _ in range(2)]
    heard = [Inbox(), Inbox()]
    for channel, inbox in zip(channels, heard, strict=True):
        channel.on_broadcast("message.delta", inbox.put).on_broadcast("message.created", inbox.put)
        await subscribe(channel)
    await channels[0].send_broadcast("message.delta", {"text": "forged"})
    await new_message(db, owner, conversation)
    assert [(await inbox.next())["event"] for inbox in heard] == ["message.created"] * 2


async def test_an_expired_token_is_cut_off_and_a_renewed_one_is_not(
    new_client: NewClient, db: Connection, owner: Someone, tokens: Tokens
) -> None:
    short = tokens.of(owner.id, exp=soon())
    expiring, renewed = await new_client(short), await new_client(short)
    statuses, first, _ = await subscribe(expiring.channel(owner.topic, config(private=True)))
    heard = Inbox()
    kept = renewed.channel(owner.topic, config(private=True))
    kept.on_broadcast("still here", heard.put)
    await subscribe(kept)
    await renewed.set_auth(owner.token)
    assert first == SUBSCRIBED
    status, error = await statuses.next()
    assert status == CHANNEL_ERROR
    assert re.search(r"Token has expired [0-4] seconds ago", error)
    assert (await statuses.next())[0] == CLOSED
    await say(db, owner.topic, "still here")
    assert (await heard.next())["event"] == "still here"


async def test_replay(new_client: NewClient, db: Connection, owner: Someone) -> None:
    since = int(time.time() * 1000) - 1000
    for number in (1, 2, 3):
        await db.execute("select realtime.send(jsonb_build_object('n', %s::int), 'e', %s, true)", [number, owner.topic])
    replay = {"since": since, "limit": 2}
    channel = (await new_client(owner.token)).channel(owner.topic, config(private=True, replay=replay))
    heard = Inbox()
    channel.on_broadcast("e", heard.put)
    await subscribe(channel)
    assert [(await heard.next())["payload"]["n"] for _ in range(2)] == [2, 3]


# the client reads an attribute that its WebSocket library has deprecated; as an error that would end its task
@pytest.mark.filterwarnings("ignore:ConnectionClosed:DeprecationWarning")
async def test_reconnection_resumes(
    stack: LocalSupabase, new_client: NewClient, db: Connection, owner: Someone
) -> None:
    async with Proxy(stack.url) as proxy:
        channel = (await new_client(owner.token, proxy.url)).channel(owner.topic, config(private=True))
        heard = Inbox()
        channel.on_broadcast("e", heard.put)
        statuses, first, _ = await subscribe(channel)
        assert first == SUBSCRIBED
        await say(db, owner.topic, "e")
        await heard.next()
        proxy.cut()
        assert (await statuses.next())[0] == CHANNEL_ERROR
        assert (await statuses.next())[0] == SUBSCRIBED
        await say(db, owner.topic, "e")
        await heard.next()
