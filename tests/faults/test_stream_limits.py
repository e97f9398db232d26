"""Limits on reading and writing replies, and the headers that keep proxies from holding tokens back."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

from app.api.unanswered import MOST_OTHERS
from app.chat.live import MAX_FOLLOWERS_PER_REPLY
from tests.support.replica_client import Client, eventually, read
from tests.support.rows import Rows
from tests.support.service import Api
from tests.support.upstream import Upstream

LIVE_REPLIES_OF_A_USER = 100


async def test_a_reply_has_a_bounded_number_of_readers(replicas: tuple[Api, Api], client: Client, rows: Rows) -> None:
    conversation = await client.new_conversation(replicas[0])
    begun = await client.post(replicas[0], conversation, {"tokens": 2, "gap": 30})
    message_id = begun["message"]["id"]
    for api in replicas:
        async with AsyncExitStack() as readers:
            for _ in range(MAX_FOLLOWERS_PER_REPLY):
                response = await readers.enter_async_context(client.following(api, message_id))
                assert response.status == 200
            status, problem, headers = await client.call(api, "GET", f"/v1/messages/{message_id}/stream")
            assert (status, problem["code"]) == (429, "rate_limited")
            assert int(headers["retry-after"]) > 0
            assert str(MAX_FOLLOWERS_PER_REPLY) in problem["detail"]

        async def admitted(api: Api = api) -> bool:
            async with client.following(api, message_id) as response:
                return response.status == 200

        await eventually(admitted)  # once the others have gone
    await client.stop(replicas[0], message_id)


async def test_requests_that_wait_for_a_reply_are_among_its_readers(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream
) -> None:
    conversation = await client.new_conversation(replicas[0])
    path = f"/v1/conversations/{conversation}/messages"
    body = {"content": json.dumps({"id": conversation, "tokens": 1, "stepped": True})}
    headers = {"Prefer": "wait", "Idempotency_Key": conversation}

    async def ask(api: Api) -> tuple[int, dict[str, Any], dict[str, str]]:
        return await client.call(api, "POST", path, body, **headers)

    # the first one writes the reply, and others wait for it there or follow it from the other replica
    first = asyncio.create_task(ask(replicas[0]))
    call = await upstream.call(conversation)
    reply = (await client.history(replicas[0], conversation))[1]["id"]
    for api in replicas:
        waiting = [asyncio.create_task(ask(api)) for _ in range(MAX_FOLLOWERS_PER_REPLY + 1)]
        over, waits = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        status, problem, headers_of_refusal = next(iter(over)).result()
        assert (status, problem["code"]) == (429, "rate_limited")
        assert int(headers_of_refusal["retry-after"]) > 0
        assert str(MAX_FOLLOWERS_PER_REPLY) in problem["detail"]
        assert (await client.call(api, "GET", f"/v1/messages/{reply}/stream"))[0] == 429
        # whoever waits and goes makes room
        for task in waits:
            task.cancel()

        async def admitted(api: Api = api) -> bool:
            async with client.following(api, reply) as response:
                return response.status == 200

        await eventually(admitted)
    call.step()
    status, finished, _ = await first
    assert (status, finished["status"]) == (200, "complete")


async def test_open_streams_do_not_count_as_unanswered_requests(replicas: tuple[Api, Api], client: Client) -> None:
    conversation = await client.new_conversation(replicas[0])
    replies = [
        (await client.post(replicas[0], conversation, {"tokens": 2, "gap": 30}))["message"]["id"] for _ in range(3)
    ]
    async with AsyncExitStack() as readers:
        for number in range(MOST_OTHERS + 10):
            following = client.following(replicas[0], replies[number % len(replies)])
            assert (await readers.enter_async_context(following)).status == 200
        assert (await client.call(replicas[0], "GET", f"/v1/conversations/{conversation}"))[0] == 200
    for reply in replies:
        await client.stop(replicas[0], reply)


async def test_a_user_has_a_bounded_number_of_live_replies(
    replicas: tuple[Api, Api], client: Client, stranger: Client, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    path, body = f"/v1/conversations/{conversation}/messages", {"content": '{"first": 60}'}
    answers = await asyncio.gather(
        *(client.call(replicas[i % 2], "POST", path, body) for i in range(LIVE_REPLIES_OF_A_USER + 10))
    )
    assert sorted(status for status, _, _ in answers) == [202] * LIVE_REPLIES_OF_A_USER + [429] * 10
    refused = next((problem, headers) for status, problem, headers in answers if status == 429)
    assert refused[0]["code"] == "rate_limited"
    assert int(refused[1]["retry-after"]) > 0
    # what was refused left nothing behind
    assert len(rows.of(client.person.id, "user")) == LIVE_REPLIES_OF_A_USER
    # it is this user's limit
    theirs = await stranger.new_conversation(replicas[0])
    assert (await stranger.send(replicas[0], theirs, {"tokens": 1})).text == "tok0 "

    async with client.session.delete(
        f"{replicas[0].url}/v1/conversations/{conversation}", headers=client.person.headers
    ) as deleted:
        assert deleted.status == 204


async def test_event_streams_are_neither_compressed_nor_collected_by_proxies(
    replicas: tuple[Api, Api], client: Client
) -> None:
    conversation = await client.new_conversation(replicas[0])
    asked = {"tokens": 200, "token": "the same words again and again "}
    async with client.sending(replicas[0], conversation, asked, Accept_Encoding="gzip, br, zstd") as response:
        headers = response.headers
        whole = await read(response)
    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert "Content-Encoding" not in headers
    assert "Content-Length" not in headers
    async with client.following(replicas[1], str(whole.message_id)) as response:
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["Cache-Control"] == "no-cache, no-transform"
