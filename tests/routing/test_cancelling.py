"""A turn that is closed or cancelled: the provider's work ends at once, and it counts for nothing."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from app.errors import ServerError, Throttled
from app.routing.breaker import OPEN_SECONDS
from app.routing.failover import Answering
from app.routing.window import LEAST_CALLS
from app.values import Delta, Finish
from tests.support.scripted_providers import ANSWER, HANG, Scripted, Stage, failure, virtually


def test_closing_stops_the_provider_and_counts_for_nothing() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=["Hel", HANG]))
        openai = stage.providers["openai"]
        for _ in range(2 * LEAST_CALLS):
            async with aclosing(stage.answer()) as events:
                assert isinstance(await anext(events), Answering)
                assert await anext(events) == Delta("Hel")
                assert openai.streaming == 1
            assert openai.streaming == 0
        assert stage.health("openai") == "closed"

    virtually(main)


@pytest.mark.parametrize("play", [[HANG], ["Hel", HANG]], ids=["before", "after"])
def test_cancelling_stops_the_provider_and_counts_for_nothing(play: list[str | float]) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=play), Scripted("claude"))
        for _ in range(2 * LEAST_CALLS):
            turn = asyncio.create_task(stage.collect())
            await asyncio.sleep(1)
            assert stage.providers["openai"].streaming == 1
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn
            assert stage.providers["openai"].streaming == 0
        assert stage.providers["claude"].calls == []
        assert stage.health("openai") == "closed"

    virtually(main)


def test_cancelling_a_turn_that_waits_for_its_retry() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [failure(Throttled, retry_after=10.0)]))
        turn = asyncio.create_task(stage.collect())
        await asyncio.sleep(5)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
        assert len(stage.providers["openai"].calls) == 1

    virtually(main)


def test_a_cancelled_trial_makes_room_for_another() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[failure(ServerError)]), Scripted("claude"))
        while stage.health("openai") == "closed":
            await stage.collect()
        await asyncio.sleep(OPEN_SECONDS)
        stage.providers["openai"].otherwise = [HANG]
        trial = asyncio.create_task(stage.collect())
        await asyncio.sleep(1)
        assert (await stage.text())[0] == "claude"
        trial.cancel()
        await asyncio.wait([trial])
        stage.providers["openai"].otherwise = ANSWER
        assert (await stage.text())[0] == "openai"
        assert stage.health("openai") == "closed"

    virtually(main)


def test_closing_outlives_a_second_cancel() -> None:
    """A stream whose closing takes time is closed to its end, however often the turn is cancelled."""

    class Lingering(Scripted):
        closed = 0

        async def stream(self, request):  # type: ignore[no-untyped-def]
            try:
                yield Delta("Hel")
                yield Finish("stop", None)
            finally:
                await asyncio.sleep(1)
                self.closed += 1

    async def main() -> None:
        lingering = Lingering("openai")
        stage = Stage(lingering)
        held = asyncio.Event()

        async def turn() -> None:
            async with aclosing(stage.answer()) as events:
                async for event in events:
                    if isinstance(event, Delta):
                        held.set()
                        await asyncio.sleep(HANG)

        task = asyncio.create_task(turn())
        await held.wait()
        task.cancel()
        await asyncio.sleep(0.5)
        task.cancel()
        await asyncio.wait([task])
        assert lingering.closed == 0
        await asyncio.sleep(1)
        assert lingering.closed == 1

    virtually(main)
