"""Stop, on the writer or any other replica: the provider is left within a second, and what there is is kept."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.support.replica_client import Client, Transcript, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api
from tests.support.upstream import Upstream


@pytest.mark.parametrize("on", [0, 1], ids=["on the writer", "on another replica"])
async def test_stopping_keeps_the_partial(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows, on: int
) -> None:
    conversation = await client.new_conversation(replicas[0])
    marker = uuid.uuid4().hex
    seen = Transcript()
    async with client.sending(replicas[0], conversation, {"id": marker, "tokens": 500, "gap": 0.02}) as response:
        await read(response, seen, until=tokens(5))
        reading = asyncio.create_task(read(response, seen))
        asked_at = asyncio.get_running_loop().time()
        status, body = await client.stop(replicas[on], str(seen.message_id))
        assert status == (202 if on else 200)
        assert body["status"] == ("streaming" if on else "stopped")
        await reading

    (call,) = upstream.calls_of(marker)
    await eventually(lambda: call.ended_at)
    assert call.cancelled
    assert call.ended_at is not None
    assert call.ended_at - asked_at < 1.0

    reply = rows.message(seen.message_id)
    assert seen.ending is not None
    assert seen.ending.name == "stopped"
    assert reply["status"] == "stopped"
    assert reply["content"] == seen.text
    assert len(reply["content"]) >= len("tok0 ") * 5
    assert call.text.startswith(reply["content"])
    assert reply["completion_tokens"] > 0
    assert reply["prompt_tokens"] > 0
    assert seen.ending.data["usage"]["completion_tokens"] == reply["completion_tokens"]
    assert rows.leases(client.person.id) == 0

    for api in replicas:  # once more, and once more
        status, body = await client.stop(api, str(seen.message_id))
        assert (status, body["status"]) == (200, "stopped")
        assert (await client.message(api, str(seen.message_id)))["content"] == seen.text


async def test_stopping_before_the_first_token_leaves_an_empty_reply(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream
) -> None:
    conversation = await client.new_conversation(replicas[0])
    marker = uuid.uuid4().hex
    begun = await client.post(replicas[0], conversation, {"id": marker, "first": 30})
    await eventually(lambda: upstream.calls_of(marker))
    status, body = await client.stop(replicas[0], begun["message"]["id"])
    assert (status, body["status"], body["content"]) == (200, "stopped", "")
    (call,) = upstream.calls_of(marker)
    await eventually(lambda: call.cancelled, within=1)


async def test_many_stops_at_once_are_one(replicas: tuple[Api, Api], client: Client, rows: Rows) -> None:
    conversation = await client.new_conversation(replicas[0])
    begun = await client.post(replicas[0], conversation, {"tokens": 500, "gap": 0.02})
    message_id = begun["message"]["id"]
    readers = [asyncio.create_task(client.follow(api, message_id)) for api in replicas]
    answers = await asyncio.gather(*(client.stop(replicas[i % 2], message_id) for i in range(10)))
    assert {status for status, _ in answers} <= {200, 202}
    for transcript in await asyncio.gather(*readers):
        assert transcript.ending is not None
        assert transcript.ending.name == "stopped"
        assert transcript.text == rows.message(message_id)["content"]


async def test_stopping_a_finished_reply_changes_nothing(replicas: tuple[Api, Api], client: Client, rows: Rows) -> None:
    conversation = await client.new_conversation(replicas[0])
    whole = await client.send(replicas[0], conversation, {"tokens": 3})
    before = rows.message(whole.message_id)
    for api in replicas:
        status, body = await client.stop(api, str(whole.message_id))
        assert (status, body["status"], body["content"]) == (200, "complete", whole.text)
    assert rows.message(whole.message_id) == before


async def test_deleting_the_conversation_ends_its_reply(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    marker = uuid.uuid4().hex
    async with client.sending(replicas[0], conversation, {"id": marker, "tokens": 500, "gap": 0.02}) as response:
        seen = await read(response, until=tokens(3))
        elsewhere = Transcript()
        following = asyncio.create_task(client.follow(replicas[1], str(seen.message_id), elsewhere))
        await eventually(lambda: elsewhere.events)
        async with client.session.delete(
            f"{replicas[0].url}/v1/conversations/{conversation}", headers=client.person.headers
        ) as deleted:
            assert deleted.status == 204
        deleted_at = asyncio.get_running_loop().time()
        await read(response, seen)
    (call,) = upstream.calls_of(marker)
    await eventually(lambda: call.cancelled, within=1.5)
    await following
    for transcript in (seen, elsewhere):
        assert transcript.ending is not None
        assert transcript.ending.name == "error"
        assert transcript.ending.data["problem"]["code"] == "not_found"
        assert transcript.text == ""
    assert asyncio.get_running_loop().time() - deleted_at < 5
    assert rows.of(client.person.id) == []
