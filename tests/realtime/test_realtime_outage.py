"""Without Realtime everything else goes on as before; when it is back, devices catch up by themselves."""

from __future__ import annotations

from collections.abc import Callable, Generator

import psycopg
import pytest
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import InvalidStatus

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import Child
from tests.realtime.conftest import Connect
from tests.realtime.people import Connection, Someone
from tests.support.device import Device, running
from tests.support.replica_client import Client, Transcript, read, tokens
from tests.support.service import Api


@pytest.fixture
def kill(stack: LocalSupabase) -> Generator[Callable[[], Callable[[], None]]]:
    """Kills the Realtime server; what it returns brings it back, and so does the end of the test."""
    killed: list[Child] = []

    def restart() -> None:
        if killed:
            stack.restart(killed.pop())

    def kill_it() -> Callable[[], None]:
        [realtime] = [child for child in stack.children if child.name == "realtime"]
        realtime.process.kill()
        realtime.process.wait()
        killed.append(realtime)
        return restart

    yield kill_it
    restart()


async def test_sending_storing_resuming_and_stopping(
    stack: LocalSupabase, client: Client, api: Api, kill: Callable[[], Callable[[], None]]
) -> None:
    conversation = await client.new_conversation(api)
    async with running(Device(stack, client, api, conversation)) as device:
        await device.joined()
        bring_back = kill()
        with pytest.raises(InvalidStatus) as refused:
            await open_socket(f"{stack.url.replace('http', 'ws')}/realtime/v1/websocket?apikey=x")
        assert refused.value.response.status_code == 503

        # a whole reply; one whose stream is dropped and resumed; one that is stopped
        whole = await client.send(api, conversation, {"tokens": 30})
        assert whole.ending is not None
        assert whole.ending.name == "done"
        dropped = Transcript()
        async with client.sending(api, conversation, {"tokens": 60, "gap": 0.02}) as response:
            await read(response, dropped, until=tokens(10))
        assert dropped.message_id is not None
        await client.follow(api, dropped.message_id, dropped)
        begun = await client.post(api, conversation, {"tokens": 1000, "gap": 0.02})
        status, stopped = await client.stop(api, begun["message"]["id"])
        assert (status, stopped["status"]) == (200, "stopped")
        stored = {row["id"]: row for row in await client.history(api, conversation)}
        for transcript in (whole, dropped):
            assert transcript.message_id is not None
            assert transcript.text == stored[transcript.message_id]["content"] != ""
            assert stored[transcript.message_id]["status"] == "complete"
        assert device.messages == {}

        bring_back()
        await device.joined(times=2)
        assert {id_: held.content for id_, held in device.messages.items()} == {
            id_: row["content"] for id_, row in stored.items()
        }


async def test_a_gap_in_the_feed_is_not_silent(
    stack: LocalSupabase, connect: Connect, db: Connection, owner: Someone
) -> None:
    """The server loses its replication stream: clients are sent away, so that they join again and catch up."""
    async with connect() as socket:
        await socket.join(owner.topic, private=True, token=owner.token)
        async with await psycopg.AsyncConnection.connect(stack.superuser_url, autocommit=True) as superuser:
            await superuser.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity "
                "where application_name = 'realtime_replication_connection'"
            )
        assert await socket.closed() == 1012
    status = "error"
    while status != "ok":  # refused until the stream is there again
        async with connect() as socket:
            answer = await socket.join(owner.topic, private=True, token=owner.token)
            status = answer["status"]
            if status == "ok":
                await db.execute("select realtime.send('{}', 'back', %s, true)", [owner.topic])
                assert (await socket.next()).payload["event"] == "back"
            else:
                reason = "InitializingProjectConnection: Connecting to the project database"
                assert answer["response"]["reason"] == reason


async def test_connections_to_the_database_are_made_anew(
    stack: LocalSupabase, connect: Connect, owner: Someone
) -> None:
    async with connect() as socket, await psycopg.AsyncConnection.connect(stack.superuser_url, autocommit=True) as db:
        await socket.join(owner.topic, private=True, token=owner.token)
        await db.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'realtime'")
        assert (await socket.join(owner.topic, private=True, token=owner.token))["status"] == "ok"
