"""A model that thinks for a minute before its first word is waited for, with the settings that nobody has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from itertools import product
from typing import Any

import httpx
import pytest

from app.values import ProviderName
from scripts.local_supabase import LocalSupabase
from tests.reasoning.thinker import CLAUDE, GEMINI, OLLAMA, OPENAI, Call, Thinker
from tests.support.client import EventReader, new_conversation, person_client, reading
from tests.support.service import Api, sign_up

MINUTE_SECONDS = 60.0
PAUSE_SECONDS = 2.0
"""Between two pieces of reasoning, or two pings."""
PATIENCE_SECONDS = 2 * MINUTE_SECONDS

Thinking = Callable[[Call, EventReader], Awaitable[None]]


async def aloud(call: Call, reader: EventReader) -> None:
    """Each piece is read before the next one is thought."""
    call.start()
    began = _time()
    while _time() - began < MINUTE_SECONDS:
        call.think(f"Thought {round(_time() - began)}. ")
        await reader.until("reasoning")
        assert reader.transcript.reasoning == call.thoughts
        await asyncio.sleep(PAUSE_SECONDS)


async def with_pings(call: Call, _: EventReader) -> None:
    call.start()
    began = _time()
    while _time() - began < MINUTE_SECONDS:
        call.ping()
        await asyncio.sleep(PAUSE_SECONDS)


async def without_a_word(call: Call, _: EventReader) -> None:
    """As a model does that keeps its thoughts to itself."""
    call.start()
    await asyncio.sleep(MINUTE_SECONDS)


async def before_the_headers(call: Call, _: EventReader) -> None:
    """As a gateway does that sends them with the first word, and a server that loads the model."""
    await asyncio.sleep(MINUTE_SECONDS)
    call.start()


@pytest.fixture
async def client(replicas: tuple[Api, Api], stack: LocalSupabase) -> AsyncGenerator[httpx.AsyncClient]:
    async with person_client(replicas[0], await sign_up(stack)) as opened:
        yield opened


@pytest.mark.timeout(5 * MINUTE_SECONDS)
async def test_every_model_may_think_for_a_minute_before_its_first_word(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, thinker: Thinker
) -> None:
    """On each wire, whatever it shows meanwhile, all at once."""

    async def answered(adapter: ProviderName, thinks: Thinking) -> None:
        marker = f"{adapter} thinks {thinks.__name__}"
        conversation = await new_conversation(client)
        body = {"content": marker, "provider": adapter}
        path, began = f"/v1/conversations/{conversation}/messages", _time()
        async with reading(client, "POST", path, json=body, patience=PATIENCE_SECONDS) as reader:
            call = await thinker.call(adapter, marker)
            await thinks(call, reader)
            call.say("4")
            call.say("2")
            call.end()
            transcript = await reader.to_end()
        assert _time() - began >= MINUTE_SECONDS
        assert [event.name for event in transcript.events if event.name not in ("reasoning", "delta")] == [
            "message.started",
            "done",
        ]
        assert (transcript.text, transcript.reasoning) == ("42", call.thoughts)
        if thinks is not aloud:
            assert transcript.comments >= 3  # at most 15 s of silence
        message = transcript.events[0].data["message_id"]
        await check(message, adapter, call)
        assert len(thinker.calls(marker)) == 1

    async def check(message: str, adapter: ProviderName, call: Call) -> None:
        reply: dict[str, Any] = (await client.get(f"/v1/messages/{message}")).json()
        assert (reply["status"], reply["finish_reason"], reply["provider"]) == ("complete", "stop", adapter)
        assert (reply["content"], reply["reasoning"]) == ("42", call.thoughts)
        assert reply["usage"]["completion_tokens"] == 34
        assert (reply["usage"]["reasoning_tokens"] > 0) == (adapter == GEMINI or bool(call.thoughts))

    ways: list[Thinking] = [aloud, with_pings, without_a_word, before_the_headers]
    async with asyncio.TaskGroup() as turns:
        for adapter, thinks in product((OPENAI, CLAUDE, GEMINI, OLLAMA), ways):
            turns.create_task(answered(adapter, thinks))
    models = (await client.get("/v1/models")).json()["items"]
    assert {model["breaker"] for model in models} == {"closed"}


def _time() -> float:
    return asyncio.get_running_loop().time()
