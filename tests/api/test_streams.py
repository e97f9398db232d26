"""Following a reply from any place, stopping it, and having it answered again."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack

import httpx
import pytest

from tests.support.client import assert_problem, history, new_conversation, reading, script, send, turn
from tests.support.sse import Transcript
from tests.support.upstream import Upstream


def stream_path(message: str) -> str:
    return f"/v1/messages/{message}/stream"


@pytest.fixture
async def conversation(as_owner: httpx.AsyncClient) -> str:
    return await new_conversation(as_owner)


async def begin(client: httpx.AsyncClient, conversation: str, content: str) -> str:
    """Send a message; the id of the reply that is being written."""
    response = await client.post(f"/v1/conversations/{conversation}/messages", json={"content": content})
    assert response.status_code == 202, response.text
    return str(response.json()["message"]["id"])


async def follow(client: httpx.AsyncClient, message: str, after: int | None = None) -> Transcript:
    async with reading(client, "GET", stream_path(message), after=after) as reader:
        return await reader.to_end()


# ── follow ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_finished_reply_is_told_whole(as_owner: httpx.AsyncClient, conversation: str) -> None:
    sent = await send(as_owner, conversation, script(tokens=3))
    told = await follow(as_owner, sent.events[0].data["message_id"])
    assert [event.name for event in told.events] == ["message.started", "delta", "done"]
    assert told.events[0] == sent.events[0]
    assert told.text == sent.text
    assert told.events[-1] == sent.events[-1]


@pytest.mark.parametrize("held", range(8))
async def test_any_place_can_be_gone_on_from(as_owner: httpx.AsyncClient, conversation: str, held: int) -> None:
    """`held` code points are with the reader already; each is one, however many bytes it takes."""
    sent = await send(as_owner, conversation, script(pieces=["a😀", "é", "\r\n", "東e"]))
    told = await follow(as_owner, sent.events[0].data["message_id"], after=10 + held)
    assert told.text == sent.text[held:]
    assert [event.name for event in told.events] == (["delta"] if held < 7 else []) + ["done"]


async def test_beginning_is_not_repeated_to_who_has_it(as_owner: httpx.AsyncClient, conversation: str) -> None:
    sent = await send(as_owner, conversation, script(tokens=2))
    told = await follow(as_owner, sent.events[0].data["message_id"], after=1)
    assert [event.name for event in told.events] == ["delta", "done"]


async def test_end_is_told_again_to_who_has_it(as_owner: httpx.AsyncClient, conversation: str) -> None:
    """A reader that comes back after the end is not left waiting."""
    sent = await send(as_owner, conversation, script(tokens=2))
    end = sent.events[-1]
    async with as_owner.stream(
        "GET", stream_path(sent.events[0].data["message_id"]), headers={"Last-Event-ID": str(end.id)}
    ) as response:
        told = [line async for line in response.aiter_lines()]
    assert end.id is not None
    assert told[:2] == [f"id: {end.id + 1}", "event: done"]
    assert "event: delta" not in told


async def test_readers_of_a_reply_that_is_being_written_see_the_same(
    as_owner: httpx.AsyncClient, conversation: str
) -> None:
    message = await begin(as_owner, conversation, script(tokens=20, gap=0.02))
    transcripts = await asyncio.gather(*(follow(as_owner, message) for _ in range(5)))
    assert {transcript.text for transcript in transcripts} == {"".join(f"tok{index} " for index in range(20))}
    assert len({str(transcript.ending) for transcript in transcripts}) == 1


async def test_reader_that_comes_back_goes_on(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    """A connection for each token, and nothing is lost or told twice."""
    marker = uuid.uuid4().hex
    message = await begin(as_owner, conversation, script(id=marker, tokens=5, token="é😀{} ", stepped=True))
    call = await upstream.call(marker)
    text, after = "", 0
    for _ in range(5):
        call.step()
        async with reading(as_owner, "GET", stream_path(message), after=after) as reader:
            await reader.until("delta")
            text, after = text + reader.transcript.text, reader.transcript.last_id
    last = await follow(as_owner, message, after=after)
    assert [event.name for event in last.events] == ["done"]
    assert text == "".join(f"é😀{index} " for index in range(5))


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "1e3", "5 5", "0x10", "1_0", "\u0663".encode(), "9" * 21])
async def test_last_event_id_that_is_none(as_owner: httpx.AsyncClient, conversation: str, value: str | bytes) -> None:
    reply = await turn(as_owner, conversation)
    refused = await as_owner.get(stream_path(reply["id"]), headers={"Last-Event-ID": value})
    assert "Last-Event-ID" in assert_problem(refused, 422, "invalid_request")["detail"]


@pytest.mark.parametrize("beyond", [3, 4, 1000, 10**9, 10**19])
async def test_last_event_id_beyond_the_end(as_owner: httpx.AsyncClient, conversation: str, beyond: int) -> None:
    """The stream ends with 11 plus the length, and tells that end again with one more: it has given nothing else."""
    reply = await turn(as_owner, conversation, script(tokens=2))
    last = 10 + len(reply["content"])
    for held in (last, last + 1, last + 2):
        told = await as_owner.get(stream_path(reply["id"]), headers={"Last-Event-ID": str(held)})
        assert told.text.startswith(f"id: {min(held, last + 1) + 1}\nevent: done\n")
    refused = await as_owner.get(stream_path(reply["id"]), headers={"Last-Event-ID": str(last + beyond)})
    assert assert_problem(refused, 422, "invalid_request")["detail"] == (
        "Last-Event-ID: not an id of this stream; leave the header out to read from the start."
    )


async def test_last_event_id_beyond_what_has_been_written(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    marker = uuid.uuid4().hex
    message = await begin(as_owner, conversation, script(id=marker, tokens=2, stepped=True))
    call = await upstream.call(marker)
    call.step()
    async with reading(as_owner, "GET", stream_path(message)) as reader:
        await reader.until("delta")
        refused = await as_owner.get(
            stream_path(message), headers={"Last-Event-ID": str(reader.transcript.last_id + 1)}
        )
        assert_problem(refused, 422, "invalid_request")
        call.step()
        await reader.to_end()


async def test_last_event_id_of_a_strangers_reply(
    as_owner: httpx.AsyncClient, as_stranger: httpx.AsyncClient, conversation: str
) -> None:
    """What is refused of an id does not tell that there is a reply."""
    reply = await turn(as_owner, conversation)
    for value in ("x", str(10**9)):
        refused = await as_stranger.get(stream_path(reply["id"]), headers={"Last-Event-ID": value})
        assert_problem(refused, 404, "not_found")


async def test_last_event_id_that_is_empty_is_none_given(as_owner: httpx.AsyncClient, conversation: str) -> None:
    reply = await turn(as_owner, conversation)
    told = Transcript()
    told.feed((await as_owner.get(stream_path(reply["id"]), headers={"Last-Event-ID": ""})).content)
    assert told.text == reply["content"]


async def test_failed_reply_is_told_with_its_problem(as_owner: httpx.AsyncClient, conversation: str) -> None:
    reply = await turn(as_owner, conversation, script(tokens=5, break_after=2))
    told = await follow(as_owner, reply["id"])
    assert told.text == reply["content"] == "tok0 tok1 "
    assert told.events[-1].name == "error"
    assert told.events[-1].data["problem"]["code"] == "provider_unavailable"


async def test_reply_has_fifty_readers_at_most(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    marker = uuid.uuid4().hex
    message = await begin(as_owner, conversation, script(id=marker, tokens=2, stepped=True))
    async with AsyncExitStack() as connections:
        readers = [
            await connections.enter_async_context(reading(as_owner, "GET", stream_path(message))) for _ in range(50)
        ]
        refused = await as_owner.get(stream_path(message))
        assert_problem(refused, 429, "rate_limited")
        assert int(refused.headers["retry-after"]) >= 1
        (await upstream.call(marker)).step(2)
        transcripts = await asyncio.gather(*(reader.to_end() for reader in readers))
    assert {transcript.text for transcript in transcripts} == {"tok0 tok1 "}


# ── stop ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_stop_keeps_what_there_is(as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream) -> None:
    marker = uuid.uuid4().hex
    body = {"content": script(id=marker, tokens=1000, gap=0.02)}
    async with reading(as_owner, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
        await reader.until("delta")
        message = reader.transcript.events[0].data["message_id"]
        stopped = await as_owner.post(f"/v1/messages/{message}/stop")
        transcript = await reader.to_end()
    assert stopped.status_code == 200
    assert transcript.events[-1].name == "stopped"
    reply = stopped.json()
    assert (reply["status"], reply["content"]) == ("stopped", transcript.text)
    assert transcript.events[-1].data["usage"] == reply["usage"]
    assert reply["usage"]["completion_tokens"] > 0
    assert reply == (await history(as_owner, conversation))[1]
    told = await follow(as_owner, message)
    assert (told.text, told.events[-1]) == (transcript.text, transcript.events[-1])
    assert upstream.calls_of(marker)[0].sent < 1000


async def test_stop_before_the_first_token(as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream) -> None:
    marker = uuid.uuid4().hex
    message = await begin(as_owner, conversation, script(id=marker, first=30))
    await upstream.call(marker)
    stopped = (await as_owner.post(f"/v1/messages/{message}/stop")).json()
    assert (stopped["status"], stopped["content"]) == ("stopped", "")
    assert [event.name for event in (await follow(as_owner, message)).events] == ["message.started", "stopped"]


async def test_stop_of_a_reply_that_is_over_changes_nothing(as_owner: httpx.AsyncClient, conversation: str) -> None:
    reply = await turn(as_owner, conversation)
    stopped = await as_owner.post(f"/v1/messages/{reply['id']}/stop")
    assert (stopped.status_code, stopped.json()) == (200, reply)


async def test_stop_twice_at_once(as_owner: httpx.AsyncClient, conversation: str) -> None:
    message = await begin(as_owner, conversation, script(tokens=1000, gap=0.02))
    both = await asyncio.gather(*(as_owner.post(f"/v1/messages/{message}/stop") for _ in range(2)))
    assert [(answer.status_code, answer.json()["status"]) for answer in both] == [(200, "stopped")] * 2


async def test_conversation_goes_on_after_a_stop(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    body = {"content": script(tokens=1000, gap=0.02)}
    async with reading(as_owner, "POST", f"/v1/conversations/{conversation}/messages", json=body) as reader:
        await reader.until("delta")
        await as_owner.post(f"/v1/messages/{reader.transcript.events[0].data['message_id']}/stop")
        stopped = await reader.to_end()
    marker = uuid.uuid4().hex
    assert (await turn(as_owner, conversation, script(id=marker)))["status"] == "complete"
    [call] = upstream.calls_of(marker)
    assert [message["content"] for message in call.body["messages"]] == [
        body["content"],
        stopped.text,
        script(id=marker),
    ]


# ── regenerate ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_regenerated_reply_stands_beside_the_old_one(as_owner: httpx.AsyncClient, conversation: str) -> None:
    first = await turn(as_owner, conversation, script(tokens=2))
    async with reading(as_owner, "POST", f"/v1/messages/{first['id']}/regenerate", json={}) as reader:
        transcript = await reader.to_end()
    asked, new = await history(as_owner, conversation)
    old = (await as_owner.get(f"/v1/messages/{first['id']}")).json()
    assert old == first | {"siblings": {"index": 1, "count": 2, "previous_id": None, "next_id": new["id"]}}
    assert (new["parent_id"], new["version"], new["content"]) == (asked["id"], 2, transcript.text)
    assert transcript.events[0].data["user_message_id"] == asked["id"]
    third = await as_owner.post(f"/v1/messages/{asked['id']}/regenerate", headers={"Prefer": "wait"})
    assert (third.status_code, third.json()["version"]) == (200, 3)


async def test_regenerating_asks_what_was_asked_then(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    marker = uuid.uuid4().hex
    await turn(as_owner, conversation, "Before")
    reply = await turn(as_owner, conversation, script(id=marker))
    await turn(as_owner, conversation, "After")
    body = {"provider": "openai", "model": "scripted-1", "max_tokens": 99}
    again = await as_owner.post(f"/v1/messages/{reply['id']}/regenerate", json=body, headers={"Prefer": "wait"})
    assert again.status_code == 200
    first, second = upstream.calls_of(marker)
    assert first.body["messages"] == second.body["messages"]
    assert second.body["max_tokens"] == 99


async def test_newest_reply_is_the_one_remembered(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    """The provider is shown one reply to each message."""
    first = await turn(as_owner, conversation, "Tell me")
    await as_owner.post(f"/v1/messages/{first['id']}/regenerate", headers={"Prefer": "wait"})
    marker = uuid.uuid4().hex
    await turn(as_owner, conversation, script(id=marker))
    [call] = upstream.calls_of(marker)
    assert [message["role"] for message in call.body["messages"]] == ["user", "assistant", "user"]


async def test_regenerating_what_is_being_written(as_owner: httpx.AsyncClient, conversation: str) -> None:
    message = await begin(as_owner, conversation, script(tokens=1000, gap=0.02))
    refused = await as_owner.post(f"/v1/messages/{message}/regenerate")
    assert_problem(refused, 409, "conflict")
    await as_owner.post(f"/v1/messages/{message}/stop")
    assert len(await history(as_owner, conversation)) == 2
