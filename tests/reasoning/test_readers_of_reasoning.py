"""Reasoning as its readers have it: as it comes, cut off anywhere, on any replica, and on a second device."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from realtime import AsyncRealtimeClient

from app.values import ProviderName
from scripts.local_supabase import LocalSupabase
from tests.reasoning.thinker import OPENAI, Call, Thinker
from tests.support.client import new_conversation, reading
from tests.support.python_client import Inbox, config
from tests.support.service import Person

# reasoning, text, more reasoning and more text, of characters of one to four bytes
STEPS = ["?Hä, 😀", "?ßo ", "!Vier", "!zig 👍🏽", "?Or not? ", "!und zwei", "?It is. ", "!."]
REASONING = "".join(step[1:] for step in STEPS if step[0] == "?")
TEXT = "".join(step[1:] for step in STEPS if step[0] == "!")


def take(call: Call, step: str) -> str:
    """Think or say it. The name of the event that its readers get."""
    thinks = step[0] == "?"
    (call.think if thinks else call.say)(step[1:])
    return "reasoning" if thinks else "delta"


async def begun(client: httpx.AsyncClient, thinker: Thinker, adapter: ProviderName, marker: str) -> tuple[str, Call]:
    """A turn whose reply is being written; the reply's id, and the call that writes it."""
    conversation = await new_conversation(client)
    body = {"content": marker, "provider": adapter}
    answer = await client.post(f"/v1/conversations/{conversation}/messages", json=body)
    assert answer.status_code == 202, answer.text
    call = await thinker.call(adapter, marker)
    call.start()
    return answer.json()["message"]["id"], call


async def test_each_event_comes_before_the_next_is_thought(
    client: httpx.AsyncClient, thinker: Thinker, adapter: ProviderName
) -> None:
    message, call = await begun(client, thinker, adapter, f"{adapter} streams")
    async with reading(client, "GET", f"/v1/messages/{message}/stream") as reader:
        for step in STEPS:
            await reader.until(take(call, step))
            assert (reader.transcript.reasoning, reader.transcript.text) == (call.thoughts, call.text)
        call.end()
        transcript = await reader.to_end()
    assert transcript.ending is not None
    assert (transcript.ending.name, transcript.ending.data["length"]) == ("done", len(TEXT))


@pytest.mark.parametrize("first", [0, 1], ids=["the writer first", "another replica first"])
async def test_a_reader_who_is_cut_after_each_event_lacks_and_doubles_nothing(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, thinker: Thinker, adapter: ProviderName, first: int
) -> None:
    message, call = await begun(client, thinker, adapter, f"{adapter} is cut {first}")
    path, held, reasoning, text = f"/v1/messages/{message}/stream", 0, "", ""
    for number, step in enumerate(STEPS, first):
        name = take(call, step)
        async with reading((client, elsewhere)[number % 2], "GET", path, after=held) as reader:
            await reader.until(name)
        held = reader.transcript.last_id
        reasoning += reader.transcript.reasoning
        text += reader.transcript.text
    call.end()
    async with reading(elsewhere, "GET", path, after=held) as reader:
        rest = await reader.to_end()
    assert (reasoning + rest.reasoning, text + rest.text) == (REASONING, TEXT)
    assert rest.ending is not None
    assert rest.ending.name == "done"
    reply = (await client.get(f"/v1/messages/{message}")).json()
    assert (reply["status"], reply["reasoning"], reply["content"]) == ("complete", REASONING, TEXT)


async def test_a_finished_reply_is_resumed_from_every_event(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, thinker: Thinker, adapter: ProviderName
) -> None:
    message, call = await begun(client, thinker, adapter, f"{adapter} is read later")
    path = f"/v1/messages/{message}/stream"
    async with reading(client, "GET", path) as reader:
        for step in STEPS:
            await reader.until(take(call, step))
        call.end()
        whole = await reader.to_end()
    reasoning = text = ""
    for event in whole.events[:-1]:
        reasoning += event.data["text"] if event.name == "reasoning" else ""
        text += event.data["text"] if event.name == "delta" else ""
        for reader_at in (client, elsewhere):
            async with reading(reader_at, "GET", path, after=event.id) as reader:
                rest = await reader.to_end()
            assert (reasoning + rest.reasoning, text + rest.text) == (REASONING, TEXT)


async def test_a_reader_goes_on_where_the_reply_is_written_after_another_call_answered(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, thinker: Thinker
) -> None:
    """It has read on a replica that is not told of the `restart`, which must not void its text now."""
    marker = "A call breaks while it thinks"
    message, call = await begun(client, thinker, OPENAI, marker)
    path = f"/v1/messages/{message}/stream"
    async with reading(elsewhere, "GET", path) as reader:
        call.think("One. ")
        await reader.until("reasoning")
        call.exchange.abort()
        second = await thinker.call(None, marker, 2)
        second.start()
        second.think("Two.")
        await reader.until("reasoning")
        second.say("4")
        await reader.until("delta")
    held = reader.transcript
    assert (held.reasoning, held.text) == ("One. \n\nTwo.", "4")
    async with reading(client, "GET", path, after=held.last_id) as reader:
        second.say("2")
        second.end()
        rest = await reader.to_end()
    assert [event.name for event in rest.events] == ["delta", "done"]
    assert rest.text == "2"
    async with reading(client, "GET", path) as reader:
        whole = await reader.to_end()
    assert (whole.reasoning, whole.text) == (held.reasoning, "42")


async def test_the_second_device_sees_the_reasoning(
    stack: LocalSupabase, client: httpx.AsyncClient, person: Person, thinker: Thinker, adapter: ProviderName
) -> None:
    """With the official client: each piece while the model goes on thinking, and all of it in the end."""
    conversation, marker = await new_conversation(client), f"{adapter} is followed by a device"
    device = AsyncRealtimeClient(f"{stack.url}/realtime/v1", stack.publishable_key)
    await device.connect()
    try:
        await device.set_auth(person.token)
        channel = device.channel(f"conversation:{conversation}", config(private=True))
        heard = Inbox()
        for name in ("message.delta", "message.completed"):
            channel.on_broadcast(name, heard.put)
        await channel.subscribe()
        body = {"content": marker, "provider": adapter}
        answer = await client.post(f"/v1/conversations/{conversation}/messages", json=body)
        message = answer.json()["message"]["id"]
        call = await thinker.call(adapter, marker)
        call.start()
        pieces: list[dict[str, Any]] = []

        async def until(reasoning: str, text: str) -> None:
            while (_joined(pieces, "reasoning"), _joined(pieces, "text")) != (reasoning, text):
                said = await heard.next()
                assert (said["event"], said["payload"]["message_id"]) == ("message.delta", message)
                pieces.append(said["payload"])

        for step in STEPS:
            take(call, step)
            await until(call.thoughts, call.text)
        call.end()
        ending = await heard.next()
    finally:
        await device.close()
    assert (_joined(pieces, "reasoning"), _joined(pieces, "text")) == (REASONING, TEXT)
    assert [piece["seq"] for piece in pieces] == list(range(1, len(pieces) + 1))
    assert (ending["event"], ending["payload"]["length"]) == ("message.completed", len(TEXT))
    reply = (await client.get(f"/v1/messages/{message}")).json()
    assert (reply["reasoning"], reply["content"], reply["seq"]) == (REASONING, TEXT, len(pieces))


def _joined(pieces: list[dict[str, Any]], field: str) -> str:
    return "".join(piece.get(field, "") for piece in pieces)
