"""ReplyFinder that take nothing cost a bounded piece of memory each, and nobody else's time."""

from __future__ import annotations

import asyncio
import re
import socket
import time
import uuid
from contextlib import AsyncExitStack, suppress
from statistics import quantiles

import psutil
import pytest

from app.chat import live
from scripts.local_supabase import LocalSupabase
from tests.faults.inside import inside
from tests.support.cluster import Cluster
from tests.support.replica_client import Client, Transcript, events, eventually
from tests.support.service import Api

REPLIES = 11
STALLED = 209
TOKENS, GAP = 250, 0.02
TOKEN = "@{now:.4f}@" + "x" * 1100
"""280 KB in five seconds: more than a connection that nobody reads takes."""
MAX_GROWTH_BYTES = 50 * 1024 * 1024
NOISE_SECONDS = 0.02


async def test_two_hundred_stalled_readers(own: Cluster) -> None:
    api, client = await own.replica(), await own.client()
    process = psutil.Process(api.process.pid)
    alone_memory, alone_late = await _phase(api, client, process, stalled=0)
    memory, late = await _phase(api, client, process, stalled=STALLED)
    assert memory - alone_memory < MAX_GROWTH_BYTES
    # a fifth more, and what other programs on the machine may take meanwhile
    assert late < 1.2 * alone_late + NOISE_SECONDS


async def test_a_reader_that_takes_nothing_for_long_is_cut_and_can_resume(
    stack: LocalSupabase, shared: Cluster, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STALL_SECONDS", 0.5)
    async with inside(stack, shared.upstream) as replica:
        conversation = await client.new_conversation(replica)
        begun = await client.post(replica, conversation, {"tokens": 400, "gap": 0.01, "token": "y" * 800})
        message_id = begun["message"]["id"]
        async with client.stalling(replica, message_id) as connection:
            whole = await client.follow(replica, message_id)
            # its reader is let go of, though the client never said a word
            await eventually(lambda: replica.in_use["readers"] == 0)
            received = await _drained(connection)
        assert b"event: done" not in received
        last_id = int(re.findall(rb"^id: (\d+)$", received, re.MULTILINE)[-1])
        assert 10 < last_id < 10 + len(whole.text)
        held = Transcript(whole.text[: last_id - 10], last_id)
        assert (await client.follow(replica, message_id, held)).text == whole.text


async def _drained(connection: socket.socket) -> bytes:
    """Everything that a connection still holds, until it ends."""
    loop, received = asyncio.get_running_loop(), b""
    with suppress(ConnectionError):
        while piece := await loop.sock_recv(connection, 65536):
            received += piece
    return received


async def _phase(api: Api, client: Client, process: psutil.Process, stalled: int) -> tuple[int, float]:
    """Stream some replies, each to a reader who reads and its share of readers who do not. The largest resident
    memory in bytes, and the 95th percentile of how late text came, in seconds, in the last quarter of the replies: by
    then who stalls takes nothing any more."""
    conversation = await client.new_conversation(api)
    asked = {"id": uuid.uuid4().hex, "tokens": TOKENS, "gap": GAP, "token": TOKEN}
    begun = await asyncio.gather(*(client.post(api, conversation, asked) for _ in range(REPLIES)))
    ids = [one["message"]["id"] for one in begun]
    lateness: list[float] = []
    memory = 0
    async with AsyncExitStack() as connections:
        for index in range(stalled):
            await connections.enter_async_context(client.stalling(api, ids[index % REPLIES]))
        readers = [asyncio.create_task(_lateness(client, api, message_id, lateness)) for message_id in ids]
        while not all(reader.done() for reader in readers):
            memory = max(memory, process.memory_info().rss)
            await asyncio.sleep(0.1)
        await asyncio.gather(*readers)
    return memory, quantiles(lateness, n=20)[-1]


async def _lateness(client: Client, api: Api, message_id: str, lateness: list[float]) -> None:
    transcript = Transcript()
    async with client.following(api, message_id) as response:
        async for event in events(response):
            transcript.take(event)
            now = time.monotonic()
            if event.name == "delta" and len(transcript.text) > TOKENS * len(TOKEN) * 3 / 4:
                lateness.extend(now - float(sent) for sent in re.findall(r"@([\d.]+)@", event.data["text"]))
    assert transcript.ending is not None
    assert transcript.ending.name == "done"
