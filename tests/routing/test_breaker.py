"""When a model is left alone, and how it comes back."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import (
    AuthenticationRefused,
    BrokenStream,
    ContentFiltered,
    ContextTooLong,
    EmptyReply,
    FirstSignTimeout,
    FirstTokenTimeout,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    ReplyTimeout,
    RequestRefused,
    ServerError,
    Stalled,
    Throttled,
    Unreachable,
)
from app.routing import breaker as module
from app.routing.breaker import OPEN_SECONDS, Breakers, Permit
from app.routing.window import LEAST_CALLS, MOST_CALLS, SECONDS, Window
from tests.support.scripted_providers import failure

TRIPPING = [Unreachable, FirstSignTimeout, Stalled, ServerError, BrokenStream]
NEUTRAL = [
    AuthenticationRefused,
    ModelNotFound,
    RequestRefused,
    ContextTooLong,
    ContentFiltered,
    FirstTokenTimeout,
    ReplyTimeout,
    EmptyReply,
]


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def breakers(time: Time) -> Breakers:
    return Breakers(clock=time)


async def permit(breakers: Breakers) -> Permit:
    """A permit that must be there."""
    given = await breakers.admit("openai", "m")
    assert given is not None
    return given


async def fail(breakers: Breakers, times: int, kind: type[ProviderError] = ServerError, **fields: float) -> None:
    for _ in range(times):
        (await permit(breakers)).fail(failure(kind, **fields))


async def succeed(breakers: Breakers, times: int) -> None:
    for _ in range(times):
        given = await permit(breakers)
        given.succeed()
        given.release()


def state(breakers: Breakers) -> tuple[str, float]:
    health = breakers.health("openai", "m")
    return health.breaker, health.wait


@pytest.mark.parametrize("kind", TRIPPING)
async def test_opens_after_five_failures(breakers: Breakers, kind: type[ProviderError]) -> None:
    await fail(breakers, LEAST_CALLS - 1, kind)
    assert state(breakers) == ("closed", 0)
    await fail(breakers, 1, kind)
    assert state(breakers) == ("open", OPEN_SECONDS)
    assert await breakers.admit("openai", "m") is None


@pytest.mark.parametrize("kind", NEUTRAL)
async def test_what_the_request_is_to_blame_for_never_opens_it(breakers: Breakers, kind: type[ProviderError]) -> None:
    await fail(breakers, 50, kind)
    assert state(breakers) == ("closed", 0)


async def test_neutral_calls_do_not_hide_failures(breakers: Breakers) -> None:
    for _ in range(LEAST_CALLS):
        await fail(breakers, 1)
        if state(breakers)[0] == "closed":
            await fail(breakers, 1, RequestRefused)
    assert state(breakers)[0] == "open"


async def test_opens_at_half_and_not_below(breakers: Breakers) -> None:
    await succeed(breakers, 6)
    await fail(breakers, 5)
    assert state(breakers) == ("closed", 0)
    await fail(breakers, 1)
    assert state(breakers)[0] == "open"


async def test_old_failures_are_forgotten(breakers: Breakers, time: Time) -> None:
    await fail(breakers, LEAST_CALLS - 1)
    time.now += SECONDS
    await fail(breakers, LEAST_CALLS - 1)
    assert state(breakers) == ("closed", 0)


async def test_a_reply_that_breaks_after_its_first_token_counts_once_and_as_a_failure(
    breakers: Breakers,
) -> None:
    for _ in range(LEAST_CALLS):
        assert state(breakers) == ("closed", 0)
        given = await permit(breakers)
        given.succeed()
        given.fail(failure(BrokenStream))
    assert state(breakers)[0] == "open"


async def test_another_model_of_the_provider_is_not_concerned(breakers: Breakers) -> None:
    await fail(breakers, LEAST_CALLS)
    assert breakers.health("openai", "other") == module.HEALTHY
    assert await breakers.admit("openai", "other") is not None


async def test_one_trial_when_half_open_whatever_the_concurrency(breakers: Breakers, time: Time) -> None:
    await fail(breakers, LEAST_CALLS)
    time.now += OPEN_SECONDS
    assert state(breakers) == ("half-open", 0)
    given = await asyncio.gather(*(breakers.admit("openai", "m") for _ in range(50)))
    assert sum(one is not None for one in given) == 1
    assert state(breakers) == ("half-open", 1.0)


async def test_the_first_token_of_the_trial_closes_it(breakers: Breakers, time: Time) -> None:
    await fail(breakers, LEAST_CALLS)
    time.now += OPEN_SECONDS
    (await permit(breakers)).succeed()
    assert state(breakers) == ("closed", 0)
    # and the old failures are forgotten
    await fail(breakers, LEAST_CALLS - 2)
    assert state(breakers) == ("closed", 0)
    assert OPEN_SECONDS >= SECONDS


async def test_a_failed_trial_opens_it_again(breakers: Breakers, time: Time) -> None:
    await fail(breakers, LEAST_CALLS)
    time.now += OPEN_SECONDS
    await fail(breakers, 1)
    assert state(breakers) == ("open", OPEN_SECONDS)


@pytest.mark.parametrize("kind", [None, *NEUTRAL])
async def test_a_trial_that_says_nothing_makes_room_for_another(
    breakers: Breakers, time: Time, kind: type[ProviderError] | None
) -> None:
    await fail(breakers, LEAST_CALLS)
    time.now += OPEN_SECONDS
    trial = await permit(breakers)
    if kind is None:
        trial.release()
    else:
        trial.fail(failure(kind))
    assert state(breakers) == ("half-open", 0)
    assert await breakers.admit("openai", "m") is not None


async def test_a_call_from_before_it_opened_neither_closes_nor_prolongs(breakers: Breakers, time: Time) -> None:
    early, late = await permit(breakers), await permit(breakers)
    await fail(breakers, LEAST_CALLS)
    time.now += 10
    early.succeed()
    late.fail(failure(ServerError))
    assert state(breakers) == ("open", OPEN_SECONDS - 10)


async def test_a_permit_is_settled_once(breakers: Breakers) -> None:
    given = await permit(breakers)
    for _ in range(LEAST_CALLS):
        given.fail(failure(ServerError))
    assert state(breakers) == ("closed", 0)


async def test_throttling_cools_for_as_long_as_the_provider_says(breakers: Breakers, time: Time) -> None:
    await fail(breakers, 1, Throttled, retry_after=7.0)
    assert state(breakers) == ("cooldown", 7.0)
    assert await breakers.admit("openai", "m") is None
    assert await breakers.admit("openai", "other") is not None
    time.now += 7
    assert state(breakers) == ("closed", 0)


async def test_throttling_without_a_time_doubles_and_a_success_ends_that(breakers: Breakers, time: Time) -> None:
    for seconds in (2, 4, 8):
        await fail(breakers, 1, Throttled)
        assert state(breakers) == ("cooldown", seconds)
        time.now += seconds
    await succeed(breakers, 1)
    await fail(breakers, 1, Throttled)
    assert state(breakers) == ("cooldown", 2)


async def test_many_calls_throttled_at_once_count_once(breakers: Breakers) -> None:
    given = [await permit(breakers) for _ in range(50)]
    for one in given:
        one.fail(failure(Throttled))
    assert state(breakers) == ("cooldown", 2)


@pytest.mark.parametrize(("named", "seconds"), [(None, 60), (5.0, 5), (86_400.0, 300)])
async def test_an_exhausted_quota_cools_longer_but_not_for_days(
    breakers: Breakers, named: float | None, seconds: float
) -> None:
    (await permit(breakers)).fail(failure(QuotaExhausted, retry_after=named))
    assert state(breakers) == ("cooldown", seconds)


async def test_throttling_never_opens_it(breakers: Breakers, time: Time) -> None:
    for _ in range(20):
        await fail(breakers, 1, Throttled, retry_after=0.5)
        time.now += 0.5
    assert state(breakers) == ("closed", 0)


async def test_there_is_a_limit_to_breakers(breakers: Breakers) -> None:
    await fail(breakers, LEAST_CALLS)
    for number in range(module.MOST_BREAKERS - 1):
        await breakers.admit("ollama", f"model-{number}")
    assert state(breakers)[0] == "open"
    await breakers.admit("ollama", "one more")
    assert state(breakers)[0] == "closed", "the breaker that was not used for longest is kept"


def test_the_window_is_bounded_and_counts_right_at_its_limit() -> None:
    window = Window()
    for _ in range(MOST_CALLS):
        window.add(1.0, failed=True)
    first = window.add(1.0, failed=False)
    for _ in range(MOST_CALLS // 2):
        window.add(1.0, failed=False)
    assert not window.tripped(1.0)
    window.fail(1.0, first)
    assert window.tripped(1.0)
    assert not window.tripped(1.0 + SECONDS)
