"""SIGTERM: no new turns, every reader sent elsewhere, every reply ended and stored, the process gone within 10 s."""

from __future__ import annotations

import asyncio
import json
import signal
import uuid
from typing import Any

import aiohttp
import pytest

from tests.support.cluster import Cluster
from tests.support.replica_client import Client, Transcript, eventually, read, tokens
from tests.support.rows import Rows
from tests.support.service import Api

STREAMS = 50
EXIT_SECONDS = 10.0


async def test_a_drain_during_fifty_streams(own: Cluster, rows: Rows) -> None:
    ending, other = await own.replica(), await own.replica()
    client = await own.client()
    conversation = await client.new_conversation(ending)
    time = asyncio.get_running_loop().time
    transcripts = [Transcript() for _ in range(STREAMS)]

    async def device(index: int) -> None:
        # half of them end within the patience of a drain
        asked = {"tokens": 60 if index % 2 else 2000, "gap": 0.05, "token": f"😀{index}-{{}} "}
        transcript = transcripts[index]
        async with client.sending(ending, conversation, asked) as response:
            await read(response, transcript)
        while transcript.ending is None:
            await client.follow(other, str(transcript.message_id), transcript)

    devices = [asyncio.create_task(device(index)) for index in range(STREAMS)]
    await eventually(lambda: all(transcript.text for transcript in transcripts), within=30)

    asked_at = time()
    ending.terminate()
    refusals = await _refusals_while_it_ends(client, ending, conversation)
    assert await ending.ended(EXIT_SECONDS) == 0
    took = time() - asked_at
    left_behind = rows.streaming(client.person.id)
    assert took <= EXIT_SECONDS
    assert left_behind == 0
    assert rows.leases(client.person.id) == 0
    assert refusals == {"/health/ready": (503, "draining"), "send": (503, "draining"), "/health/live": (200, None)}

    await asyncio.gather(*devices)
    for index, transcript in enumerate(transcripts):
        row = rows.message(transcript.message_id)
        assert transcript.text == row["content"]
        assert row["status"] == ("complete" if index % 2 else "interrupted")
        assert transcript.reconnects == 1
        assert transcript.ending is not None
        assert transcript.ending.name == ("done" if index % 2 else "error")
    assert len(own.upstream.calls) == STREAMS
    assert own.upstream.open_calls == 0
    # everything up to the end was kept: nothing of what anyone was shown is missing
    for call in own.upstream.calls:
        assert any(call.text.startswith(transcript.text) for transcript in transcripts)


async def _refusals_while_it_ends(client: Client, api: Api, conversation: str) -> dict[str, tuple[int, str | None]]:
    """What the process still answers, as soon as it has taken the order."""

    async def ask(method: str, path: str, body: object = None) -> tuple[int, str | None]:
        status, answer, _ = await client.call(api, method, path, body)
        return status, answer.get("code")

    async def not_ready() -> bool:
        return (await ask("GET", "/health/ready"))[0] == 503

    await eventually(not_ready, within=1.0)
    return {
        "/health/ready": await ask("GET", "/health/ready"),
        "send": await ask("POST", f"/v1/conversations/{conversation}/messages", {"content": "too late"}),
        "/health/live": await ask("GET", "/health/live"),
    }


async def test_who_comes_to_a_draining_replica_is_told_what_there_is_and_sent_on(own: Cluster) -> None:
    ending, client = await own.replica(), await own.client()
    conversation = await client.new_conversation(ending)
    async with client.sending(ending, conversation, {"tokens": 60, "gap": 0.05}) as response:
        seen = await read(response, until=tokens(10))
    ending.terminate()
    transcript = Transcript()
    # the order may take a moment to arrive; until then the reader is an ordinary one
    await client.follow(ending, str(seen.message_id), transcript)
    assert transcript.reconnects == 1
    late = await client.follow(ending, str(seen.message_id))
    assert [event.name for event in late.events] == ["message.started", "delta", "reconnect"]
    assert late.text.startswith(transcript.text)
    await ending.ended(EXIT_SECONDS)


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_process_ends_at_once(own: Cluster, order: signal.Signals) -> None:
    api = await own.replica()
    api.process.send_signal(order)
    assert await api.ended(3) == 0


async def test_a_second_order_ends_the_patience_and_loses_nothing(own: Cluster, rows: Rows) -> None:
    api, client = await own.replica(), await own.client()
    conversation = await client.new_conversation(api)
    async with client.sending(api, conversation, {"tokens": 2000, "gap": 0.02}) as response:
        seen = await read(response, until=tokens(10))
        api.terminate()
        await read(response, seen, until=lambda transcript: transcript.reconnects > 0)
    api.terminate()
    assert await api.ended(4) == 0
    row = rows.message(seen.message_id)
    assert row["status"] == "interrupted"
    assert row["content"].startswith(seen.text)


