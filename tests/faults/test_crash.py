"""kill -9 of the writer: what was stored stays, every reader learns the end, and the other replica takes over."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from itertools import pairwise

import aiohttp

from app.chat.journal import INTERVAL_SECONDS
from tests.support.cluster import Cluster
from tests.support.replica_client import Client, Transcript, events, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api

REPLIES = 6
SLACK_SECONDS = 0.3
"""For the database call itself, and for this test's own view of the time, on a busy machine."""


class Watcher:
    """Reads a reply and remembers when each character came."""

    def __init__(self) -> None:
        self.transcript = Transcript()
        self.lengths: list[tuple[float, int]] = []

    async def read(self, response: aiohttp.ClientResponse) -> None:
        time = asyncio.get_running_loop().time
        with suppress(aiohttp.ClientError):  # the connection of a killed server
            async for event in events(response):
                self.transcript.take(event)
                self.lengths.append((time(), len(self.transcript.text)))

    def came_at(self, offset: int) -> float:
        """When the character at `offset` was read."""
        return next(at for at, length in self.lengths if length > offset)


async def test_the_writer_is_killed(own: Cluster, rows: Rows) -> None:
    writer, other = await own.replica(), await own.replica()
    client = await own.client()
    time = asyncio.get_running_loop().time
    watchers = [Watcher() for _ in range(REPLIES)]
    reading = []
    for index, watcher in enumerate(watchers):
        conversation = await client.new_conversation(writer)
        reading.append(asyncio.create_task(_send(client, writer, conversation, watcher, f"😀{index}-{{}} ")))
        await asyncio.sleep(0.07)  # so that they are at different places of the journal's interval
    await eventually(lambda: all(len(watcher.lengths) > 60 for watcher in watchers))
    elsewhere = [Transcript() for _ in watchers]
    silences = [
        asyncio.create_task(_silence(client, other, str(watcher.transcript.message_id), transcript))
        for watcher, transcript in zip(watchers, elsewhere, strict=True)
    ]
    await eventually(lambda: all(transcript.text for transcript in elsewhere))

    killed_at = time()
    writer.kill()
    await asyncio.gather(*reading)
    stored = [rows.message(watcher.transcript.message_id) for watcher in watchers]
    for watcher, row in zip(watchers, stored, strict=True):
        seen = watcher.transcript.text
        assert row["status"] == "streaming"
        assert seen.startswith(row["content"])
        if len(seen) > len(row["content"]):
            lost = killed_at - watcher.came_at(len(row["content"]))
            assert lost <= INTERVAL_SECONDS + SLACK_SECONDS

    await eventually(lambda: rows.streaming(client.person.id) == 0, within=30 - (time() - killed_at), pause=0.2)
    for watcher, before, transcript, silent in zip(watchers, stored, elsewhere, silences, strict=True):
        row = rows.message(watcher.transcript.message_id)
        assert (row["status"], row["content"]) == ("interrupted", before["content"])
        # whoever followed elsewhere all the time, and whoever comes now with more than was stored
        assert await silent <= 15.0
        resumed = await client.follow(other, str(row["id"]), watcher.transcript)
        for reader in (transcript, resumed):
            assert reader.text == row["content"]
            assert reader.ending is not None
            assert reader.ending.name == "error"
            assert reader.ending.data["problem"]["code"] == "interrupted"
            assert reader.ending.data["status"] == "interrupted"
    assert rows.leases(client.person.id) == 0

    async with client.regenerating(other, str(elsewhere[0].message_id)) as response:
        again = await read(response, until=tokens(3))
    assert again.text.startswith("😀0-0 😀0-1 ")
    assert rows.message(again.message_id)["version"] == 2
    await client.stop(other, str(again.message_id))


async def test_a_process_that_starts_recovers_what_the_dead_left(own: Cluster, rows: Rows) -> None:
    writer, client = await own.replica(), await own.client()
    conversation = await client.new_conversation(writer)
    key = uuid.uuid4().hex
    asked = {"tokens": 500, "gap": 0.02}
    seen = Transcript()
    async with client.sending(writer, conversation, asked, Idempotency_Key=key) as response:
        await read(response, seen, until=tokens(40))
    writer.kill()
    # its lease runs out
    rows.all(
        "update private.live_replies set lease_expires_at = now() where message_id = %s returning 1", seen.message_id
    )

    restarted = await own.replica()
    await eventually(lambda: rows.message(seen.message_id)["status"] == "interrupted", within=2)
    # the same request once more finds the same reply, and bills nothing
    async with client.sending(restarted, conversation, asked, Idempotency_Key=key) as response:
        assert response.headers["Idempotency-Replayed"] == "true"
        again = await read(response)
    assert again.message_id == seen.message_id
    assert again.text == rows.message(seen.message_id)["content"] != ""
    assert len(own.upstream.calls) == 1


async def _send(client: Client, api: Api, conversation: str, watcher: Watcher, token: str) -> None:
    async with client.sending(api, conversation, {"tokens": 2000, "gap": 0.02, "token": token}) as response:
        await watcher.read(response)


async def _silence(client: Client, api: Api, message_id: str, transcript: Transcript) -> float:
    """Follow a reply to its end. The longest time in seconds in which nothing came, not even a comment."""
    time = asyncio.get_running_loop().time
    came = [time()]
    async with client.following(api, message_id) as response:
        async for event in events(response):
            came.append(time())
            transcript.take(event)
    return max(later - earlier for earlier, later in pairwise(came))
