"""Moderation on the wire: nothing of a flagged turn is seen by anyone, and a clean one is not held up."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.callers import Connection, one
from tests.support.client import WAIT, history, new_conversation, person_client, reading, script, send, turn
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import Upstream

VIOLENT = ["violence"]


@pytest.fixture(scope="module")
async def api(
    stack: LocalSupabase, upstream: Upstream, kept_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API that moderates what it is sent and what it answers."""
    async with moderating(stack, upstream, tmp_path_factory, MODERATION_OUTPUT="true") as running:
        yield running


def moderating(stack: LocalSupabase, upstream: Upstream, folders: pytest.TempPathFactory, **settings: str) -> Any:
    return running_api(
        stack,
        folders.mktemp("moderating") / "api.log",
        **{
            "OPENAI_API_KEY": "test",
            "OPENAI_BASE_URL": upstream.url,
            "OPENAI_MODEL": scripted.MODEL,
            "MODERATION": "openai",
            "EMBEDDING_MODEL": "local",
        }
        | settings,
    )


@pytest.fixture(scope="module")
async def person(stack: LocalSupabase) -> Person:
    return await sign_up(stack)


@pytest.fixture
async def client(api: Api, person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(api, person) as opened:
        yield opened


@pytest.fixture
async def conversation(client: httpx.AsyncClient) -> str:
    return await new_conversation(client)


def path(conversation: str) -> str:
    return f"/v1/conversations/{conversation}/messages"


def pushed(db: Connection, conversation: str, event: str) -> int:
    """How many of these events went to the conversation's devices."""
    count: int = one(
        db,
        "select count(*) from realtime.messages where topic = %s and event = %s",
        [f"conversation:{conversation}", event],
    )
    return count


# ── flagged ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_flagged_input_shows_nothing_to_anyone(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream, owned: Connection, person: Person
) -> None:
    # the verdict comes after more than a journal interval of text
    asked = script(id="flagged", tokens=500, gap=0.01, verdict=0.8, flag=VIOLENT)
    async with reading(client, "POST", path(conversation), json={"content": asked}) as reader:
        await reader.until("message.started")
        message = reader.transcript.events[0].data["message_id"]
        async with reading(client, "GET", f"/v1/messages/{message}/stream") as other:
            transcripts = [await other.to_end(), await reader.to_end()]
    for transcript in transcripts:
        assert [event.name for event in transcript.events] == ["message.started", "error"]
        ending = transcript.events[-1].data
        assert (ending["status"], ending["length"]) == ("filtered", 0)
        assert ending["problem"]["code"] == "content_flagged"
        assert ending["problem"]["categories"] == VIOLENT

    (call,) = upstream.calls_of("flagged")
    assert call.cancelled
    assert 0 < call.sent < 500
    user_message, reply = await history(client, conversation)
    assert user_message["content"] == asked
    assert user_message["flagged"] == reply["flagged"] == VIOLENT
    assert (reply["content"], reply["seq"], reply["status"]) == ("", 0, "filtered")
    assert reply["error_code"] == "content_flagged"
    assert pushed(owned, conversation, "message.delta") == 0
    assert pushed(owned, conversation, "message.completed") == 1
    audit = owned.execute(
        "select to_jsonb(a) - 'id' - 'created_at' from private.moderation_audit as a where message_id = %s",
        [user_message["id"]],
    ).fetchall()
    assert audit == [
        ({"user_id": person.id, "message_id": user_message["id"], "part": "input", "categories": VIOLENT},)
    ]
    # what was asked of the provider is paid for
    assert reply["tokens_used"] > 0

    again = await client.get(f"/v1/messages/{reply['id']}/stream")
    assert '"code":"content_flagged"' in again.text
    assert "delta" not in again.text


async def test_waiting_for_a_flagged_turn_is_the_problem(client: httpx.AsyncClient, conversation: str) -> None:
    response = await client.post(path(conversation), json={"content": script(flag=VIOLENT)}, headers=WAIT)
    assert response.status_code == 422
    assert response.json()["code"] == "content_flagged"
    assert response.json()["categories"] == VIOLENT