async def test_neither_stalled_readers_nor_a_lost_database_keep_a_process_from_ending(own: Cluster) -> None:
    database = await own.database()
    api, client = await own.replica(database), await own.client()
    conversation = await client.new_conversation(api)
    asked = {"id": "stalling", "tokens": 10_000, "gap": 0.005, "token": "x" * 1000}
    begun = await client.post(api, conversation, asked)
    path, body = f"/v1/conversations/{conversation}/messages", {"content": '{"first": 60}'}
    async with client.stalling(api, begun["message"]["id"]):
        call = await own.upstream.call("stalling")
        await eventually(lambda: call.sent > 300, within=20)  # more than the stalled connection holds
        waiting = asyncio.create_task(client.call(api, "POST", path, body, Prefer="wait"))
        await eventually(lambda: len(own.upstream.calls) == 2)
        database.black_hole()
        api.terminate()
        assert await api.ended(EXIT_SECONDS) == 0
    # who waits for the finished reply is told that it is begun, and may look for it elsewhere
    status, _, headers = await waiting
    assert status == 202
    assert headers["location"].startswith("/v1/messages/")


async def test_a_turn_that_is_being_begun_when_the_order_comes_is_not_lost(own: Cluster, rows: Rows) -> None:
    database = await own.database()
    api, client = await own.replica(database), await own.client()
    conversation = await client.new_conversation(api)
    await client.send(api, conversation, {"tokens": 1})  # the key set is fetched, the connection open
    marker = uuid.uuid4().hex
    database.latency = 0.3
    sending = asyncio.create_task(client.post(api, conversation, {"id": marker, "tokens": 5}))
    await eventually(lambda: len(rows.of(client.person.id, "assistant")) == 2)
    api.terminate()
    begun = await sending
    assert await api.ended(EXIT_SECONDS) == 0
    row = rows.message(begun["message"]["id"])
    assert (row["status"], row["content"]) == ("complete", "tok0 tok1 tok2 tok3 tok4 ")


async def test_what_is_unanswered_at_the_end_is_answered_as_a_problem(own: Cluster) -> None:
    """On all three surfaces, in the form of each. It may be sent again."""
    database = await own.database()
    ending, client = await own.replica(database), await own.client()
    await client.send(ending, await client.new_conversation(ending), {"tokens": 1})  # the key set is fetched
    database.black_hole()
    said = {"role": "user", "content": "Hello"}
    asked: dict[str, Any] = {
        "/v1/documents": {"title": "Notes", "content": "The kitchen closes at ten."},
        "/v1/chat": {"id": "c", "message": {"id": "m", "role": "user", "parts": [{"type": "text", "text": "Hello"}]}},
        "/openai/v1/chat/completions": {"model": "auto", "messages": [said]},
    }

    async def post(path: str) -> tuple[int, str | None, str]:
        request = client.session.post(ending.url + path, json=asked[path], headers=client.person.headers)
        async with request as response:
            return response.status, response.headers.get("Retry-After"), await response.text()

    posting = {path: asyncio.create_task(post(path)) for path in asked}
    await eventually(lambda: database.links >= len(asked))
    ending.terminate()
    answers = {path: await task for path, task in posting.items()}
    assert await ending.ended(EXIT_SECONDS) == 0
    assert {path: (status, after) for path, (status, after, _) in answers.items()} == dict.fromkeys(asked, (503, "1"))
    told = "This server has ended before it could answer. What was asked may have been done all the same."
    problem = json.loads(answers["/v1/documents"][2])
    assert (problem["code"], problem["detail"]) == ("draining", told)
    assert answers["/v1/chat"][2] == problem["title"]
    error = json.loads(answers["/openai/v1/chat/completions"][2])["error"]
    assert (error["code"], error["message"]) == ("draining", problem["title"])
    # calls that the closing of the process ends are no errors of their own
    assert '"library": "asyncio"' not in ending.log_text
    assert '"error": "CancelledError"' not in ending.log_text


async def test_a_file_that_is_cut_off_at_the_end_has_no_end(own: Cluster) -> None:
    """And is no error of the server's."""
    database = await own.database()
    ending, client = await own.replica(database), await own.client()
    await client.send(ending, await client.new_conversation(ending), {"tokens": 1})
    database.latency = 1.5
    async with client.session.get(f"{ending.url}/v1/export", headers=client.person.headers) as response:
        assert response.status == 200
        ending.terminate()
        with pytest.raises(aiohttp.ClientError):
            await response.content.read()
    assert await ending.ended(EXIT_SECONDS) == 0
    assert '"error": "CancelledError"' not in ending.log_text
