"""A thousand connects, cancelled at random moments: nothing is lost, nothing mixed up, nothing kept."""

from __future__ import annotations

import asyncio
import random
from itertools import pairwise

import psutil

from scripts.local_supabase import LocalSupabase
from tests.faults.inside import inside
from tests.faults.storm import Seat, storm
from tests.support.cluster import Cluster
from tests.support.replica_client import eventually
from tests.support.rows import Rows
from tests.support.service import Api

PEOPLE = 5
CONNECTS = 1000
STORMS = 4
MAX_GROWTH_BYTES = 1024 * 1024
"""Of the storm that grew least: memory is taken when more is going on at once than ever before, but what is not given
back adds to every storm."""


async def seats(cluster: Cluster, api: Api) -> list[Seat]:
    taken = []
    for _ in range(PEOPLE):
        client = await cluster.client()
        conversation = await client.new_conversation(api)
        asked = {"tokens": 4, "token": f"{client.person.id} "}
        whole = await client.send(api, conversation, asked)
        taken.append(Seat(client, conversation, str(whole.message_id)))
    return taken


async def test_nothing_is_lost_mixed_up_or_kept(own: Cluster, rows: Rows) -> None:
    api = await own.replica(LOG_LEVEL="warning")
    taken = await seats(own, api)
    chance = random.Random(20261122)  # noqa: S311  # moments, not secrets
    process = psutil.Process(api.process.pid)

    async def calm() -> bool:
        return own.upstream.open_calls == 0 and all(rows.streaming(seat.client.person.id) == 0 for seat in taken)

    levels = []
    for _ in range(1 + STORMS):  # the first: what the first use of everything costs
        await storm(api.url, taken, CONNECTS // STORMS, chance)
        await eventually(calm, within=20)
        levels.append(process.memory_info().rss)
    assert min(later - earlier for earlier, later in pairwise(levels)) < MAX_GROWTH_BYTES

    replies = 0
    for seat in taken:
        messages = rows.of(seat.client.person.id)
        asked = {message["id"]: message for message in messages if message["role"] == "user"}
        answered = [message for message in messages if message["role"] == "assistant"]
        replies += len(answered)
        assert sorted(message["parent_id"] for message in answered) == sorted(asked)
        for message in messages:
            assert str(message["conversation_id"]) == seat.conversation
            assert seat.mark in message["content"]
            assert message["status"] == "complete"
        for message in answered:
            assert message["content"] == f"{seat.mark} " * 4
        assert rows.leases(seat.client.person.id) == 0
    assert replies > CONNECTS / 4
    assert len(own.upstream.calls) == replies
    # and it answers as it did
    assert (await taken[0].client.send(api, taken[0].conversation, {"tokens": 2})).text == "tok0 tok1 "


async def test_all_that_a_request_holds_is_given_back(
    stack: LocalSupabase, shared: Cluster, replicas: tuple[Api, Api]
) -> None:
    taken = await seats(shared, replicas[0])
    for seat in taken:  # what they follow is being written by another replica
        begun = await seat.client.post(replicas[0], seat.conversation, {"tokens": 60, "gap": 0.1})
        seat.message_id = begun["message"]["id"]
    chance = random.Random(20261122)  # noqa: S311
    async with inside(stack, shared.upstream) as replica:
        storming = asyncio.create_task(storm(replica.url, taken, CONNECTS // 4, chance))
        used: set[str] = set()
        while not storming.done():
            used.update(what for what, number in replica.in_use.items() if number)
            await asyncio.sleep(0.01)
        await storming
        assert used == set(replica.in_use)  # what is looked at is what is used
        await eventually(lambda: not any(replica.in_use.values()), within=20)
        assert len(replica.pools) == 2
