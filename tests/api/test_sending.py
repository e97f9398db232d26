"""Sending a message: as an event stream, as 202, and waiting for the reply; what is stored is what was streamed."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from tests.support.client import (
    EVENT_STREAM,
    WAIT,
    assert_problem,
    history,
    new_conversation,
    reading,
    script,
    send,
    turn,
)
from tests.support.upstream import MODEL, Upstream


def messages_path(conversation: str) -> str:
    return f"/v1/conversations/{conversation}/messages"


@pytest.fixture
async def conversation(as_owner: httpx.AsyncClient) -> str:
    return await new_conversation(as_owner)


# ── the event stream ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_stream_begins_with_what_is_stored_and_ends_with_done(
    as_owner: httpx.AsyncClient, conversation: str
) -> None:
    transcript = await send(as_owner, conversation, script(tokens=4))
    asked, answered = await history(as_owner, conversation)
    started, *_, done = transcript.events
    assert (started.id, started.name) == (1, "message.started")
    assert started.data == {
        "conversation_id": conversation,
        "user_message_id": asked["id"],
        "message_id": answered["id"],
        "provider": "openai",
        "model": MODEL,
    }
    assert done.name == "done"
    assert done.data == {
        "status": "complete",
        "finish_reason": "stop",
        "usage": {
            "prompt_tokens": 7,
            "completion_tokens": 4,
            "cached_tokens": 0,
            "reasoning_tokens": 0,
            "cost_micro_usd": None,
        },
        "provider": "openai",
        "model": MODEL,
        "length": len(transcript.text),
        "reasoning_ms": None,
    }
    assert transcript.text == answered["content"] == "tok0 tok1 tok2 tok3 "


async def test_headers_of_the_stream(as_owner: httpx.AsyncClient, conversation: str) -> None:
    body = {"content": script(tokens=1)}
    async with reading(as_owner, "POST", messages_path(conversation), json=body) as reader:
        headers = reader.response.headers
        message = (await reader.to_end()).events[0].data["message_id"]
    assert headers["cache-control"] == "no-cache, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["location"] == f"/v1/messages/{message}"
    assert "idempotency-replayed" not in headers


async def test_tokens_come_one_by_one(as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream) -> None:
    """Each token is with the reader before the provider sends the next one."""
    marker = uuid.uuid4().hex
    body = {"content": script(id=marker, tokens=10, stepped=True)}
    async with reading(as_owner, "POST", messages_path(conversation), json=body) as reader:
        call = await upstream.call(marker)
        for index in range(10):
            call.step()
            await reader.until("delta")
            assert reader.transcript.events[-1].data == {"text": f"tok{index} "}
        transcript = await reader.to_end()
    assert len(transcript.named("delta")) == 10


@pytest.mark.parametrize(
    "pieces",
    [
        ["Grüße ", "aus ", "København, ", "東京 ", "и Москва"],
        ["👩‍👩‍👧‍👦", "🇩🇪", "e\u0301", "\u202eright to left", "\ufeff"],
        ["a\r\nb", "\r", "\n\n", "c\n", "\n", "data: x\n\nid: 5\nevent: done\n\n"],
        ["\u2028", "\u2029", "\x85", "\x0b\x0c", "\t", "\x1b[31m", "\x7f"],
        ["\\n \\u0000 ", '"quoted"', "{json: 'no'}", "<script>", "'; --", "%00"],
        [" ", "  leading and trailing  ", "\n"],
    ],
    ids=["scripts", "graphemes", "lines", "controls", "quotes", "blanks"],
)
async def test_what_is_stored_is_what_was_streamed(
    as_owner: httpx.AsyncClient, conversation: str, pieces: list[str]
) -> None:
    transcript = await send(as_owner, conversation, script(pieces=pieces))
    assert transcript.text == "".join(pieces)
    assert (await history(as_owner, conversation))[1]["content"] == transcript.text
    async with reading(as_owner, "GET", f"/v1/messages/{transcript.events[0].data['message_id']}/stream") as again:
        assert (await again.to_end()).text == transcript.text


async def test_long_reply(as_owner: httpx.AsyncClient, conversation: str) -> None:
    transcript = await send(as_owner, conversation, script(token="x" * 500 + "é😀{} ", tokens=500))
    assert transcript.text == "".join("x" * 500 + f"é😀{index} " for index in range(500))
    assert (await history(as_owner, conversation))[1]["content"] == transcript.text


async def test_what_cannot_be_stored_is_not_streamed_either(as_owner: httpx.AsyncClient, conversation: str) -> None:
    transcript = await send(as_owner, conversation, script(pieces=["a\0b", "\0", "c"]))
    assert transcript.text == "a\ufffdb\ufffdc"
    assert (await history(as_owner, conversation))[1]["content"] == transcript.text


async def test_reply_without_a_word_is_asked_for_again_and_fails(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    transcript = await send(as_owner, conversation, script(id="wordless", tokens=0))
    assert [event.name for event in transcript.events] == ["message.started", "error"]
    assert transcript.events[-1].data["problem"]["code"] == "provider_unavailable"
    reply = (await history(as_owner, conversation))[1]
    assert (reply["status"], reply["content"]) == ("failed", "")
    assert len(upstream.calls_of("wordless")) == 2


async def test_reply_whose_length_went_into_the_thinking(as_owner: httpx.AsyncClient, conversation: str) -> None:
    transcript = await send(as_owner, conversation, script(tokens=0, finish="length", counted=5))
    assert [event.name for event in transcript.events] == ["message.started", "done"]
    reply = (await history(as_owner, conversation))[1]
    assert (reply["status"], reply["finish_reason"], reply["content"]) == ("complete", "length", "")


async def test_reply_that_reached_its_limit(as_owner: httpx.AsyncClient, conversation: str) -> None:
    transcript = await send(as_owner, conversation, script(finish="length"), max_tokens=5)
    assert transcript.events[-1].data["finish_reason"] == "length"
    assert (await history(as_owner, conversation))[1]["finish_reason"] == "length"


async def test_reply_that_was_filtered(as_owner: httpx.AsyncClient, conversation: str) -> None:
    transcript = await send(as_owner, conversation, script(tokens=2, finish="content_filter"))
    status, reason = transcript.events[-1].data["status"], transcript.events[-1].data["finish_reason"]
    reply = (await history(as_owner, conversation))[1]
    assert (status, reason) == (reply["status"], reply["finish_reason"]) == ("filtered", "content_filter")


@pytest.mark.parametrize("content", ["Hello", " padded ", "😀", "a\r\n\tb", "\ufeff", "x" * 100_000, "é" * 100_000])
async def test_message_is_stored_and_asked_as_it_was_sent(
    as_owner: httpx.AsyncClient, conversation: str, content: str, upstream: Upstream
) -> None:
    await turn(as_owner, conversation, content)
    assert (await history(as_owner, conversation))[0]["content"] == content
    assert upstream.calls[-1].body["messages"][-1] == {"role": "user", "content": content}


async def test_accept_is_read_as_a_list(as_owner: httpx.AsyncClient, conversation: str) -> None:
    response = await as_owner.post(
        messages_path(conversation),
        json={"content": "Hello"},
        headers={"Accept": "application/json, Text/Event-Stream"},
    )
    assert response.headers["content-type"].startswith("text/event-stream")


# ── 202, and waiting ─────────────────────────────────────────────────────────────────────────────────────────────


async def test_accepted_at_once(as_owner: httpx.AsyncClient, conversation: str) -> None:
    content = script(tokens=20, gap=0.02)
    accepted = await as_owner.post(messages_path(conversation), json={"content": content})
    assert accepted.status_code == 202
    asked, reply = accepted.json()["user_message"], accepted.json()["message"]
    assert set(accepted.json()) == {"user_message", "message"}
    assert (asked["role"], asked["content"]) == ("user", content)
    assert (reply["role"], reply["status"], reply["content"]) == ("assistant", "streaming", "")
    assert reply["parent_id"] == asked["id"]
    assert accepted.headers["location"] == f"/v1/messages/{reply['id']}"
    async with reading(as_owner, "GET", f"{accepted.headers['location']}/stream") as reader:
        transcript = await reader.to_end()
    assert transcript.text == (await as_owner.get(accepted.headers["location"])).json()["content"]
    assert len(transcript.text.split()) == 20


@pytest.mark.parametrize("prefer", ["wait", "wait=60", "respond-async, wait", "return=minimal; wait", "WAIT"])
async def test_wait_for_the_reply(as_owner: httpx.AsyncClient, conversation: str, prefer: str) -> None:
    response = await as_owner.post(
        messages_path(conversation), json={"content": script(tokens=2)}, headers={"Prefer": prefer}
    )
    assert response.status_code == 200
    assert response.headers["preference-applied"] == "wait"
    reply = response.json()
    assert (reply["status"], reply["content"]) == ("complete", "tok0 tok1 ")
    assert response.headers["location"] == f"/v1/messages/{reply['id']}"
    assert reply == (await history(as_owner, conversation))[1]


@pytest.mark.parametrize("prefer", ["", "respond-async", "waiting", "return=wait"])
async def test_other_preferences_are_not_to_wait(as_owner: httpx.AsyncClient, conversation: str, prefer: str) -> None:
    response = await as_owner.post(messages_path(conversation), json={"content": "Hi"}, headers={"Prefer": prefer})
    assert response.status_code == 202


async def test_stream_is_preferred_to_waiting(as_owner: httpx.AsyncClient, conversation: str) -> None:
    response = await as_owner.post(
        messages_path(conversation), json={"content": script(tokens=1)}, headers=EVENT_STREAM | WAIT
    )
    assert response.headers["content-type"].startswith("text/event-stream")


# ── the reply is nobody's connection ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("headers", [EVENT_STREAM, WAIT], ids=["stream", "wait"])
async def test_closing_the_connection_does_not_stop_the_reply(
    as_owner: httpx.AsyncClient, conversation: str, upstream: Upstream, headers: dict[str, str]
) -> None:
    marker = uuid.uuid4().hex
    body = {"content": script(id=marker, tokens=20, stepped=True)}

    async def ask() -> None:
        async with as_owner.stream("POST", messages_path(conversation), json=body, headers=headers) as response:
            async for _ in response.aiter_raw():
                pass

    asking = asyncio.create_task(ask())
    call = await upstream.call(marker)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    call.step(20)
    reply = (await history(as_owner, conversation))[1]
    async with reading(as_owner, "GET", f"/v1/messages/{reply['id']}/stream") as reader:
        transcript = await reader.to_end()
    assert transcript.text == "".join(f"tok{index} " for index in range(20))
    assert upstream.calls_of(marker) == [call]
    assert not call.cancelled


async def test_many_at_once_keep_to_themselves(as_owner: httpx.AsyncClient, conversation: str) -> None:
    async def one(number: int) -> tuple[int, str, dict[str, Any]]:
        transcript = await send(as_owner, conversation, script(pieces=[f"{number}-", "a", "b"], gap=0.01))
        return number, transcript.text, transcript.events[0].data

    for number, text, started in await asyncio.gather(*(one(number) for number in range(20))):
        assert text == f"{number}-ab"
        reply = (await as_owner.get(f"/v1/messages/{started['message_id']}")).json()
        assert (reply["content"], reply["status"]) == (text, "complete")
    assert (await as_owner.get(f"/v1/conversations/{conversation}")).json()["message_count"] == 40


# ── providers that fail ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_request"), (401, "provider_unavailable")])
async def test_provider_that_refuses(as_owner: httpx.AsyncClient, conversation: str, status: int, code: str) -> None:
    """Nothing came: the reply is failed, and the reader is told so, in our words and not the provider's."""
    transcript = await send(as_owner, conversation, script(status=status))
    assert [event.name for event in transcript.events] == ["message.started", "error"]
    error = transcript.events[-1].data
    assert (error["status"], error["problem"]["code"]) == ("failed", code)
    assert "scripted" not in str(error["problem"])
    reply = (await history(as_owner, conversation))[1]
    assert (reply["status"], reply["error_code"], reply["content"]) == ("failed", code, "")
    assert (await turn(as_owner, conversation, "And now?"))["status"] == "complete"


