"""Clients on bad lines: they get their text in the end, and nobody else waits for them."""

from __future__ import annotations

import asyncio
import random

import aiohttp
import pytest

from tests.support.cluster import Cluster
from tests.support.replica_client import Client, Transcript, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api

TOKENS = 40
GAP = 0.04


async def test_a_dripping_line_slows_only_its_own_reader(
    shared: Cluster, replicas: tuple[Api, Api], client: Client, rows: Rows
) -> None:
    line = await shared.in_front_of(replicas[0])
    line.rate, line.latency = 3000, 0.05
    conversation = await client.new_conversation(replicas[0])
    begun = await client.post(replicas[0], conversation, {"tokens": TOKENS, "gap": GAP, "token": "é" * 80 + "{} "})
    slow = asyncio.create_task(client.follow(line, begun["message"]["id"]))
    quick = await client.follow(replicas[0], begun["message"]["id"])
    assert not slow.done()
    stored = rows.message(quick.message_id)["content"]
    assert quick.text == stored
    late = await slow
    assert (late.text, late.ending) == (stored, quick.ending)


@pytest.mark.parametrize("seed", range(3))
async def test_a_line_that_is_reset_at_random_moments(
    shared: Cluster, replicas: tuple[Api, Api], client: Client, rows: Rows, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  # moments, not secrets
    lines = [await shared.in_front_of(replica) for replica in replicas]
    for line in lines:
        line.latency = 0.002
    conversation = await client.new_conversation(replicas[0])
    begun = await client.post(replicas[0], conversation, {"tokens": TOKENS, "gap": GAP, "token": "ü{}😀 "})
    message_id = begun["message"]["id"]

    async def saboteur() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.02, 0.3))
            chance.choice(lines).cut()

    cutting = asyncio.create_task(saboteur())
    transcript, connections = Transcript(), 0
    while transcript.ending is None:
        connections += 1
        try:
            await client.follow(chance.choice(lines), message_id, transcript)
        except aiohttp.ClientError:
            continue
    cutting.cancel()
    assert connections > 3
    assert transcript.text == rows.message(message_id)["content"] == "".join(f"ü{i}😀 " for i in range(TOKENS))


async def test_a_reader_whose_line_has_gone_dark_holds_up_nobody(
    shared: Cluster, replicas: tuple[Api, Api], client: Client, rows: Rows
) -> None:
    line = await shared.in_front_of(replicas[0])
    conversation = await client.new_conversation(replicas[0])
    begun = await client.post(replicas[0], conversation, {"tokens": TOKENS, "gap": GAP})
    message_id = begun["message"]["id"]
    async with client.following(line, message_id) as response:
        seen = await read(response, until=tokens(5))
    held = Transcript()
    reading = asyncio.create_task(client.follow(line, message_id, held))
    await eventually(lambda: held.text)
    line.black_hole()
    whole = await client.follow(replicas[0], message_id)
    assert whole.ending is not None
    assert held.ending is None
    line.up()
    with pytest.raises(aiohttp.ClientError):
        await reading
    for transcript in (seen, held):
        assert (await client.follow(replicas[1], message_id, transcript)).text == whole.text