async def test_flagged_message_is_neither_history_nor_answered_again(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    await turn(client, conversation, "Good day")
    await client.post(path(conversation), json={"content": script(flag=VIOLENT)}, headers=WAIT)
    flagged = next(message for message in await history(client, conversation) if message["flagged"])
    refused = await client.post(f"/v1/messages/{flagged['id']}/regenerate")
    assert (refused.status_code, refused.json()["code"]) == (422, "content_flagged")
    await turn(client, conversation, script(id="after"))
    (call,) = upstream.calls_of("after")
    assert [message["content"] for message in call.body["messages"]] == [
        "Good day",
        "tok0 tok1 tok2 tok3 tok4 ",
        script(id="after"),
    ]


async def test_message_stopped_before_its_verdict_is_no_history(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream
) -> None:
    """Or a stop would be a way around moderation: the next message could refer to it."""
    body = {"content": script(id="stopped", tokens=200, gap=0.01, verdict=3, flag=VIOLENT)}
    async with reading(client, "POST", path(conversation), json=body) as reader:
        await reader.until("message.started")
        await upstream.call("stopped")
        stopped = await client.post(f"/v1/messages/{reader.transcript.events[0].data['message_id']}/stop")
        assert (stopped.json()["status"], stopped.json()["content"]) == ("stopped", "")
    await turn(client, conversation, script(id="next"))
    (call,) = upstream.calls_of("next")
    assert [message["content"] for message in call.body["messages"]] == [script(id="next")]


async def test_message_begun_past_the_api_is_no_history(
    client: httpx.AsyncClient, conversation: str, upstream: Upstream, stack: LocalSupabase, person: Person
) -> None:
    async with httpx.AsyncClient() as data_api:
        begun = await data_api.post(
            f"{stack.url}/rest/v1/rpc/begin_turn",
            headers={"apikey": stack.publishable_key, **person.headers},
            json={"p_writer": person.id, "p_conversation_id": conversation, "p_content": "unchecked"},
        )
    assert begun.status_code == 200
    await turn(client, conversation, script(id="beside"))
    (call,) = upstream.calls_of("beside")
    assert [message["content"] for message in call.body["messages"]] == [script(id="beside")]


# ── clean ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_clean_input_is_shown_whole_once_judged(
    client: httpx.AsyncClient, conversation: str, owned: Connection
) -> None:
    started = time.monotonic()
    body = {"content": script(tokens=30, gap=0.02, verdict=0.3)}
    async with reading(client, "POST", path(conversation), json=body) as reader:
        await reader.until("delta")
        assert time.monotonic() - started >= 0.3
        transcript = await reader.to_end()
    assert transcript.ending is not None
    assert transcript.ending.name == "done"
    assert transcript.text == "".join(f"tok{i} " for i in range(30))
    asked, reply = await history(client, conversation)
    assert reply["content"] == transcript.text
    assert asked["flagged"] is None
    assert await turn(client, conversation, "And on")
    assert owned.execute(
        "select count(*) from public.messages where conversation_id = %s and not screened", [conversation]
    ).fetchone() == (0,)


async def test_reply_that_ends_before_the_verdict_waits_for_it(client: httpx.AsyncClient, conversation: str) -> None:
    transcript = await send(client, conversation, script(tokens=3, verdict=0.5))
    assert transcript.text == "tok0 tok1 tok2 "
    flagged = await send(client, conversation, script(tokens=3, verdict=0.5, flag=VIOLENT))
    assert [event.name for event in flagged.events] == ["message.started", "error"]


