"""What happens at the limits, in the real server's words: a server of the tests' own, with small ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import InvalidStatus

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.realtime.limits import Limits
from scripts.local_supabase.realtime.server import Config, running
from tests.realtime.people import Connection, Someone
from tests.support.sockets import Socket, connected

Serve = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def serve(stack: LocalSupabase) -> Serve:
    """A server with these limits on the stack's database: `async with serve(joins_per_second=1) as url`."""

    @asynccontextmanager
    async def serving(*, private_only: bool = False, **limits: Any) -> AsyncGenerator[str]:
        public_key = {name: value for name, value in stack.signing_key.items() if name != "d"}
        config = Config(
            port=0,
            database_url=stack.superuser_url,
            publishable_key=stack.publishable_key,
            secret_key=stack.secret_key,
            public_key=public_key,
            private_only=private_only,
            limits=Limits(**limits),
        )
        async with running(config) as port:
            yield f"http://127.0.0.1:{port}"

    return serving


def reason(answer: dict[str, Any]) -> str:
    assert answer["status"] == "error"
    return str(answer["response"]["reason"])


async def shut_down(socket: Socket) -> str:
    """The channel ended; why."""
    system = await socket.next("system")
    assert system.payload["status"] == "error"
    await socket.next("phx_close")
    return str(system.payload["message"])


async def test_connections(stack: LocalSupabase, serve: Serve) -> None:
    async with serve(connections=1) as url, connected(url, stack.publishable_key):
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(f"{url.replace('http', 'ws')}/realtime/v1/websocket?apikey={stack.publishable_key}")
        assert refused.value.response.status_code == 429
        assert b"Too many connected users" in refused.value.response.body


async def test_channels_of_a_connection(stack: LocalSupabase, serve: Serve) -> None:
    async with serve(channels_per_connection=2) as url, connected(url, stack.publishable_key) as socket:
        for name in ("one", "two"):
            assert (await socket.join(name))["status"] == "ok"
        assert reason(await socket.join("three")) == "ChannelRateLimitReached: Too many channels"
        await socket.reply(await socket.push("one", "phx_leave", {}))
        assert (await socket.join("three"))["status"] == "ok"


async def test_joins_a_second(stack: LocalSupabase, serve: Serve) -> None:
    async with serve(joins_per_second=1) as url, connected(url, stack.publishable_key) as socket:
        for number in range(6):
            assert (await socket.join(f"room {number}"))["status"] == "ok"
        assert reason(await socket.join("more")) == "ClientJoinRateLimitReached: Too many joins per second"
        assert await socket.closed() == 1000
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(f"{url.replace('http', 'ws')}/realtime/v1/websocket?apikey={stack.publishable_key}")
        assert refused.value.response.status_code == 429


async def test_messages_a_second(stack: LocalSupabase, serve: Serve) -> None:
    """Each delivery counts: of 3 a second, so 15 in the first 5 s, one sent and two received is 3."""
    async with (
        serve(messages_per_second=3) as url,
        connected(url, stack.publishable_key) as sender,
        connected(url, stack.publishable_key) as one,
        connected(url, stack.publishable_key) as two,
        httpx.AsyncClient(base_url=url, headers={"apikey": stack.publishable_key}) as http,
    ):
        for socket in (sender, one, two):
            await socket.join("room")
        batch = {"messages": [{"topic": "room", "event": "e", "payload": {}}] * 4}
        refused = await http.post("/realtime/v1/api/broadcast", json=batch)
        assert refused.json() == {"message": "Too many messages to broadcast, please reduce the batch size"}
        for number in range(6):
            await sender.broadcast("room", str(number), {})
        for socket in (one, two):
            assert [(await socket.next("broadcast")).payload["event"] for _ in range(6)] == list("012345")
            assert await shut_down(socket) == "Too many messages per second"
        for url_path in ("/realtime/v1/api/broadcast", "/realtime/v1/api/broadcast/room/events/e"):
            body = {"messages": batch["messages"][:1]}
            refused = await http.post(url_path, json=body)
            assert (refused.status_code, refused.json()) == (429, {"message": "You have exceeded your rate limit"})


async def test_presence_messages_a_second(stack: LocalSupabase, serve: Serve) -> None:
    async with (
        serve(presence_messages_per_second=1, presence_calls=100) as url,
        connected(url, stack.publishable_key) as socket,
    ):
        await socket.join("room", presence={"enabled": True, "key": "k"})
        for number in range(10):
            track = {"type": "presence", "event": "track", "payload": {"n": number}}
            await socket.push("room", "presence", track)
        assert await shut_down(socket) == "Too many presence messages per second"


async def test_size_of_a_message(stack: LocalSupabase, serve: Serve) -> None:
    async with serve(payload_kilobytes=1) as url, connected(url, stack.publishable_key) as socket:
        await socket.join("room", broadcast={"ack": True, "self": True}, presence={"enabled": True, "key": "k"})
        ref = await socket.broadcast("room", "large", {"text": "x" * 1500})
        assert (await socket.reply(ref))["response"] == {"reason": "payload_size_exceeded"}
        ref = await socket.broadcast("room", "small", {"text": "x" * 1000})
        assert (await socket.reply(ref))["status"] == "ok"
        assert (await socket.next("broadcast")).payload["event"] == "small"
        track = {"type": "presence", "event": "track", "payload": {"text": "x" * 1500}}
        await socket.push("room", "presence", track)
        assert await shut_down(socket) == "Track message size exceeded"


async def test_private_channels_only(stack: LocalSupabase, serve: Serve, owner: Someone) -> None:
    async with serve(private_only=True) as url, connected(url, stack.publishable_key) as socket:
        assert reason(await socket.join("room")) == "PrivateOnly: This project only allows private channels"
        assert (await socket.join(owner.topic, private=True, token=owner.token))["status"] == "ok"


async def test_a_silent_client(stack: LocalSupabase, serve: Serve) -> None:
    async with serve(idle_seconds=0.2) as url, connected(url, stack.publishable_key) as socket:
        assert await socket.closed() == 1001


async def test_a_client_that_does_not_read(stack: LocalSupabase, serve: Serve, db: Connection, owner: Someone) -> None:
    """It loses its connection; the others get everything."""
    async with serve(waiting_bytes=3_000_000) as url, connected(url, stack.publishable_key) as good:
        address = f"{url.replace('http', 'ws')}/realtime/v1/websocket?apikey={stack.publishable_key}&vsn=2.0.0"
        connection = await open_socket(address, max_queue=1)
        bad = Socket(connection, "2.0.0")
        for socket in (good, bad):
            await socket.join(owner.topic, private=True, token=owner.token)
        bad.connection.transport.pause_reading()
        text = "x" * 200_000
        for number in range(60):
            query = "select realtime.send(jsonb_build_object('text', %s::text), %s, %s, true)"
            await db.execute(query, [text, str(number), owner.topic])
        assert [(await good.next()).payload["event"] for _ in range(60)] == [str(number) for number in range(60)]
        bad.connection.transport.resume_reading()
        assert await bad.closed() == 1006
        assert len(bad.inbox) < 60