async def test_provider_that_breaks_off(as_owner: httpx.AsyncClient, conversation: str) -> None:
    """After a visible token: what came is kept, nothing is glued to it, and it is a failure."""
    transcript = await send(as_owner, conversation, script(tokens=9, break_after=3, gap=0.02))
    assert transcript.text == "tok0 tok1 tok2 "
    assert transcript.events[-1].name == "error"
    reply = (await history(as_owner, conversation))[1]
    assert (reply["status"], reply["content"]) == ("failed", transcript.text)
    assert reply["usage"]["completion_tokens"] > 0


async def test_waiting_for_a_reply_that_fails(as_owner: httpx.AsyncClient, conversation: str) -> None:
    reply = await turn(as_owner, conversation, script(tokens=3, break_after=1))
    assert (reply["status"], reply["error_code"]) == ("failed", "provider_unavailable")


async def test_failed_reply_names_the_request_that_began_it(as_owner: httpx.AsyncClient, conversation: str) -> None:
    """For whoever reads the log, also when the reply is read later."""
    body = {"content": script(tokens=3, break_after=1)}
    answer = await as_owner.post(messages_path(conversation), json=body, headers={"Prefer": "wait"})
    stored = (await history(as_owner, conversation))[1]
    assert stored["problem"]["request_id"] == answer.headers["x-request-id"]
    assert answer.json()["problem"] == stored["problem"]


async def test_refused_message_leaves_nothing_behind(as_owner: httpx.AsyncClient, conversation: str) -> None:
    refused = await as_owner.post(messages_path(conversation), json={"content": "Hi", "model": "no-such-model"})
    assert_problem(refused, 422, "invalid_request")
    assert await history(as_owner, conversation) == []
