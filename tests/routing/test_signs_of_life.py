"""What shows that a call lives keeps it; what its silence says about the provider depends on what else was heard."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress

import pytest

from app.errors import BrokenStream, ProviderUnavailable, ReplyTimeout, ServerError, Stalled
from app.providers.description import Patience
from app.routing.failover import Answering
from app.routing.window import LEAST_CALLS
from app.values import Delta, Reasoning
from tests.support.scripted_providers import (
    ALIVE,
    ANSWER,
    DONE,
    HANG,
    OPENED,
    PATIENCE,
    Play,
    Scripted,
    Stage,
    Step,
    clock,
    failure,
    virtually,
)

THOUGHT = Reasoning("Hm. ")


def every(seconds: float, sign: Step, times: int) -> list[Step]:
    return [step for _ in range(times) for step in (seconds, sign)]


@pytest.mark.parametrize("sign", [ALIVE, THOUGHT, "\n"], ids=["ping", "reasoning", "blank text"])
def test_only_silence_ends_a_call(sign: Step) -> None:
    """Whatever shows life, as long as it goes on: here for four minutes, six times the longest silence."""

    async def main() -> None:
        stage = Stage(Scripted("openai", [19.0, sign, *every(39.0, sign, 6), 39.0, *ANSWER]), Scripted("claude"))
        provider, text = await stage.text()
        assert (provider, text.strip()) == ("openai", "Hello")

    virtually(main)


def test_signs_of_life_count_between_tokens_too() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", ["a", *every(14.0, ALIVE, 10), 14.0, THOUGHT, 14.0, "b", DONE]))
        assert await stage.text() == ("openai", "ab")

    virtually(main)


@pytest.mark.parametrize(
    ("play", "seconds"),
    [
        ([HANG], 20.0),
        ([OPENED, HANG], 40.0),
        ([19.0, OPENED, HANG], 19.0 + 40.0),
        ([19.0, ALIVE, HANG], 19.0 + 40.0),
        ([OPENED, 30.0, ALIVE, 30.0, THOUGHT, HANG], 60.0 + 40.0),
    ],
    ids=["nothing", "headers", "late headers", "a ping", "thinking"],
)
def test_each_silence_has_its_deadline(play: Play, seconds: float) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", play), Scripted("claude"))
        began = clock()
        assert await stage.text() == ("claude", "Hello")
        assert clock() - began == pytest.approx(seconds)
        assert len(stage.providers["openai"].calls) == 1

    virtually(main)


def test_a_reply_that_shows_life_for_ever_ends_at_the_deadline_of_the_whole() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=every(10.0, ALIVE, 1000)))
        began = clock()
        with pytest.raises(ProviderUnavailable):
            await stage.collect()
        assert clock() - began == pytest.approx(300.0)

    virtually(main)


# ── what a silence says about the provider ───────────────────────────────────────────────────────────────────────


async def breaker_after(play: Play, *, patience: Patience = PATIENCE, reply: float = 300.0) -> str:
    """How the breaker is after enough calls, all at once, that go so."""
    stage = Stage(Scripted("openai", otherwise=play), Scripted("claude"), patience=patience, reply=reply)

    async def turn() -> None:
        with suppress(Stalled, ReplyTimeout, ProviderUnavailable):
            await stage.text()

    await asyncio.gather(*(turn() for _ in range(LEAST_CALLS)))
    return stage.health("openai")


@pytest.mark.parametrize(
    ("play", "health"),
    [
        ([HANG], "open"),
        # the headers may be those of a gateway
        ([OPENED, HANG], "open"),
        (["x", HANG], "open"),
        # each of these works, and takes longer than it may
        ([OPENED, ALIVE, HANG], "closed"),
        ([OPENED, THOUGHT, HANG], "closed"),
        (every(10.0, ALIVE, 1000), "closed"),
        (every(10.0, "x", 1000), "closed"),
    ],
    ids=["nothing", "headers", "stalled", "ping", "reasoning", "ping for ever", "text for ever"],
)
def test_only_a_provider_without_any_life_is_left_alone(play: Play, health: str) -> None:
    async def main() -> None:
        assert await breaker_after(play) == health

    virtually(main)


@pytest.mark.parametrize("play", [[HANG], [OPENED, HANG], ["x", HANG]], ids=["nothing", "headers", "stalled"])
def test_a_silent_call_says_nothing_while_others_of_the_model_are_answered(play: Play) -> None:
    """Such as requests that wait for the one slot of a small server, or that are too much for it."""

    async def main() -> None:
        talking = every(5.0, "x", 50)
        stage = Stage(Scripted("openai", talking, otherwise=play), Scripted("claude"))
        talk = asyncio.create_task(stage.collect())
        await asyncio.sleep(1)
        await asyncio.gather(*(stage.collect() for _ in range(2 * LEAST_CALLS)), return_exceptions=True)
        assert stage.health("openai") == "closed"
        talk.cancel()
        await asyncio.wait([talk])

    virtually(main)


def test_a_call_that_ended_well_meanwhile_speaks_for_the_model_too() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [15.0, *ANSWER], otherwise=[HANG]), Scripted("claude"))
        await asyncio.gather(*(stage.collect() for _ in range(1 + LEAST_CALLS)))
        assert stage.health("openai") == "closed"

    virtually(main)


def test_life_that_ended_when_the_silence_began_speaks_for_nobody() -> None:
    """All calls stall at the same moment: the last that was heard does not excuse the others."""

    async def main() -> None:
        plays = [[0.1 * number, "x", HANG] for number in range(LEAST_CALLS)]
        stage = Stage(Scripted("openai", *plays))
        await asyncio.gather(*(stage.collect() for _ in plays), return_exceptions=True)
        assert stage.health("openai") == "open"

    virtually(main)


# ── reasoning before the text ────────────────────────────────────────────────────────────────────────────────────


def test_reasoning_is_handed_on_as_it_comes() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [OPENED, ALIVE, THOUGHT, 1.0, THOUGHT, ALIVE, *ANSWER]))
        began = clock()
        async with aclosing(stage.answer()) as stream:
            events = [(round(clock() - began, 1), event) async for event in stream]
        assert events == [
            (0.0, Answering("openai", "openai-model", None)),
            (0.0, THOUGHT),
            (1.0, THOUGHT),
            (1.0, Delta("Hel")),
            (1.0, Delta("lo")),
            (1.0, DONE),
        ]

    virtually(main)


def test_a_call_that_fails_while_it_thinks_is_made_again_and_said() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [THOUGHT, failure(ServerError)], [Reasoning("Ah. "), *ANSWER]))
        first, thought, again, *rest = await stage.collect()
        assert first == Answering("openai", "openai-model", None)
        assert thought == THOUGHT
        assert isinstance(again, Answering)
        assert (again.provider, again.reason) == ("openai", "server_error")
        assert rest == [Reasoning("Ah. "), Delta("Hel"), Delta("lo"), DONE]

    virtually(main)


def test_another_candidate_takes_over_from_one_that_fell_silent_while_it_thought() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [THOUGHT, HANG]), Scripted("claude"))
        events = await stage.collect()
        second = events[2]
        assert isinstance(second, Answering)
        assert (second.provider, second.reason) == ("claude", "first_token_timeout")
        assert events[3:] == [Delta("Hel"), Delta("lo"), DONE]

    virtually(main)


def test_no_call_is_made_again_after_text_that_follows_reasoning() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [THOUGHT, "Hel"]), Scripted("claude"))
        with pytest.raises(BrokenStream):
            await stage.collect()
        assert len(stage.providers["openai"].calls) == 1
        assert stage.providers["claude"].calls == []

    virtually(main)


def test_closing_while_it_thinks_stops_the_provider() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [THOUGHT, HANG]))
        async with aclosing(stage.answer()) as events:
            async for event in events:
                if isinstance(event, Reasoning):
                    break
        assert stage.providers["openai"].streaming == 0
        assert stage.health("openai") == "closed"

    virtually(main)
