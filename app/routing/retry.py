"""Retries: whether, when and how often a call that failed before its first token is made again.

This is Parley's only retry loop; those of the SDKs are switched off. It is a tenacity policy that asks the pure
functions and the budget below.
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
"""Added to a wait that a provider or breaker asks for: the event loop's timers may be a few milliseconds early."""

BUDGET_SECONDS = 10.0
BUDGET_SHARE = 0.2
SPARE_RETRIES = 1
"""Retries that are always allowed in `BUDGET_SECONDS`, so that a single user's call can be retried. One is still within
the share of a fifth when a breaker opens, which takes five calls."""
MOST_REMEMBERED = 4_096

_jitter = wait_random_exponential(multiplier=JITTER_SECONDS, max=LONGEST_JITTER_SECONDS)


class _Retry(NamedTuple):
    at: float
    """When the retry is made, which may be some seconds after it was allowed."""
    provider: ProviderName
    spare: bool


class RetryBudget:
    """Limits retries to `BUDGET_SHARE` of the first calls in the last `BUDGET_SECONDS`: for each provider, and for all.

    Without a limit, retries would multiply the load on a provider that is already failing. When the share allows fewer
    than `SPARE_RETRIES`, that many are allowed instead, for all providers together. A success returns the spare retries
    of its provider, since a provider that answers has no outage.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: dict[ProviderName, deque[float]] = {}
        self._retries: list[_Retry] = []

    def called(self, provider: ProviderName) -> None:
        """Count a first call. Beyond `MOST_REMEMBERED` the oldest are forgotten, so fewer retries are allowed."""
        self._calls.setdefault(provider, deque(maxlen=MOST_REMEMBERED)).append(self._clock())

    def take(self, provider: ProviderName, wait: float = 0.0) -> bool:
        """Whether one more call may be retried in `wait` seconds. If so, the retry counts from now until
        `BUDGET_SECONDS` after it is made."""
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
    """Whether the same call may succeed a little later. False for all errors that are not a provider's."""
    return isinstance(error, ProviderError) and error.retryable


def pause(jitter: float, *asked: float | None) -> float:
    """Seconds before the next attempt: the longest wait that the provider or the breaker asks for, plus the jitter."""
    longest = max((seconds for seconds in asked if seconds is not None), default=0.0)
    return jitter if longest <= 0 else longest + LATE_SECONDS + jitter


def retrying(*, asked: Callable[[], float], allowed: Callable[[float], bool]) -> AsyncRetrying:
    """The policy for one candidate.

    `asked` returns how many seconds the breaker wants to wait after the latest failure. `allowed` returns whether a
    retry after so many seconds may be made; it is asked last, once per retry.
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
