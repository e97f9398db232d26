"""The network between a replica and the rest goes away, by packets: what is promised holds, and recovers by itself.

`make netns-faults` (as root) plays all cuts and delays; the tests play the short ones.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from contextlib import suppress

import aiohttp
import pytest

from tests.netns.conftest import GAP_SECONDS, Place
from tests.netns.namespaces import Way
from tests.support.replica_client import Client, Transcript, content, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api

THOROUGH = os.environ.get("PARLEY_NETNS") == "1"
LEASE_SECONDS = 15.0
RECOVERY_SECONDS = 20.0
"""Within it a replica whose network is back serves again, without a restart."""
UNREADY_SECONDS = 10.0
"""Within it a replica that has lost Supabase says so."""
SAID = 7
"""What the provider says of every prompt, if its end is read."""
pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def thorough(*values: object) -> object:
    """A parameter of `make netns-faults` only."""
    return pytest.param(*values, marks=pytest.mark.skipif(not THOROUGH, reason="minutes: `make netns-faults` plays it"))


async def readiness(client: Client, api: Api) -> int:
    with suppress(aiohttp.ClientError, TimeoutError):
        return (await client.call(api, "GET", "/health/ready"))[0]
    return 0


async def ready(client: Client, api: Api) -> bool:
    return await readiness(client, api) == 200


async def unready(client: Client, api: Api) -> bool:
    return await readiness(client, api) == 503


async def serves_again(client: Client, api: Api) -> None:
    """A whole turn goes through within the promised time."""
    conversation, marker, key = None, uuid.uuid4().hex, uuid.uuid4().hex

    async def turn() -> bool:
        nonlocal conversation
        if conversation is None:
            status, body, _ = await client.call(api, "POST", "/v1/conversations", {})
            if status != 201:
                return False
            conversation = body["id"]
        path = f"/v1/conversations/{conversation}/messages"
        body = {"content": content({"id": marker, "tokens": 3})}
        status, reply, _ = await client.call(api, "POST", path, body, Prefer="wait", Idempotency_Key=key)
        return status == 200 and reply["status"] == "complete"

    await eventually(turn, within=RECOVERY_SECONDS, pause=0.3)
    await eventually(lambda: ready(client, api), within=RECOVERY_SECONDS, pause=0.3)


def charged(rows: Rows, reply: str | None) -> tuple[int, int]:
    """The tokens of the ledger: of prompts, and of replies."""
    [row] = rows.all(
        "select coalesce(sum(prompt_tokens), 0)::int as prompt, coalesce(sum(completion_tokens), 0)::int as completion "
        "from private.usage_ledger where reply_id = %s and kind = 'reply'",
        reply,
    )
    return row["prompt"], row["completion"]


async def begun(
    client: Client, api: Api, marker: str, *, count: int, gap: float
) -> tuple[Transcript, asyncio.Task[None]]:
    """A reply whose first tokens have been read, and a reader that reads on."""
    conversation, seen = await client.new_conversation(api), Transcript()
    some = asyncio.Event()

    async def reading() -> None:
        with suppress(aiohttp.ClientError, TimeoutError):
            async with client.sending(api, conversation, {"id": marker, "tokens": count, "gap": gap}) as response:
                await read(response, seen, until=tokens(5))
                some.set()
                await read(response, seen)

    task = asyncio.create_task(reading())
    await asyncio.wait_for(some.wait(), 30)
    return seen, task


def whole(count: int) -> str:
    return "".join(f"tok{number} " for number in range(count))


# ── Supabase ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seconds", [1.0, thorough(10.0), thorough(60.0)])
async def test_replica_is_cut_from_supabase_in_the_middle_of_a_reply(
    near: Api, other: Api, place: Place, client: Client, rows: Rows, seconds: float
) -> None:
    """The stream goes on. What the reader was told at last is what is stored, and it is charged once."""
    marker = uuid.uuid4().hex
    seen, reading = await begun(client, near, marker, count=60, gap=0.05)
    place.wire.supabase.cut()
    await asyncio.sleep(seconds)
    assert place.wire.supabase.lost > 0
    if seconds > 2:  # all of it was read, and its end not yet told
        assert seen.text == whole(60)
        assert seen.ending is None or seconds >= 60
    place.wire.supabase.mend()
    await asyncio.wait_for(reading, 90)
    await ended(client, other, rows, seen)
    row = rows.message(seen.message_id)
    allowed = {"complete"} if seconds < 60 else {"complete", "failed", "interrupted"}
    assert row["status"] in allowed
    if row["status"] == "complete":
        assert row["content"] == whole(60)
        await eventually(lambda: charged(rows, seen.message_id) == (SAID, 60))
    else:
        assert whole(60).startswith(row["content"])
    assert len(place.cluster.upstream.calls_of(marker)) == 1
    assert rows.leases(client.person.id) == 0
    await serves_again(client, near)


async def ended(client: Client, api: Api, rows: Rows, seen: Transcript) -> None:
    """The reply has ended, and its reader, who may have to look elsewhere, holds what is stored."""
    await eventually(lambda: rows.message(seen.message_id)["status"] != "streaming", within=90, pause=0.2)
    while seen.ending is None:
        await client.follow(api, str(seen.message_id), seen)
    row = rows.message(seen.message_id)
    if seen.ending.data.get("status") == "interrupted" != row["status"]:
        assert row["content"].startswith(seen.text)
    else:
        assert seen.text == row["content"]


async def test_replica_says_that_it_is_cut_from_supabase_and_recovers(
    near: Api, place: Place, client: Client, rows: Rows
) -> None:
    await eventually(lambda: ready(client, near), within=RECOVERY_SECONDS)
    place.wire.supabase.cut()
    await eventually(lambda: unready(client, near), within=UNREADY_SECONDS, pause=0.3)
    assert (await client.call(near, "GET", "/health/live"))[0] == 200
    place.wire.supabase.mend()
    await serves_again(client, near)


@pytest.mark.parametrize("way", ["out", "back"])
async def test_packets_are_lost_in_one_direction(
    near: Api, other: Api, place: Place, client: Client, rows: Rows, way: str
) -> None:
    """Whether the database did what it was asked or not, a message that is sent again is there once."""
    conversation, marker, key = await client.new_conversation(near), uuid.uuid4().hex, uuid.uuid4().hex
    path = f"/v1/conversations/{conversation}/messages"
    body = {"content": content({"id": marker, "tokens": 3})}
    setattr(place.wire.supabase, way, False)
    sending = asyncio.create_task(client.call(near, "POST", path, body, Idempotency_Key=key))
    await asyncio.sleep(1.0)
    # meanwhile its client asks the other replica
    status, _, _ = await client.call(other, "POST", path, body, Idempotency_Key=key)
    assert status == 202
    place.wire.supabase.mend()
    await sending
    await eventually(lambda: rows.streaming(client.person.id) == 0, within=60)
    asked, reply = rows.of(client.person.id)
    assert (asked["role"], reply["role"]) == ("user", "assistant")
    calls = len(place.cluster.upstream.calls_of(marker))
    if reply["status"] == "interrupted":  # the answer came too late, so nobody knew that a reply had begun
        assert (calls, reply["content"]) == (0, "")
    else:
        assert (calls, reply["status"], reply["content"]) == (1, "complete", whole(3))
        assert charged(rows, str(reply["id"])) == (SAID, 3)


@pytest.mark.skipif(not THOROUGH, reason="20 s: `make netns-faults` plays it")
async def test_cut_outlasts_the_lease(near: Api, other: Api, place: Place, client: Client, rows: Rows) -> None:
    """The other replica ends the reply as interrupted; its writer comes back and finishes it. One reply, one text,
    charged once."""
    marker = uuid.uuid4().hex
    seen, reading = await begun(client, near, marker, count=600, gap=0.05)
    place.wire.supabase.cut()
    await eventually(
        lambda: rows.message(seen.message_id)["status"] == "interrupted", within=2 * LEASE_SECONDS + 10, pause=0.2
    )
    elsewhere = await client.follow(other, str(seen.message_id))
    assert elsewhere.ending is not None
    assert elsewhere.ending.data["status"] == "interrupted"
    assert whole(600).startswith(elsewhere.text)
    place.wire.supabase.mend()
    await asyncio.wait_for(reading, 120)
    row = rows.message(seen.message_id)
    assert (row["status"], row["content"]) == ("complete", whole(600))
    assert seen.text == row["content"]
    assert charged(rows, seen.message_id) == (SAID, 600)
    assert len(rows.of(client.person.id, "assistant")) == 1
    await serves_again(client, near)


@pytest.mark.skipif(not THOROUGH, reason="10 s: `make netns-faults` plays it")
async def test_device_is_switched_off(near: Api, other: Api, place: Place, client: Client, rows: Rows) -> None:
    """New calls fail at once in place of being swallowed, to Supabase, the provider and the clients alike."""
    seen, reading = await begun(client, near, uuid.uuid4().hex, count=40, gap=0.05)
    place.near.device(up=False)
    await asyncio.sleep(5)
    place.near.device(up=True)
    await asyncio.wait_for(reading, 90)
    await ended(client, other, rows, seen)
    assert whole(40).startswith(rows.message(seen.message_id)["content"])
    await serves_again(client, near)


# ── the provider ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seconds", [1.0, thorough(3.0), thorough(2.0 * GAP_SECONDS)])
async def test_replica_is_cut_from_its_provider(
    near: Api, other: Api, place: Place, client: Client, rows: Rows, seconds: float
) -> None:
    """A short cut is a pause. A long one ends the reply as failed, with the text that had come."""
    marker = uuid.uuid4().hex
    seen, reading = await begun(client, near, marker, count=40, gap=0.05)
    place.wire.provider.cut()
    await asyncio.sleep(seconds)
    place.wire.provider.mend()
    await asyncio.wait_for(reading, 90)
    await ended(client, other, rows, seen)
    row = rows.message(seen.message_id)
    if seconds < GAP_SECONDS:
        assert (row["status"], row["content"]) == ("complete", whole(40))
        await eventually(lambda: charged(rows, seen.message_id) == (SAID, 40))
    else:
        assert (row["status"], row["error_code"]) == ("failed", "provider_unavailable")
        assert row["content"]
        assert whole(40).startswith(row["content"])
        assert charged(rows, seen.message_id)[0] > SAID  # the estimate of what was sent: nobody said it
    assert len(place.cluster.upstream.calls_of(marker)) == 1


# ── the clients ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seconds", [2.0, thorough(40.0)])
async def test_client_is_cut_off_and_comes_back_elsewhere(
    near: Api, other: Api, place: Place, client: Client, rows: Rows, seconds: float
) -> None:
    """The reply goes on without it, and is there on any replica."""
    marker = uuid.uuid4().hex
    seen, reading = await begun(client, near, marker, count=60, gap=0.02)
    place.wire.clients.cut()
    held = seen.copy()
    while held.ending is None:
        await client.follow(other, str(seen.message_id), held)
    row = rows.message(seen.message_id)
    assert (held.text, row["content"], row["status"]) == (whole(60), whole(60), "complete")
    await asyncio.sleep(seconds)
    place.wire.clients.mend()
    await serves_again(client, near)
    # whoever was still connected reads the rest, or learns that the connection is gone
    await asyncio.wait_for(reading, 60)
    assert whole(60).startswith(seen.text)
    await eventually(lambda: charged(rows, seen.message_id) == (SAID, 60))


# ── slow and lossy ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("delay", "loss"),
    [(0.1, 0.05), thorough(0.025, 0.0), thorough(0.25, 0.0), thorough(0.025, 0.05), thorough(0.25, 0.05)],
)
async def test_slow_and_lossy_network(
    near: Api, other: Api, place: Place, client: Client, rows: Rows, delay: float, loss: float
) -> None:
    """`delay` each way: a round trip takes twice as much. Turns take longer, and everything holds."""
    for way in place.wire.ways.values():
        way.delay, way.loss = delay, loss
    conversation = await client.new_conversation(near)
    marker = uuid.uuid4().hex
    seen = Transcript()
    with suppress(aiohttp.ClientError):
        async with client.sending(near, conversation, {"id": marker, "tokens": 50, "gap": 0.02}) as response:
            await read(response, seen)
    assert seen.text == whole(50)
    row = rows.message(seen.message_id)
    assert (row["status"], row["content"]) == ("complete", whole(50))
    await eventually(lambda: charged(rows, seen.message_id) == (SAID, 50))
    assert len(place.cluster.upstream.calls_of(marker)) == 1
    if loss:
        assert sum(way.lost for way in place.wire.ways.values()) > 0


# ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not THOROUGH, reason="25 s: `make netns-faults` plays it")
@pytest.mark.parametrize("cut", ["supabase", "provider", "clients"])
async def test_cut_while_draining(place: Place, other: Api, client: Client, rows: Rows, cut: str) -> None:
    """The process ends in its time, and every reply ends truthfully: by itself, or by the other replica."""
    ending = await place.replica()
    marker = uuid.uuid4().hex
    seen, reading = await begun(client, ending, marker, count=2000, gap=0.05)
    way: Way = getattr(place.wire, cut)
    way.cut()
    ending.terminate()
    try:
        assert await ending.ended(30) == 0
    finally:
        for each in place.wire.ways.values():
            each.mend()
    await eventually(
        lambda: rows.message(seen.message_id)["status"] != "streaming", within=2 * LEASE_SECONDS + 10, pause=0.2
    )
    reading.cancel()
    row = rows.message(seen.message_id)
    assert row["status"] in ("interrupted", "failed")
    assert whole(2000).startswith(row["content"])
    assert rows.leases(client.person.id) == 0
    late = await client.follow(other, str(seen.message_id))
    assert late.text == row["content"]
