"""A reply without text: asked for once more, then elsewhere, and never passed off as a reply."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import EmptyReply, ProviderUnavailable, ServerError
from app.routing.calls import MOST_BLANKS
from app.routing.failover import Answering
from app.routing.window import LEAST_CALLS
from app.values import Delta, Finish, Reasoning
from tests.support.scripted_providers import ALIVE, ANSWER, DONE, OPENED, Play, Scripted, Stage, failure, virtually

THOUGHT = Reasoning("Hm.")
EMPTY: dict[str, Play] = {
    "nothing": [DONE],
    "life": [OPENED, ALIVE, DONE],
    "reasoning": [THOUGHT, DONE],
    "blanks": [" ", "\n\n", DONE],
    "blanks without end": [" " * MOST_BLANKS, "\n", *ANSWER],
}


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
def test_the_same_model_is_asked_once_more(empty: Play) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", empty), Scripted("claude"))
        assert await stage.text() == ("openai", "Hello")
        assert len(stage.providers["openai"].calls) == 2

    virtually(main)


@pytest.mark.parametrize("empty", EMPTY.values(), ids=EMPTY)
def test_then_the_next_one_is(empty: Play) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=empty), Scripted("claude"))
        events = await stage.collect()
        answering = [event for event in events if isinstance(event, Answering)][-1]
        assert (answering.provider, answering.reason) == ("claude", "empty_reply")
        assert events[-3:] == [Delta("Hel"), Delta("lo"), DONE]
        assert len(stage.providers["openai"].calls) == 2

    virtually(main)


def test_when_nobody_gives_text_the_turn_fails() -> None:
    async def main() -> None:
        names = ("openai", "gemini", "claude", "ollama")
        stage = Stage(*(Scripted(name, otherwise=[DONE]) for name in names))
        with pytest.raises(ProviderUnavailable) as caught:
            await stage.collect()
        group = caught.value.__cause__
        assert isinstance(group, ExceptionGroup)
        assert {type(error) for error in group.exceptions} == {EmptyReply}
        # each later candidate keeps a call of the five
        assert [len(provider.calls) for provider in stage.providers.values()] == [2, 1, 1, 1]

    virtually(main)


def test_the_same_model_is_asked_once_more_before_four_others() -> None:
    """As many as there are for a model that was named, beside each provider's own."""

    async def main() -> None:
        names = ("openai", "gemini", "claude", "ollama", "demo")
        stage = Stage(Scripted("openai", [DONE]), *(Scripted(name) for name in names[1:]))
        assert await stage.text() == ("openai", "Hello")

    virtually(main)


def test_every_turn_asks_again_however_many_there_are() -> None:
    """It says nothing about the provider's health, so it takes of no budget and opens no breaker."""

    async def main() -> None:
        stage = Stage(Scripted("openai", *([DONE] for _ in range(50))))
        answers = await asyncio.gather(*(stage.text() for _ in range(50)))
        assert answers == [("openai", "Hello")] * 50
        assert stage.health("openai") == "closed"

        stage.providers["openai"].otherwise = [DONE]
        for _ in range(2 * LEAST_CALLS):
            with pytest.raises(ProviderUnavailable):
                await stage.collect()
        assert stage.health("openai") == "closed"

    virtually(main)


def test_no_candidate_has_more_than_its_three_attempts() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [DONE], [failure(ServerError)], [DONE]))
        with pytest.raises(ProviderUnavailable):
            await stage.collect()
        assert len(stage.providers["openai"].calls) == 3

    virtually(main)


@pytest.mark.parametrize("play", [[], [THOUGHT], [" \n"]], ids=["nothing", "reasoning", "blanks"])
def test_a_reply_that_ended_for_its_length_is_one(play: Play) -> None:
    """Its tokens went into the thinking, and a second one would end so, too."""

    async def main() -> None:
        length = Finish("length", None)
        stage = Stage(Scripted("openai", [*play, length]), Scripted("claude"))
        events = await stage.collect()
        assert events[-1] == length
        assert not [event for event in events if isinstance(event, Delta)]
        assert len(stage.providers["openai"].calls) == 1

    virtually(main)


def test_blanks_before_the_text_belong_to_it() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", ["\n", "  ", "x", " ", "\n", DONE]))
        assert (await stage.collect())[1:] == [Delta("\n  x"), Delta(" "), Delta("\n"), DONE]

    virtually(main)
