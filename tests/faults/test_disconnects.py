"""A client that leaves ends its reading, and nothing else."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest

from tests.support.replica_client import Client, content, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api
from tests.support.upstream import Upstream

TOKENS = 12


@pytest.mark.parametrize("k", [0, 1, 2, 5, 11, 12])
async def test_the_reply_is_whole_when_the_client_leaves_after_token(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows, k: int
) -> None:
    conversation = await client.new_conversation(replicas[0])
    marker = uuid.uuid4().hex
    asked = {"id": marker, "tokens": TOKENS, "gap": 0.03, "token": "wört{}😀 "}
    async with client.sending(replicas[0], conversation, asked) as response:
        if k:
            left = await read(response, until=tokens(k))
            assert left.ending is None

    await eventually(lambda: [call.ended_at for call in upstream.calls_of(marker)] not in ([], [None]))
    (call,) = upstream.calls_of(marker)
    assert not call.cancelled
    assert call.sent == TOKENS
    await eventually(lambda: rows.streaming(client.person.id) == 0, within=2)
    (reply,) = rows.of(client.person.id, "assistant")
    assert (reply["status"], reply["content"]) == ("complete", call.text)
    assert (reply["prompt_tokens"], reply["completion_tokens"]) == (7, TOKENS)
    assert rows.leases(client.person.id) == 0


async def test_a_request_whose_client_does_not_wait_for_the_answer_is_answered_all_the_same(
    replicas: tuple[Api, Api], client: Client, upstream: Upstream, rows: Rows
) -> None:
    conversation = await client.new_conversation(replicas[0])
    marker = uuid.uuid4().hex
    body = json.dumps({"content": content({"id": marker, "tokens": 3})}).encode()
    host, port = replicas[0].url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /v1/conversations/{conversation}/messages HTTP/1.1\r\nhost: {host}\r\n"
        f"authorization: Bearer {client.person.token}\r\naccept: text/event-stream\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    await eventually(lambda: rows.of(client.person.id, "assistant") and rows.streaming(client.person.id) == 0)
    (reply,) = rows.of(client.person.id, "assistant")
    assert (reply["status"], reply["content"]) == ("complete", "tok0 tok1 tok2 ")
    assert len(upstream.calls_of(marker)) == 1