async def test_added_latency(
    client: httpx.AsyncClient,
    conversation: str,
    person: Person,
    stack: LocalSupabase,
    upstream: Upstream,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The time to the first token, with and without moderation, in turn. A verdict that comes before the token is
    waited for beside it: one after the other would add the verdict's 150 ms."""

    async def first_token(asking: httpx.AsyncClient) -> float:
        started = time.perf_counter()
        body = {"content": script(tokens=1, first=0.2, verdict=0.15)}
        async with reading(asking, "POST", path(conversation), json=body) as reader:
            await reader.until("delta")
            seconds = time.perf_counter() - started
            await reader.to_end()
        return seconds

    async with (
        moderating(stack, upstream, tmp_path_factory, MODERATION="off") as plain,
        person_client(plain, person) as other,
    ):
        times: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(10):
            times[True].append(await first_token(client))
            times[False].append(await first_token(other))
    added = statistics.median(times[True]) - statistics.median(times[False])
    assert added < 0.075


# ── replies ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_flagged_reply_is_withdrawn(
    client: httpx.AsyncClient, conversation: str, owned: Connection, upstream: Upstream
) -> None:
    pieces = ['{"flag": ', '["violence"]', "}"]
    transcript = await send(client, conversation, script(tokens=3, gap=0.05, pieces=pieces))
    assert transcript.text == "".join(pieces)
    assert transcript.ending is not None
    assert transcript.ending.name == "error"
    assert transcript.ending.data["length"] == 0
    assert transcript.ending.data["problem"]["code"] == "content_flagged"
    ids = [event.id for event in transcript.events]
    assert ids == sorted(set(ids))

    asked, reply = await history(client, conversation)
    assert asked["flagged"] is None
    assert (reply["content"], reply["status"], reply["flagged"]) == ("", "filtered", VIOLENT)
    assert reply["usage"]["completion_tokens"] == 3
    assert owned.execute(
        "select part, categories from private.moderation_audit where message_id = %s", [reply["id"]]
    ).fetchall() == [("output", VIOLENT)]
    # who held the text comes back and learns that it is void
    resumed = await client.get(
        f"/v1/messages/{reply['id']}/stream", headers={"Last-Event-ID": str(10 + len(transcript.text))}
    )
    assert resumed.text.startswith(f"id: {11 + len(transcript.text)}\nevent: error\n")


THOUGHTS = [f"thought{number} " for number in range(30)]


async def test_reasoning_is_withheld_until_the_verdict(
    client: httpx.AsyncClient, conversation: str, owned: Connection, upstream: Upstream
) -> None:
    """The model thinks for longer than a journal interval before the verdict, which refuses the message."""
    asked = script(id="thinks", thoughts=THOUGHTS * 100, gap=0.03, verdict=1.0, flag=VIOLENT)
    transcript = await send(client, conversation, asked)
    assert [event.name for event in transcript.events] == ["message.started", "error"]
    assert upstream.calls_of("thinks")[0].cancelled
    _, reply = await history(client, conversation)
    assert (reply["status"], reply["content"], reply["reasoning"], reply["seq"]) == ("filtered", "", "", 0)
    assert pushed(owned, conversation, "message.delta") == 0
    # the provider has written it all the same
    assert reply["usage"]["reasoning_tokens"] > 0
    assert reply["usage"]["completion_tokens"] >= reply["usage"]["reasoning_tokens"]


async def test_reasoning_is_shown_whole_once_judged(client: httpx.AsyncClient, conversation: str) -> None:
    body = {"content": script(thoughts=THOUGHTS, gap=0.02, tokens=2, verdict=1.0)}
    async with reading(client, "POST", path(conversation), json=body) as reader:
        await reader.until("reasoning")
        assert len(reader.transcript.reasoning) > len(THOUGHTS[0])
        transcript = await reader.to_end()
    assert (transcript.reasoning, transcript.text) == ("".join(THOUGHTS), "tok0 tok1 ")


FLAGGED_TEXT = {"thoughts": ["Good thought"], "pieces": ['{"flag": ', '["violence"]', "}"]}
FLAGGED_REASONING = {"thoughts": ['{"flag": ', '["violence"]', "}"], "pieces": ["Good text"]}


@pytest.mark.parametrize("flagged", [FLAGGED_TEXT, FLAGGED_REASONING], ids=["text", "reasoning"])
async def test_text_and_reasoning_are_withdrawn_together(
    client: httpx.AsyncClient, conversation: str, owned: Connection, flagged: dict[str, Any]
) -> None:
    transcript = await send(client, conversation, script(gap=0.4, **flagged))
    assert transcript.ending is not None
    assert transcript.ending.name == "error"
    assert transcript.ending.data["problem"]["code"] == "content_flagged"
    _, reply = await history(client, conversation)
    assert (reply["content"], reply["reasoning"], reply["status"]) == ("", "", "filtered")
    # whoever comes back with all of it learns that it is void, and whoever comes anew sees none
    resumed = await client.get(
        f"/v1/messages/{reply['id']}/stream", headers={"Last-Event-ID": str(transcript.events[-2].id)}
    )
    assert "event: error\n" in resumed.text
    anew = await client.get(f"/v1/messages/{reply['id']}/stream")
    assert "event: reasoning\n" not in resumed.text + anew.text
    # and devices hear that what they hold is no more
    pieces = owned.execute(
        "select payload from realtime.messages where topic = %s and event = 'message.delta' order by inserted_at",
        [f"conversation:{conversation}"],
    ).fetchall()
    assert pieces[-1][0]["reasoning"] is None
    assert not pieces[-1][0]["text"]


