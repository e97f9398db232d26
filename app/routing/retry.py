"""In charge of whether, when and how often a failed call is made again before its first token.

The one retry loop of Parley: the SDKs' own are off. It is a tenacity policy; what it asks is kept here as
pure functions and one budget.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_random_exponential

from app.errors import ProviderError
from app.values import ProviderName

ATTEMPTS_PER_CANDIDATE = 3
ATTEMPTS_PER_TURN = 5

# Full jitter, doubling: the first retry comes within a quarter of a second, the second within half a second.
# https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
JITTER_SECONDS = 0.25
LONGEST_JITTER_SECONDS = 2.0
LATE_SECONDS = 0.02
"""Added to a wait that was asked for: the event loop's timers may be a few milliseconds early."""

BUDGET_SECONDS = 10.0
BUDGET_SHARE = 0.2
SPARE_RETRIES = 1
"""Retries that are allowed in `BUDGET_SECONDS` however few calls there were: a lone user's. A breaker opens after five
calls, so that one of them is still a fifth."""
MOST_REMEMBERED = 4_096

_jitter = wait_random_exponential(multiplier=JITTER_SECONDS, max=LONGEST_JITTER_SECONDS)


class _Retry(NamedTuple):
    at: float
    """When it is made; that may be a while after it was allowed."""
    provider: ProviderName
    spare: bool


class RetryBudget:
    """Keeps the retries at `BUDGET_SHARE` of the first calls, of each provider and of all, over `BUDGET_SECONDS`.

    A retry multiplies the load on what is already failing. Where that share is less than `SPARE_RETRIES`,
    so many are allowed instead, for all providers together; a success gives the provider's own back, as a
    provider that answers is not in an outage.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: dict[ProviderName, deque[float]] = {}
        self._retries: list[_Retry] = []

    def called(self, provider: ProviderName) -> None:
        """A first call is made. Beyond `MOST_REMEMBERED` the oldest are forgotten, which allows less."""
        self._calls.setdefault(provider, deque(maxlen=MOST_REMEMBERED)).append(self._clock())

    def take(self, provider: ProviderName, wait: float = 0.0) -> bool:
        """Whether one more call may be retried in `wait` seconds; if so, it counts from now until it is long made."""
        now = self._clock()
        for times in self._calls.values():
            while times and times[0] <= now - BUDGET_SECONDS:
                times.popleft()
        self._retries = [retry for retry in self._retries if retry.at > now - BUDGET_SECONDS]
        calls = {name: len(times) for name, times in self._calls.items()}
        own = sum(retry.provider == provider for retry in self._retries)
        within = own + 1 <= BUDGET_SHARE * calls.get(provider, 0) and len(self._retries) + 1 <= BUDGET_SHARE * sum(
            calls.values()
        )
        if not within and len(self._retries) >= SPARE_RETRIES:
            return False
        self._retries.append(_Retry(now + wait, provider, spare=not within))
        return True

    def succeeded(self, provider: ProviderName) -> None:
        """A call of this provider brought a token."""
        self._retries = [retry for retry in self._retries if not (retry.spare and retry.provider == provider)]


def worth_retrying(error: BaseException) -> bool:
    """Whether the same call may succeed a little later. False for everything that no provider raised."""
    return isinstance(error, ProviderError) and error.retryable


def pause(jitter: float, *asked: float | None) -> float:
    """Seconds before the next attempt: what the provider and the breaker ask for, and a random bit more."""
    longest = max((seconds for seconds in asked if seconds is not None), default=0.0)
    return jitter if longest <= 0 else longest + LATE_SECONDS + jitter


def retrying(*, asked: Callable[[], float], allowed: Callable[[float], bool]) -> AsyncRetrying:
    """The policy for one candidate.

    `asked` tells how many seconds the candidate is to be left alone after its latest failure; `allowed`
    whether a retry after so many seconds is worth it, and is asked last, once a retry.
    """

    def failure(state: RetryCallState) -> BaseException | None:
        return state.outcome.exception() if state.outcome else None

    def retry(state: RetryCallState) -> bool:
        error = failure(state)
        return error is not None and worth_retrying(error)

    def wait(state: RetryCallState) -> float:
        error = failure(state)
        wanted = (error.retry_after, asked()) if isinstance(error, ProviderError) else ()
        return pause(_jitter(state), *wanted)

    enough = stop_after_attempt(ATTEMPTS_PER_CANDIDATE)

    def stop(state: RetryCallState) -> bool:
        return enough(state) or not allowed(state.upcoming_sleep)

    return AsyncRetrying(retry=retry, wait=wait, stop=stop, sleep=asyncio.sleep, reraise=True)
