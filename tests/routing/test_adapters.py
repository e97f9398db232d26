"""The same promises with the real adapters, over the wire: what counts is what the provider's journal says."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from app.providers.factory import make_providers
from app.routing.breaker import OPEN_SECONDS, Breakers
from app.routing.deadlines import Deadlines
from app.routing.failover import Answering, Failover
from app.routing.retry import BUDGET_SHARE
from app.routing.router import Candidate
from app.settings import Settings
from app.values import ChatRequest, Delta, Message
from tests.support.aimock import AIMock

SENDS = 50
OPENAI, CLAUDE = "/v1/chat/completions", "/v1/messages"
CANDIDATES = (Candidate("openai", "gpt-6.1-terra"), Candidate("claude", "claude-sonnet-5-5"))


class Turns:
    """Turns of a process whose breakers' clock can be put forward."""

    def __init__(self, settings: Settings) -> None:
        self.ahead = 0.0
        self.providers = make_providers(settings.providers)
        self.breakers = Breakers(clock=lambda: time.monotonic() + self.ahead)
        self.failover = Failover(self.providers, self.breakers, Deadlines.of(settings))

    async def send(self, candidates: tuple[Candidate, ...] = CANDIDATES) -> str:
        """Who answered."""
        text, answered_by = "", ""
        prompt = (Message("user", "Hello"),)
        turn = self.failover.answer(candidates, lambda candidate: ChatRequest(candidate.model, prompt))
        async with aclosing(turn) as events:
            async for event in events:
                if isinstance(event, Answering):
                    answered_by = event.provider
                elif isinstance(event, Delta):
                    text += event.text
        assert text == "Hello there"
        return answered_by

    async def send_many(self) -> list[str]:
        return await asyncio.gather(*(self.send() for _ in range(SENDS)))

    async def median_seconds(self, candidates: tuple[Candidate, ...]) -> float:
        """How long a turn takes, one at a time."""
        took = []
        for _ in range(15):
            began = time.perf_counter()
            await self.send(candidates)
            took.append(time.perf_counter() - began)
        return statistics.median(took)


@pytest.fixture
async def turns(aimock: AIMock) -> AsyncIterator[Turns]:
    settings = Settings(
        supabase_url="http://localhost",
        supabase_publishable_key="p",
        supabase_secret_key="s",
        provider_values=aimock.settings,
    )
    turns = Turns(settings)
    yield turns
    for provider in turns.providers.values():
        await provider.aclose()


async def test_an_outage_from_its_first_call_to_its_last(aimock: AIMock, turns: Turns) -> None:
    aimock.error(503, model=CANDIDATES[0].model)
    aimock.reply("Hello there")
    assert await turns.send_many() == ["claude"] * SENDS
    calls = len(aimock.journal(OPENAI))
    assert 5 <= calls <= SENDS * (1 + BUDGET_SHARE)
    assert len(aimock.journal(CLAUDE)) == SENDS

    # open: not a call, and hardly a moment
    assert turns.breakers.health("openai", CANDIDATES[0].model).breaker == "open"
    assert await turns.send_many() == ["claude"] * SENDS
    assert len(aimock.journal(OPENAI)) == calls
    with_outage = await turns.median_seconds(CANDIDATES)
    without = await turns.median_seconds(CANDIDATES[1:])
    assert with_outage - without < 0.05

    # back: one of fifty tries it, and then everyone
    aimock.reset()
    aimock.reply("Hello there")
    turns.ahead += OPEN_SECONDS
    assert sorted(await turns.send_many()) == ["claude"] * (SENDS - 1) + ["openai"]
    assert len(aimock.journal(OPENAI)) == 1
    assert await turns.send_many() == ["openai"] * SENDS


async def test_a_good_turn_is_one_call(aimock: AIMock, turns: Turns) -> None:
    aimock.reply("Hello there")
    assert await turns.send() == "openai"
    assert len(aimock.journal()) == 1
