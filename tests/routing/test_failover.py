"""What a turn sees when providers fail: before the first token another one answers, after it nobody does."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from app.errors import (
    AuthenticationRefused,
    BrokenStream,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ModelNotFound,
    ProviderError,
    ProviderUnavailable,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Stalled,
    Throttled,
    Unreachable,
)
from app.providers.description import Patience
from app.routing.breaker import OPEN_SECONDS
from app.routing.failover import Answering
from app.routing.window import LEAST_CALLS
from app.values import Delta
from tests.support.scripted_providers import ANSWER, DONE, HANG, Play, Scripted, Stage, clock, failure, virtually

RETRYABLE = [Unreachable, ServerError, BrokenStream]
BUSY = [ANSWER] * 10
"""Of so many calls in ten seconds two may be made again."""
FINAL = [AuthenticationRefused, ModelNotFound, RequestRefused, QuotaExhausted]


def test_a_reply_passes_through_as_it_comes() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", ANSWER))
        assert await stage.collect() == [
            Answering("openai", "openai-model", None),
            Delta("Hel"),
            Delta("lo"),
            DONE,
        ]
        openai = stage.providers["openai"]
        assert [request.model for request in openai.requests] == ["openai-model"]
        assert openai.streaming == 0

    virtually(main)


@pytest.mark.parametrize("kind", RETRYABLE)
def test_a_failed_call_is_made_again(kind: type[ProviderError]) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", *BUSY, [failure(kind)], [0.1, failure(kind)], ANSWER), Scripted("claude"))
        for _ in (*BUSY, "the one that fails twice"):
            events = await stage.collect()
            assert [event for event in events if isinstance(event, Answering)] == [
                Answering("openai", "openai-model", None)
            ]
        assert len(stage.providers["openai"].calls) == len(BUSY) + 3
        assert stage.providers["claude"].calls == []

    virtually(main)


@pytest.mark.parametrize("kind", FINAL)
def test_what_no_retry_helps_goes_to_the_next_candidate_at_once(kind: type[ProviderError]) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [failure(kind)]), Scripted("claude"))
        began = clock()
        assert await stage.text() == ("claude", "Hello")
        assert len(stage.providers["openai"].calls) == 1
        assert clock() == began

    virtually(main)


def test_the_next_candidate_is_told_why() -> None:
    async def main() -> None:
        broken = failure(AuthenticationRefused, status=401)
        stage = Stage(Scripted("openai", [broken]), Scripted("claude"))
        first, second, *_ = await stage.collect()
        assert first == Answering("openai", "openai-model", None)
        assert second == Answering("claude", "claude-model", "authentication_refused")

    virtually(main)


@pytest.mark.parametrize(("before", "calls"), [([], 2), (BUSY, 3)], ids=["quiet", "busy"])
def test_a_provider_that_always_fails_is_called_again_and_the_next_one_answers(before: list[Play], calls: int) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", *before, otherwise=[failure(ServerError)]), Scripted("claude"))
        for _ in before:
            await stage.collect()
        assert await stage.text() == ("claude", "Hello")
        assert len(stage.providers["openai"].calls) == len(before) + calls

    virtually(main)


def test_every_candidate_keeps_a_call_of_the_five() -> None:
    async def main() -> None:
        names = ("openai", "gemini", "claude")
        stage = Stage(*(Scripted(name, otherwise=[failure(ServerError)]) for name in names), Scripted("ollama"))
        assert await stage.text() == ("ollama", "Hello")
        assert sum(len(provider.calls) for provider in stage.providers.values()) == 5

    virtually(main)


def test_when_all_fail_every_failure_is_kept() -> None:
    async def main() -> None:
        stage = Stage(
            Scripted("openai", otherwise=[failure(ServerError)]),
            Scripted("claude", [failure(AuthenticationRefused)]),
        )
        with pytest.raises(ProviderUnavailable) as caught:
            await stage.collect()
        assert caught.value.retry_after == 1
        group = caught.value.__cause__
        assert isinstance(group, ExceptionGroup)
        assert [type(error) for error in group.exceptions] == [
            ServerError,
            ServerError,
            AuthenticationRefused,
        ]

    virtually(main)


@pytest.mark.parametrize(
    ("errors", "sentence"),
    [((ContextTooLong, RequestRefused), "too long"), ((RequestRefused, RequestRefused), "accepts this request")],
)
def test_when_each_candidate_refuses_it_is_the_request(errors: tuple[type[ProviderError], ...], sentence: str) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [failure(errors[0])]), Scripted("claude", [failure(errors[1])]))
        with pytest.raises(InvalidRequest, match=sentence) as caught:
            await stage.collect()
        assert caught.value.status == 422
        assert isinstance(caught.value.__cause__, ExceptionGroup)

    virtually(main)


def test_a_refusal_is_not_the_request_while_another_candidate_may_take_it_later() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [failure(ContextTooLong)]), Scripted("claude", [failure(Throttled)]))
        stage.providers["claude"].otherwise = [failure(Throttled)]
        with pytest.raises(ProviderUnavailable):
            await stage.collect()

    virtually(main)


@pytest.mark.parametrize("play", [[failure(ContentFiltered)], ["Hel", failure(ContentFiltered)]])
def test_a_content_filter_is_neither_retried_nor_handed_on(play: list[str | ProviderError]) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=play), Scripted("claude"))
        for _ in range(2 * LEAST_CALLS):
            with pytest.raises(ContentFiltered):
                await stage.collect()
        assert len(stage.providers["openai"].calls) == 2 * LEAST_CALLS
        assert stage.providers["claude"].calls == []
        assert stage.health("openai") == "closed"

    virtually(main)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        ((failure(ServerError),), ServerError),
        ((failure(Unreachable),), Unreachable),
        ((), BrokenStream),
        ((HANG,), Stalled),
    ],
)
def test_a_reply_that_breaks_after_a_visible_token_stays_broken(
    end: tuple[float | ProviderError, ...], kind: type[ProviderError]
) -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", ["Hel", *end]), Scripted("claude"))
        seen: list[object] = []

        async def look() -> None:
            async with aclosing(stage.answer()) as events:
                async for event in events:
                    seen.append(event)  # noqa: PERF401 - what was seen before the error is the point

        with pytest.raises(kind):
            await look()
        assert seen == [Answering("openai", "openai-model", None), Delta("Hel")]
        assert len(stage.providers["openai"].calls) == 1
        assert stage.providers["claude"].calls == []
        assert stage.providers["openai"].streaming == 0

    virtually(main)


def test_a_stream_without_a_finish_reason_is_not_an_answer() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [], []), Scripted("claude"))
        assert await stage.text() == ("claude", "Hello")
        assert len(stage.providers["openai"].calls) == 2

    virtually(main)


def test_an_open_breaker_costs_no_call_and_no_time() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[failure(ServerError)]), Scripted("claude"))
        while stage.health("openai") == "closed":
            await stage.collect()
        calls, began = len(stage.providers["openai"].calls), clock()
        for _ in range(20):
            events = await stage.collect()
            assert events[0] == Answering("claude", "claude-model", None)
        assert len(stage.providers["openai"].calls) == calls
        assert clock() == began

    virtually(main)


def test_when_every_breaker_is_open_the_soonest_end_is_named() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[failure(ServerError)]))
        for _ in range(LEAST_CALLS):
            with pytest.raises(ProviderUnavailable):
                await stage.collect()
        assert stage.health("openai") == "open"
        await asyncio.sleep(10.5)
        with pytest.raises(ProviderUnavailable) as caught:
            await stage.collect()
        assert caught.value.retry_after is not None
        assert 15 <= caught.value.retry_after <= OPEN_SECONDS - 10
        assert caught.value.__cause__ is None

    virtually(main)


def test_a_throttled_candidate_is_asked_again_when_it_said() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [failure(Throttled, retry_after=2.0)]), Scripted("claude"))
        assert await stage.text() == ("openai", "Hello")
        first, second = stage.providers["openai"].calls
        assert 2.0 <= second - first < 2.5

    virtually(main)


def test_nobody_waits_long_for_a_throttled_candidate_while_another_can_answer() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [failure(Throttled, retry_after=6.0)]), Scripted("claude"))
        began = clock()
        assert await stage.text() == ("claude", "Hello")
        assert clock() == began
        assert stage.health("openai") == "cooldown"
        # and the next turn does not even ask
        assert (await stage.collect())[0] == Answering("claude", "claude-model", None)

    virtually(main)


def test_two_waits_are_not_longer_than_one() -> None:
    """A 429 that names no time is a cooldown of 2 s, then of 4."""

    async def main() -> None:
        throttled = [[failure(Throttled)], [failure(Throttled)]]
        stage = Stage(Scripted("openai", *BUSY, *throttled), Scripted("claude"))
        for _ in BUSY:
            await stage.collect()
        began = clock()
        assert await stage.text() == ("claude", "Hello")
        assert len(stage.providers["openai"].calls) == len(BUSY) + 2
        assert clock() - began < 5

    virtually(main)


def test_the_last_candidate_is_waited_for_as_long_as_the_deadline_allows() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", [failure(Throttled, retry_after=12.0)]))
        assert await stage.text() == ("openai", "Hello")
        stage = Stage(Scripted("openai", [failure(Throttled, retry_after=21.0)]))
        began = clock()
        with pytest.raises(ProviderUnavailable) as caught:
            await stage.collect()
        assert clock() == began
        assert caught.value.retry_after == 21

    virtually(main)


def test_a_retry_is_not_made_when_the_breaker_opened_meanwhile() -> None:
    async def main() -> None:
        stage = Stage(Scripted("openai", otherwise=[0.01, failure(ServerError)]), Scripted("claude"))
        answers = await asyncio.gather(*(stage.text() for _ in range(LEAST_CALLS)))
        assert answers == [("claude", "Hello")] * LEAST_CALLS
        assert len(stage.providers["openai"].calls) == LEAST_CALLS

    virtually(main)


def test_a_time_that_is_far_off_is_not_waited_for() -> None:
    """However patient the provider's deadlines are: its silence is another thing."""

    async def main() -> None:
        patience = Patience(first_sign=600.0, first_token=600.0, gap=60.0)
        stage = Stage(Scripted("openai", otherwise=[failure(Throttled, retry_after=30.0)]), patience=patience)
        began = clock()
        with pytest.raises(ProviderUnavailable) as caught:
            await stage.collect()
        assert clock() == began
        assert caught.value.retry_after == 30

    virtually(main)
