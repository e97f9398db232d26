"""What one user's request is refused for is that request's affair: the next user is answered by the same model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from app.errors import AppError, ContentFiltered
from app.providers.description import HOSTED
from app.providers.factory import make_providers
from app.routing.breaker import Breakers
from app.routing.deadlines import Deadlines
from app.routing.failover import Answering, Failover
from app.routing.router import Candidate
from app.values import ChatRequest, Delta, Message, ProviderName
from tests.contract.conftest import MODEL, configured_at
from tests.contract.refusals import CASES, USERS, Refusal
from tests.support.raw_upstream import Exchange, raw_upstream
from tests.support.scripted_providers import Scripted
from tests.support.wires import WIRES

WAVES = 3


class Turns:
    """Turns of several users that prefer one model, beside which there is another."""

    def __init__(self, failover: Failover, breakers: Breakers, adapter: ProviderName) -> None:
        self.breakers = breakers
        self._failover = failover
        self._candidates = (Candidate(adapter, MODEL), Candidate(ProviderName("demo"), "other"))

    async def answered_by(self, content: str) -> str:
        """Which provider gave the text; "" when none did."""
        answering = ""
        requests = self._failover.answer(
            self._candidates, lambda candidate: ChatRequest(candidate.model, (Message("user", content),))
        )
        try:
            async with aclosing(requests) as events:
                async for event in events:
                    if isinstance(event, Answering):
                        answering = event.provider
                    elif isinstance(event, Delta):
                        return answering
        except (AppError, ContentFiltered):
            pass
        return ""


@asynccontextmanager
async def served(adapter: ProviderName, refusal: Refusal) -> AsyncIterator[tuple[Turns, Scripted]]:
    """A model that takes short messages only, and refuses others so."""
    wire, (status, body) = WIRES[adapter], refusal

    async def answer(exchange: Exchange) -> None:
        if b"BAD" not in exchange.body:
            exchange.start()
            exchange.send(wire.opening, wire.token, wire.ending)
        elif status == 200:
            exchange.start()
            exchange.send(body)
        else:
            exchange.reply(status, body)

    other = Scripted(ProviderName("demo"))
    async with raw_upstream(answer) as upstream:
        provider = make_providers(configured_at(upstream.url))[adapter]
        breakers = Breakers()
        deadlines = Deadlines(60.0, {adapter: HOSTED, other.name: HOSTED})
        failover = Failover({adapter: provider, other.name: other}, breakers, deadlines)
        yield Turns(failover, breakers, adapter), other
        await provider.aclose()


@pytest.mark.parametrize(("adapter", "kind", "refusal"), CASES)
async def test_a_fifth_users_short_message_is_answered_by_the_same_model(
    adapter: ProviderName, kind: str, refusal: Refusal
) -> None:
    async with served(adapter, refusal) as (turns, other):
        for _ in range(WAVES):
            bad = (turns.answered_by("BAD " * 5_000) for _ in range(USERS))
            *refused, fifth = await asyncio.gather(*bad, turns.answered_by("Hi"))
            assert fifth == adapter
            assert await turns.answered_by("Hi again") == adapter
            # what one provider's policy refuses is not offered to the next one
            assert set(refused) == ({""} if kind == "flagged" else {"demo"})
        assert turns.breakers.health(adapter, MODEL).breaker == "closed"
        assert len(other.calls) == (0 if kind == "flagged" else USERS * WAVES)
