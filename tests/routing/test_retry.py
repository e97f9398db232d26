"""How long a retry waits, and how many of them there may be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app import errors
from app.errors import ProviderError, ServerError, Throttled
from app.routing.retry import (
    ATTEMPTS_PER_CANDIDATE,
    BUDGET_SECONDS,
    BUDGET_SHARE,
    LATE_SECONDS,
    LONGEST_JITTER_SECONDS,
    SPARE_RETRIES,
    RetryBudget,
    pause,
    retrying,
    worth_retrying,
)
from app.values import ProviderName
from tests.support.scripted_providers import clock, failure, virtually

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ProviderError)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_worth_retrying(kind: type[ProviderError]) -> None:
    assert worth_retrying(failure(kind)) == kind.retryable


def test_a_cancelled_call_is_not_retried() -> None:
    assert not worth_retrying(asyncio.CancelledError())
    assert not worth_retrying(GeneratorExit())
    assert not worth_retrying(ValueError())


@given(st.floats(0, LONGEST_JITTER_SECONDS), st.none() | st.floats(0, 100), st.floats(0, 100))
def test_a_pause_is_never_shorter_than_what_was_asked_for(jitter: float, named: float | None, asked: float) -> None:
    longest = max(named or 0, asked)
    assert longest <= pause(jitter, named, asked) <= longest + LATE_SECONDS + LONGEST_JITTER_SECONDS


def attempts(error: ProviderError, *, asked: float = 0, allowed: Callable[[float], bool]) -> list[float]:
    """When each attempt was made, of a call that always fails."""

    async def main() -> list[float]:
        began, made = clock(), []

        async def attempt() -> None:
            made.append(clock() - began)
            raise error

        with pytest.raises(type(error)) as caught:
            await retrying(asked=lambda: asked, allowed=allowed)(attempt)
        assert caught.value is error
        return made

    return virtually(main)


def test_three_attempts_with_full_jitter() -> None:
    for _ in range(50):
        first, second, third = attempts(failure(ServerError), allowed=lambda _: True)
        assert first == 0
        assert second <= 0.25
        assert third - second <= 0.5
    assert ATTEMPTS_PER_CANDIDATE == 3


def test_a_named_time_is_waited_for() -> None:
    made = attempts(failure(Throttled, retry_after=3.0), asked=1.0, allowed=lambda _: True)
    assert made[1] >= 3.0
    assert made[2] - made[1] >= 3.0


def test_no_attempt_that_is_not_allowed() -> None:
    waits: list[float] = []

    def allowed(wait: float) -> bool:
        waits.append(wait)
        return False

    assert attempts(failure(Throttled, retry_after=3.0), asked=9.0, allowed=allowed) == [0]
    assert len(waits) == 1
    assert waits[0] >= 9.0


class Time:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def taken(budget: RetryBudget, calls: int, asked: int) -> int:
    for _ in range(calls):
        budget.called("openai")
    return sum(budget.take("openai") for _ in range(asked))


@pytest.mark.parametrize(("calls", "retries"), [(1, 1), (4, 1), (5, 1), (10, 2), (15, 3), (50, 10), (1000, 200)])
def test_a_fifth_of_the_calls_or_one(calls: int, retries: int) -> None:
    assert taken(RetryBudget(Time()), calls, calls * 2) == retries


def test_the_budget_comes_back_with_time() -> None:
    time = Time()
    budget = RetryBudget(time)
    assert taken(budget, 50, 50) == 10
    time.now += BUDGET_SECONDS
    assert taken(budget, 50, 50) == 10


def test_a_retry_counts_when_it_is_made() -> None:
    """However long it waits before that."""
    time = Time()
    budget = RetryBudget(time)
    assert budget.take("openai", wait=8.0)
    time.now += 17.0
    assert not budget.take("openai")
    time.now += 1.0
    assert budget.take("openai")


def test_the_spare_retry_is_for_all_providers_together() -> None:
    budget = RetryBudget(Time())
    assert [budget.take("openai"), budget.take("claude")] == [True, False]


def test_a_provider_that_answers_gets_its_spare_retry_back() -> None:
    budget = RetryBudget(Time())
    budget.take("openai")
    budget.succeeded("claude")
    assert not budget.take("gemini")
    budget.succeeded("openai")
    assert [budget.take("gemini"), budget.take("gemini")] == [True, False]


PROVIDERS: tuple[ProviderName, ...] = ("openai", "claude")


@given(st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.sampled_from(PROVIDERS)), max_size=200))
def test_no_ten_seconds_have_more_retries_than_the_budget(
    steps: list[tuple[float, bool, ProviderName]],
) -> None:
    time = Time()
    budget = RetryBudget(time)
    calls: list[float] = []
    retries: list[float] = []
    for seconds, retry, provider in steps:
        time.now += seconds
        if not retry:
            budget.called(provider)
            calls.append(time.now)
        elif budget.take(provider):
            retries.append(time.now)
            first = [at for at in calls if at > time.now - BUDGET_SECONDS]
            again = [at for at in retries if at > time.now - BUDGET_SECONDS]
            assert len(again) <= max(SPARE_RETRIES, BUDGET_SHARE * len(first))
