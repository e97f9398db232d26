"""The UI message stream: what its chunks say of a reply, and that no end is told that is none."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import httpx
import pytest

from app.api.reply_stream import HEARTBEAT
from app.api.ui_stream import UIReader
from app.chat.live import Follower, Reply
from app.errors import ContentFlagged, Interrupted
from app.values import Done, Failed, ReplyUsage, Source, Sources, Stopped
from tests.support.chunks import (
    ChatTranscript,
    chat_messages,
    new_id,
    reading_chat,
    resume_chat,
    said,
    send_chat,
)
from tests.support.client import script
from tests.support.upstream import Upstream

USAGE = ReplyUsage(7, 3, cost_micro_usd=12)
SOURCE = Source(str(uuid.uuid4()), str(uuid.uuid4()), "A book", 0.8, "words of it")


def reply() -> Reply:
    begun = Reply(str(uuid.uuid4()), conversation_id=str(uuid.uuid4()), user_id=str(uuid.uuid4()))
    begun.begin(str(uuid.uuid4()), "openai", "gpt-5-mini")
    return begun


async def title() -> str | None:
    return "A title"


class Reading:
    """One follower with what it has been sent."""

    def __init__(
        self, followed: Reply, *, resets: bool = False, draining: bool = False, known: str | None = None
    ) -> None:
        self.follower = Follower(followed, announced=0, offset=0)
        self.reader = UIReader(followed, title=known, made=title, draining=lambda: draining, resets=resets)
        self.transcript = ChatTranscript()

    def read(self) -> None:
        while news := self.reader.news(self.follower):
            self.transcript.feed(news)

    async def end(self) -> ChatTranscript:
        self.read()
        ending = self.follower.reply.ending
        end = self.reader.elsewhere(self.follower) if ending is None else self.reader.ended(self.follower, ending)
        self.transcript.feed(end)
        self.transcript.feed(await self.reader.after(self.follower))
        assert self.transcript.over
        return self.transcript


async def test_parts_come_in_order_and_are_closed() -> None:
    written = reply()
    early = Reading(written)
    early.read()
    assert early.transcript.metadata["status"] == "streaming"
    written.draw_on(Sources((SOURCE,)))
    written.think("Let me ")
    early.read()
    written.think("see.")
    written.append("He")
    early.read()
    assert early.transcript.parts[1]["state"] == "done"
    written.append("llo")
    written.end(Done("complete", "stop", USAGE, "openai", "gpt-5-mini", 5))
    for transcript in (await early.end(), await Reading(written).end()):
        assert transcript.message_id == written.id
        assert [part["type"] for part in transcript.parts] == ["source-document", "reasoning", "text"]
        assert (transcript.reasoning, transcript.text) == ("Let me see.", "Hello")
        assert {part.get("state", "done") for part in transcript.parts} == {"done"}
        assert transcript.parts[0]["title"] == "A book"
        assert transcript.parts[0]["providerMetadata"]["parley"]["excerpt"] == "words of it"
        assert (
            transcript.metadata
            | {
                "status": "complete",
                "finish_reason": "stop",
                "provider": "openai",
                "model": "gpt-5-mini",
                "cost_micro_usd": 12,
                "length": 5,
            }
            == transcript.metadata
        )
        assert transcript.metadata["usage"]["completion_tokens"] == 3
        assert transcript.finish_reason == "stop"
        assert transcript.titles == ["A title"]


async def test_reader_that_was_sent_elsewhere_is_not_told_of_an_end_that_comes_just_then() -> None:
    written = reply()
    left = Reading(written, draining=True)
    written.append("Hello")
    left.read()
    left.transcript.feed(left.reader.elsewhere(left.follower))
    written.end(Done("complete", "stop", USAGE, "openai", "gpt-5-mini", 5))
    left.transcript.feed(await left.reader.after(left.follower))
    assert left.transcript.over
    assert (left.transcript.metadata["resume"], left.transcript.finish_reason) == (True, None)


@pytest.mark.parametrize(
    ("reason", "told"), [("stop", "stop"), ("length", "length"), ("content_filter", "content-filter"), (None, "other")]
)
async def test_finish_reasons_are_those_that_every_client_knows(reason: str | None, told: str) -> None:
    written = reply()
    written.append("Hello")
    written.end(Done("complete", reason, None, "openai", "gpt-5-mini", 5))
    assert (await Reading(written).end()).finish_reason == told


async def test_stopped_reply_says_so() -> None:
    written = reply()
    written.append("Hel")
    written.end(Stopped(USAGE, 3))
    transcript = await Reading(written).end()
    assert (transcript.metadata["status"], transcript.finish_reason, transcript.text) == ("stopped", "other", "Hel")


async def test_failure_is_an_error_in_words_after_its_problem() -> None:
    written = reply()
    written.append("Hel")
    written.end(Failed(Interrupted().problem(), "interrupted", 3))
    transcript = await Reading(written).end()
    assert transcript.error == "The reply was interrupted; the text so far is kept"
    assert transcript.metadata["problem"]["code"] == "interrupted"
    assert (transcript.metadata["status"], transcript.text, transcript.finish_reason) == ("interrupted", "Hel", None)
    assert transcript.parts[-1]["state"] == "done"


@pytest.mark.parametrize(("draining", "code"), [(True, "draining"), (False, "interrupted")])
async def test_reader_who_is_sent_elsewhere_is_told_to_resume(draining: bool, code: str) -> None:
    written = reply()
    written.append("Hel")
    transcript = await Reading(written, draining=draining).end()
    assert transcript.error is not None
    assert "Resume" in transcript.error
    assert (transcript.metadata["resume"], transcript.metadata["status"]) == (True, "streaming")
    assert transcript.metadata["problem"]["code"] == code


async def test_fallback_to_another_model_voids_nothing() -> None:
    written = reply()
    reading = Reading(written, resets=True)
    written.think("Hm.")
    reading.read()
    written.restart("provider_unavailable", "claude", "claude-x")
    written.append("Hello")
    written.end(Done("complete", "stop", None, "claude", "claude-x", 5))
    transcript = await reading.end()
    assert (transcript.metadata["provider"], transcript.metadata["restart"]) == ("claude", "provider_unavailable")
    assert (transcript.reasoning, transcript.text) == ("Hm.\n\n", "Hello")


async def test_text_that_is_taken_back_is_emptied_where_the_client_knows_how() -> None:
    flagged = ContentFlagged(categories=("violence",)).problem()
    for resets in (True, False):
        written = reply()
        written.draw_on(Sources((SOURCE,)))
        written.append("what nobody may read")
        reading = Reading(written, resets=resets)
        reading.read()
        written.withdraw()
        written.end(Failed(flagged, "filtered", 0))
        transcript = await reading.end()
        assert transcript.text == ("" if resets else "what nobody may read")
        assert transcript.parts[0]["type"] == "source-document"
        assert (transcript.metadata["length"], transcript.error) == (0, flagged.title)


async def test_known_title_is_told_at_the_start_and_is_no_part() -> None:
    written = reply()
    reading = Reading(written, known="Known")
    reading.read()
    assert reading.transcript.titles == ["Known"]
    assert reading.transcript.chunks[1]["transient"] is True


async def test_readers_who_are_up_to_date_share_one_encoding() -> None:
    written = reply()
    readings = [Reading(written) for _ in range(3)]
    for reading in readings:
        reading.read()
        reading.transcript.feed(reading.reader.news(reading.follower))
    written.append("x")
    for reading in readings:
        reading.read()
    written.append("some text")
    frames = {id(reading.reader.news(reading.follower)) for reading in readings}
    assert len(frames) == 1


async def test_comments_keep_a_silent_stream_alive() -> None:
    transcript = ChatTranscript()
    transcript.feed(HEARTBEAT)
    assert transcript.comments == 1


# ── over HTTP ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_resumed_reply_begins_again_under_its_id(as_owner: httpx.AsyncClient, upstream: Upstream) -> None:
    chat, marker = new_id(), new_id()
    question = said(script(id=marker, stepped=True, tokens=12, token="é{}😀 ", thoughts=["Let me ", "see."]))
    body = {"id": chat, "messages": [question], "trigger": "submit-message"}
    async with reading_chat(as_owner, "POST", "/v1/chat", json=body) as first:
        call = await upstream.call(marker)
        for _ in range(10):
            call.step()
            await first.until("text-delta")
            async with reading_chat(as_owner, "GET", f"/v1/chat/{chat}/stream") as reader:
                await reader.until("text-delta")
                while reader.transcript.text != first.transcript.text:
                    await reader.until("text-delta")
                assert reader.transcript.message_id == first.transcript.message_id
                assert reader.transcript.reasoning == "Let me see."
        call.step(2)
        whole = await first.to_end()
    assert whole.text == "".join(f"é{index}😀 " for index in range(12))
    resumed = await resume_chat(as_owner, chat)
    assert resumed is not None
    assert (resumed.text, resumed.reasoning, resumed.metadata) == (whole.text, whole.reasoning, whole.metadata)


async def test_nothing_is_resumed_of_a_chat_that_is_not_there_or_is_over(
    as_owner: httpx.AsyncClient, upstream: Upstream
) -> None:
    assert await resume_chat(as_owner, new_id()) is None


async def test_messages_of_a_chat_line_up_with_its_stream(as_owner: httpx.AsyncClient, upstream: Upstream) -> None:
    chat, marker = new_id(), new_id()
    assert await chat_messages(as_owner, chat) == []
    question = said(script(id=marker, stepped=True, tokens=2, thoughts=["Hm."]))
    body = {"id": chat, "messages": [question], "trigger": "submit-message"}
    async with reading_chat(as_owner, "POST", "/v1/chat", json=body) as reader:
        call = await upstream.call(marker)
        call.step()
        await reader.until("text-delta")
        user, partial = await chat_messages(as_owner, chat)
        assert (user["role"], partial["id"]) == ("user", reader.transcript.message_id)
        assert partial["metadata"]["status"] == "streaming"
        assert {part.get("state") for part in partial["parts"]} <= {"streaming", "done"}
        call.step()
        whole = await reader.to_end()
    _, message = await chat_messages(as_owner, chat)
    assert message["parts"] == [
        {"type": "reasoning", "text": "Hm.", "state": "done"},
        {"type": "text", "text": "tok0 tok1 ", "state": "done"},
    ]
    assert message["metadata"].pop("created_at")
    assert message["metadata"] == whole.metadata


async def test_long_chats_are_read_in_pages(as_owner: httpx.AsyncClient) -> None:
    chat = new_id()
    texts = ["One", "Two", "Three"]
    for text in texts:
        await send_chat(as_owner, chat, said(text))
    pages: list[list[dict[str, Any]]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await as_owner.get(f"/v1/chat/{chat}/messages", params={"limit": "4", **cursor})).json()
        pages.insert(0, page["items"])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert [len(page) for page in pages] == [2, 4]
    asked = [item["parts"][0]["text"] for page in pages for item in page if item["role"] == "user"]
    assert asked == texts


async def test_stop_is_seen_by_every_reader(as_owner: httpx.AsyncClient, upstream: Upstream) -> None:
    chat, marker = new_id(), new_id()
    body = {"id": chat, "messages": [said(script(id=marker, stepped=True, tokens=3))]}
    async with reading_chat(as_owner, "POST", "/v1/chat", json=body) as reader:
        (await upstream.call(marker)).step()
        await reader.until("text-delta")
        stopped = await as_owner.post(f"/v1/chat/{chat}/stop")
        assert (stopped.status_code, stopped.json()["id"]) == (200, reader.transcript.message_id)
        assert stopped.json()["metadata"]["status"] == "stopped"
        assert (await reader.to_end()).metadata["status"] == "stopped"
    assert (await as_owner.post(f"/v1/chat/{chat}/stop")).status_code == 204
    resumed = await resume_chat(as_owner, chat)
    assert resumed is not None
    assert (resumed.metadata["status"], resumed.text) == ("stopped", "tok0 ")


async def test_closed_connection_stops_nothing(as_owner: httpx.AsyncClient, upstream: Upstream) -> None:
    """`stop()` closes it, and so does leaving the page."""
    chat, marker = new_id(), new_id()
    body = {"id": chat, "messages": [said(script(id=marker, stepped=True, tokens=2))]}
    async with reading_chat(as_owner, "POST", "/v1/chat", json=body) as reader:
        (await upstream.call(marker)).step()
        await reader.until("text-delta")
    (await upstream.call(marker)).step()
    async with asyncio.timeout(30):
        resumed = await resume_chat(as_owner, chat)
    assert resumed is not None
    assert (resumed.text, resumed.metadata["status"]) == ("tok0 tok1 ", "complete")


async def test_provider_that_fails_inside_the_reply_is_told_in_words(as_owner: httpx.AsyncClient) -> None:
    transcript = await send_chat(as_owner, new_id(), said(script(tokens=5, break_after=2)))
    assert transcript.error == "The provider failed inside the reply."
    assert transcript.metadata["problem"]["code"] == "provider_unavailable"
    assert (transcript.text, transcript.metadata["status"]) == ("tok0 tok1 ", "failed")
