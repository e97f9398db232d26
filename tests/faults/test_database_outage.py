"""The database goes away, or an answer of it is lost: the stream goes on, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator

import pytest

from tests.support.cluster import Cluster
from tests.support.proxy import Proxy
from tests.support.replica_client import Client, Transcript, content, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api
from tests.support.upstream import Upstream

OUTAGE_SECONDS = 3.0


@pytest.fixture(scope="module")
async def database(shared: Cluster) -> Proxy:
    return await shared.database()


@pytest.fixture(scope="module")
async def reached_through_it(shared: Cluster, database: Proxy) -> Api:
    return await shared.replica(database)


@pytest.fixture
async def api(reached_through_it: Api, database: Proxy) -> AsyncGenerator[Api]:
    """A replica that reaches the database through `database` only; all faults are over afterwards."""
    yield reached_through_it
    database.latency, database.rate = 0, None
    database.up()


@pytest.fixture
async def conversation(api: Api, client: Client) -> str:
    return await client.new_conversation(api)


@pytest.mark.parametrize("fault", ["down", "black_hole"])
async def test_the_stream_goes_on_through_an_outage(
    api: Api, database: Proxy, client: Client, conversation: str, rows: Rows, fault: str
) -> None:
    marker = uuid.uuid4().hex
    seen = Transcript()
    async with client.sending(api, conversation, {"id": marker, "tokens": 80, "gap": 0.06}) as response:
        await read(response, seen, until=tokens(20))
        getattr(database, fault)()
        reading = asyncio.create_task(read(response, seen))
        await asyncio.sleep(OUTAGE_SECONDS)
        shown = len(seen.text)
        stored = len(rows.message(seen.message_id)["content"])
        assert shown > len("tok99 ") * 40  # twice as much as when it began
        assert stored < shown
        assert seen.ending is None
        database.up()
        await reading
    _assert_whole(seen, rows, marker, 80)


async def test_a_reply_that_ends_during_an_outage_is_not_called_done_before_it_is_stored(
    api: Api, database: Proxy, client: Client, conversation: str, rows: Rows, upstream: Upstream
) -> None:
    marker = uuid.uuid4().hex
    seen = Transcript()
    async with client.sending(api, conversation, {"id": marker, "tokens": 30, "gap": 0.03}) as response:
        await read(response, seen, until=tokens(10))
        database.down()
        reading = asyncio.create_task(read(response, seen))
        (call,) = upstream.calls_of(marker)
        await eventually(lambda: call.ended_at is not None)
        await eventually(lambda: seen.text == call.text)
        assert rows.message(seen.message_id)["status"] == "streaming"
        assert seen.ending is None
        database.up()
        await reading
    _assert_whole(seen, rows, marker, 30)


@pytest.mark.parametrize(
    ("job", "times"), [("begin_turn", 1), ("journal_write", 1), ("journal_write", 3), ("finish_replies", 3)]
)
async def test_a_lost_answer_doubles_nothing(
    api: Api, database: Proxy, client: Client, conversation: str, rows: Rows, upstream: Upstream, job: str, times: int
) -> None:
    before = database.lost
    marker = uuid.uuid4().hex
    for _ in range(times):
        database.lose_answer(f"/rpc/{job}".encode())
    whole = await client.send(api, conversation, {"id": marker, "tokens": 60, "gap": 0.03})
    assert database.lost == before + times
    _assert_whole(whole, rows, marker, 60)
    assert len(rows.of(client.person.id)) == 2
    assert len(upstream.calls_of(marker)) == 1


async def test_a_turn_whose_answers_are_all_lost_is_found_again_under_its_key(
    api: Api,
    database: Proxy,
    client: Client,
    conversation: str,
    rows: Rows,
    upstream: Upstream,
    replicas: tuple[Api, Api],
) -> None:
    key, marker = uuid.uuid4().hex, uuid.uuid4().hex
    path = f"/v1/conversations/{conversation}/messages"
    asked = {"id": marker, "tokens": 3}
    body = {"content": content(asked)}
    for _ in range(2):  # a call is repeated once
        database.lose_answer(b"/rpc/begin_turn")
    status, problem, headers = await client.call(api, "POST", path, body, Idempotency_Key=key)
    assert (status, problem["code"]) == (503, "supabase_unavailable")
    assert int(headers["retry-after"]) > 0

    (reply,) = rows.of(client.person.id, "assistant")
    rows.expire(reply["id"])  # nobody writes it
    for replica in (api, *replicas):
        again = await client.send(replica, conversation, asked, Idempotency_Key=key)
        assert again.message_id == str(reply["id"])
        assert again.ending is not None
        assert again.ending.data["status"] == "interrupted"
    assert len(rows.of(client.person.id)) == 2
    assert upstream.calls_of(marker) == []


async def test_a_message_sent_during_an_outage_is_refused_and_can_be_sent_again(
    api: Api, database: Proxy, client: Client, conversation: str, rows: Rows, upstream: Upstream
) -> None:
    marker, key = uuid.uuid4().hex, uuid.uuid4().hex
    path = f"/v1/conversations/{conversation}/messages"
    body = {"content": content({"id": marker, "tokens": 2})}
    database.down()
    status, problem, headers = await client.call(api, "POST", path, body, Idempotency_Key=key)
    assert (status, problem["code"]) == (503, "supabase_unavailable")
    assert int(headers["retry-after"]) > 0
    assert rows.of(client.person.id) == []
    assert upstream.calls_of(marker) == []
    database.up()
    whole = await client.send(api, conversation, {"id": marker, "tokens": 2}, Idempotency_Key=key)
    _assert_whole(whole, rows, marker, 2)


async def test_a_reply_that_was_taken_for_dead_is_finished_all_the_same(
    api: Api, database: Proxy, client: Client, conversation: str, rows: Rows, replicas: tuple[Api, Api]
) -> None:
    """Its writer was only cut off from the database, for longer than its lease."""
    marker = uuid.uuid4().hex
    seen = Transcript()
    async with client.sending(api, conversation, {"id": marker, "tokens": 60, "gap": 0.03}) as response:
        await read(response, seen, until=tokens(20))
        database.down()
        rows.expire(seen.message_id)
        reading = asyncio.create_task(read(response, seen))
        elsewhere = await client.follow(replicas[0], str(seen.message_id))
        assert elsewhere.ending is not None
        assert elsewhere.ending.data["status"] == "interrupted"
        assert rows.message(seen.message_id)["status"] == "interrupted"
        database.up()
        await reading
    _assert_whole(seen, rows, marker, 60)
    assert seen.text.startswith(elsewhere.text)
    assert rows.leases(client.person.id) == 0


async def test_stopping_during_an_outage_leaves_the_provider_at_once(
    api: Api, database: Proxy, client: Client, conversation: str, rows: Rows, upstream: Upstream
) -> None:
    marker = uuid.uuid4().hex
    seen = Transcript()
    async with client.sending(api, conversation, {"id": marker, "tokens": 500, "gap": 0.02}) as response:
        await read(response, seen, until=tokens(10))
        database.down()
        stopping = asyncio.create_task(client.stop(api, str(seen.message_id)))
        (call,) = upstream.calls_of(marker)
        await eventually(lambda: call.cancelled, within=1)
        assert not stopping.done()
        database.up()
        status, body = await stopping
        await read(response, seen)
    assert (status, body["status"]) == (200, "stopped")
    assert seen.text == body["content"] == rows.message(seen.message_id)["content"]
    assert seen.ending is not None
    assert seen.ending.name == "stopped"


async def test_a_slow_database_slows_no_token(
    api: Api, database: Proxy, client: Client, conversation: str, rows: Rows
) -> None:
    marker = uuid.uuid4().hex
    seen = Transcript()
    async with client.sending(api, conversation, {"id": marker, "tokens": 40, "gap": 0.05}) as response:
        await read(response, seen, until=tokens(2))
        database.latency, database.rate = 0.4, 4096
        began = asyncio.get_running_loop().time()
        await read(response, seen, until=tokens(39))
        assert asyncio.get_running_loop().time() - began < 40 * 0.05 * 1.5 + 0.5
        await read(response, seen)
    _assert_whole(seen, rows, marker, 40)


async def test_readiness_follows_the_database(api: Api, database: Proxy, client: Client) -> None:
    async def readiness() -> int:
        return (await client.call(api, "GET", "/health/ready"))[0]

    async def is_ready() -> bool:
        return await readiness() == 200

    async def is_unready() -> bool:
        return await readiness() == 503

    await eventually(is_ready)
    database.down()
    await eventually(is_unready)
    assert (await client.call(api, "GET", "/health/live"))[0] == 200
    database.up()
    await eventually(is_ready)


def _assert_whole(transcript: Transcript, rows: Rows, marker: str, count: int) -> None:
    row = rows.message(transcript.message_id)
    assert transcript.ending is not None
    assert transcript.ending.name == "done"
    assert row["status"] == "complete"
    assert transcript.text == row["content"] == "".join(f"tok{i} " for i in range(count))
