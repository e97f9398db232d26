"""Another reply to the same message: the old one stays, the newest with text is what the conversation goes on from."""

from __future__ import annotations

import asyncio
import uuid

from tests.support.replica_client import Client, content, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api
from tests.support.upstream import Upstream


async def test_versions_count_up_and_old_ones_stay_readable(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    marker = uuid.uuid4().hex
    first = await client.send(replicas[0], conversation, {"id": marker, "tokens": 4})
    # to a reply, to the message itself, to a reply that is no longer the newest; on either replica
    for api, target in (
        (replicas[1], first.message_id),
        (replicas[0], first.user_message_id),
        (replicas[1], first.message_id),
    ):
        async with client.regenerating(api, str(target)) as response:
            again = await read(response)
        assert again.user_message_id == first.user_message_id
        assert again.message_id != first.message_id
        assert again.text == first.text

    asked, shown = await client.history(replicas[0], conversation)
    assert (asked["id"], shown["id"], shown["version"]) == (first.user_message_id, again.message_id, 4)
    place = shown["siblings"]
    for version in (3, 2, 1):
        older = await client.message(replicas[1], place["previous_id"])
        assert (older["parent_id"], older["version"], older["status"]) == (asked["id"], version, "complete")
        place = older["siblings"]
    assert place["previous_id"] is None
    assert (await client.follow(replicas[1], str(first.message_id))).text == first.text
    # no reply to the message was part of what was asked for another one
    for call in upstream.calls_of(marker):
        assert [message["role"] for message in call.body["messages"]] == ["user"]


async def test_history_takes_the_reply_that_is_shown(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    opening, marker = {"id": uuid.uuid4().hex, "tokens": 2, "first": 0.2}, uuid.uuid4().hex
    first = await client.send(replicas[0], conversation, opening)
    async with client.regenerating(replicas[0], str(first.message_id)) as response:
        second = await read(response)
    rows.all("update public.messages set content = 'the second' where id = %s returning id", second.message_id)
    # a third one, stopped before it said anything
    async with client.regenerating(replicas[0], str(first.message_id)) as response:
        third = await read(response, until=lambda transcript: transcript.message_id is not None)
        await client.stop(replicas[0], str(third.message_id))
    assert rows.message(third.message_id)["content"] == ""

    # any of them may be continued
    path = f"/v1/conversations/{conversation}"
    status, row, _ = await client.call(replicas[1], "PATCH", path, {"head_id": second.message_id})
    assert (status, row["head_id"]) == (200, second.message_id)
    await client.send(replicas[1], conversation, {"id": marker})
    (call,) = upstream.calls_of(marker)
    assert call.body["messages"] == [
        {"role": "user", "content": content(opening)},
        {"role": "assistant", "content": "the second"},
        {"role": "user", "content": content({"id": marker})},
    ]


async def test_a_reply_that_streams_is_not_regenerated(replicas: tuple[Api, Api], client: Client, rows: Rows) -> None:
    conversation = await client.new_conversation(replicas[0])
    async with client.sending(replicas[0], conversation, {"tokens": 300, "gap": 0.02}) as response:
        seen = await read(response, until=tokens(1))
        for api in replicas:
            status, problem, _ = await client.call(api, "POST", f"/v1/messages/{seen.message_id}/regenerate", {})
            assert (status, problem["code"]) == (409, "conflict")
        await client.stop(replicas[0], str(seen.message_id))
    async with client.regenerating(replicas[1], str(seen.message_id)) as response:
        again = await read(response, until=tokens(1))
        await client.stop(replicas[1], str(again.message_id))
    assert [row["version"] for row in rows.of(client.person.id, "assistant")] == [1, 2]


async def test_parallel_regenerations_are_one(replicas: tuple[Api, Api], client: Client, rows: Rows) -> None:
    """Without a key: one is begun, the others are told that it streams."""
    conversation = await client.new_conversation(replicas[0])
    first = await client.send(replicas[0], conversation, {"tokens": 1, "first": 0.5})
    path = f"/v1/messages/{first.message_id}/regenerate"
    answers = await asyncio.gather(*(client.call(replicas[i % 2], "POST", path, {}) for i in range(6)))
    assert sorted(status for status, _, _ in answers) == [202, 409, 409, 409, 409, 409]
    await eventually(lambda: rows.streaming(client.person.id) == 0)


async def test_a_stranger_cannot_regenerate(
    replicas: tuple[Api, Api], client: Client, stranger: Client, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    first = await client.send(replicas[0], conversation, {"tokens": 1})
    for message_id in (first.message_id, first.user_message_id):
        status, problem, _ = await stranger.call(replicas[0], "POST", f"/v1/messages/{message_id}/regenerate", {})
        assert (status, problem["code"]) == (404, "not_found")
    assert len(rows.of(client.person.id)) == 2
    assert rows.of(stranger.person.id) == []