# ── no verdict ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_open_lets_pass_without_a_verdict(client: httpx.AsyncClient, conversation: str) -> None:
    reply = await turn(client, conversation, script(tokens=2, moderator=503))
    assert (reply["status"], reply["content"]) == ("complete", "tok0 tok1 ")


async def test_closed_refuses_without_a_verdict(
    person: Person, stack: LocalSupabase, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with (
        moderating(stack, upstream, tmp_path_factory, MODERATION_FAIL="closed") as api,
        person_client(api, person) as client,
    ):
        conversation = await new_conversation(client)
        body = script(id="closed", tokens=500, gap=0.01, moderator=503, verdict=0.3)
        transcript = await send(client, conversation, body)
        assert [event.name for event in transcript.events] == ["message.started", "error"]
        assert transcript.events[-1].data["problem"]["code"] == "provider_unavailable"
        assert upstream.calls_of("closed")[0].cancelled
        asked, reply = await history(client, conversation)
        assert (reply["status"], reply["content"], asked["flagged"]) == ("failed", "", None)
        # it was not flagged, so it may be tried again
        again = await client.post(f"/v1/messages/{reply['id']}/regenerate", headers=WAIT)
        assert again.json()["status"] == "failed"
        await turn(client, conversation, script(id="following"))
        assert len(upstream.calls_of("following")[0].body["messages"]) == 1


# ── the endpoint ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_endpoint(client: httpx.AsyncClient) -> None:
    for flags in ([], VIOLENT):
        response = await client.post("/v1/moderations", json={"content": script(flag=flags)})
        assert response.status_code == 200
        assert response.json() == {"allowed": not flags, "categories": flags}
        assert response.headers["ratelimit"].startswith('"requests";r=')


async def test_endpoint_says_when_it_does_not_know(
    client: httpx.AsyncClient, replicas: tuple[Api, Api], person: Person
) -> None:
    down = await client.post("/v1/moderations", json={"content": script(moderator=503)})
    assert (down.status_code, down.json()["code"]) == (503, "provider_unavailable")
    async with person_client(replicas[0], person) as unmoderated:
        off = await unmoderated.post("/v1/moderations", json={"content": "Hello"})
    assert (off.status_code, off.json()["code"]) == (503, "moderation_off")
    assert off.json()["title"] == "Moderation is off"
    assert "MODERATION" in off.json()["detail"]
    assert "provider" not in off.text


async def test_verdicts_are_concurrent(client: httpx.AsyncClient) -> None:
    started = time.monotonic()
    slow = [client.post("/v1/moderations", json={"content": script(verdict=0.5)}) for _ in range(5)]
    assert {response.status_code for response in await asyncio.gather(*slow)} == {200}
    assert time.monotonic() - started < 2


async def test_flagged_instructions_refuse_the_message(
    client: httpx.AsyncClient, upstream: Upstream, owned: Connection
) -> None:
    """They are checked with each message: users may have written them through the Data API."""
    flagged = await new_conversation(client, instructions=script(flag=VIOLENT))
    transcript = await send(client, flagged, script(id="instructed"))
    assert [event.name for event in transcript.events] == ["message.started", "error"]
    assert transcript.events[-1].data["problem"]["code"] == "content_flagged"
    assert pushed(owned, flagged, "message.delta") == 0
    harmless = await new_conversation(client, instructions="Be kind.")
    transcript = await send(client, harmless, "Hello")
    assert transcript.events[-1].name == "done"
    assert "Be kind." in upstream.moderated
