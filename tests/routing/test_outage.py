"""A provider's bad day under load: the figures that are promised for it."""

from __future__ import annotations

import asyncio
import random

import pytest

from app.errors import ProviderUnavailable, ServerError, Throttled, Unreachable
from app.routing.breaker import OPEN_SECONDS
from app.routing.retry import ATTEMPTS_PER_TURN, BUDGET_SECONDS, BUDGET_SHARE, SPARE_RETRIES
from tests.support.scripted_providers import ANSWER, HANG, Play, Scripted, Stage, clock, failure, virtually

OUTAGES = {
    "refused": [failure(Unreachable)],
    "failing": [0.2, failure(ServerError)],
    "hanging": [HANG],
    "throttled": [0.05, failure(Throttled)],
}
SENDS = 50


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_fifty_sends_at_once_are_all_answered_by_the_next_candidate(outage: Play) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=outage), Scripted("claude"))
        answers = await asyncio.gather(*(stage.text() for _ in range(SENDS)))
        assert answers == [("claude", "Hello")] * SENDS
        # at most all were under way before the first failed, and a fifth of them tried again
        assert len(stage.providers["openai"].calls) <= SENDS * (1 + BUDGET_SHARE)
        assert len(stage.retries()) <= max(SPARE_RETRIES, len(stage.providers["openai"].calls) * BUDGET_SHARE)

    virtually(main)


def test_once_open_an_outage_costs_neither_calls_nor_time_and_ends_with_one_trial() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[0.2, failure(ServerError)]), Scripted("claude"))
        openai = stage.providers["openai"]
        await asyncio.gather(*(stage.text() for _ in range(SENDS)))
        assert stage.health("openai") == "open"
        opened, calls = clock(), len(openai.calls)

        while clock() < opened + OPEN_SECONDS - 1.5:
            began = clock()
            answers = await asyncio.gather(*(stage.text() for _ in range(SENDS)))
            assert answers == [("claude", "Hello")] * SENDS
            assert clock() - began < 0.05
            await asyncio.sleep(1)
        assert len(openai.calls) == calls

        # still out: one trial, by one of fifty
        await asyncio.sleep(2)
        await asyncio.gather(*(stage.text() for _ in range(SENDS)))
        assert len(openai.calls) == calls + 1
        assert stage.health("openai") == "open"

        # back: again one trial while it lasts, and then everyone
        openai.otherwise = [0.2, *ANSWER]
        await asyncio.sleep(OPEN_SECONDS)
        answers = await asyncio.gather(*(stage.text() for _ in range(SENDS)))
        assert len(openai.calls) == calls + 2
        assert sorted(answers) == [("claude", "Hello")] * (SENDS - 1) + [("openai", "Hello")]
        answers = await asyncio.gather(*(stage.text() for _ in range(SENDS)))
        assert answers == [("openai", "Hello")] * SENDS

    virtually(main)


@pytest.mark.parametrize("pause", [0.0, 0.3, 1.5])
def test_an_outage_met_by_one_send_after_the_other_sees_a_fifth_of_its_calls_again(pause: float) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[failure(ServerError)]))
        while stage.health("openai") == "closed":
            with pytest.raises(ProviderUnavailable):
                await stage.collect()
            await asyncio.sleep(pause)
        assert len(stage.retries()) == BUDGET_SHARE * len(stage.providers["openai"].calls)

    virtually(main)


@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES)
def test_a_full_outage_makes_no_storm(outage: Play) -> None:
    """Every provider is down while sends keep coming: calls are counted as the providers see them."""
    chance = random.Random(4)  # noqa: S311 - arrival times

    async def main() -> None:
        names = ("openai", "gemini", "claude", "ollama")
        stage = Stage(*(Scripted(name, otherwise=outage) for name in names))
        attempts: list[int] = []

        async def send(at: float) -> None:
            await asyncio.sleep(at)
            with pytest.raises(ProviderUnavailable) as caught:
                await stage.collect()
            group = caught.value.__cause__
            attempts.append(len(group.exceptions) if isinstance(group, ExceptionGroup) else 0)

        await asyncio.gather(*(send(chance.uniform(0, 50)) for _ in range(600)))

        assert max(attempts) <= ATTEMPTS_PER_TURN
        calls = sorted(at for provider in stage.providers.values() for at in provider.calls)
        assert sum(attempts) == len(calls)
        retries = stage.retries()
        for at in retries:
            window = [one for one in calls if at - BUDGET_SECONDS < one <= at]
            again = [one for one in retries if at - BUDGET_SECONDS < one <= at]
            assert len(again) <= max(SPARE_RETRIES, BUDGET_SHARE * len(window))

    virtually(main)
