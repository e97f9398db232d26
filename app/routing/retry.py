"""In charge of whether, when and how often a failed call is made again before its first token.

The one retry loop of Parley: the SDKs' own are off. It is a tenacity policy; what it asks is kept here as
pure functions and one budget.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt, wait_random_exponential

from app.errors import ProviderError
from app.messages import ProviderName

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
SPARE_RETRIES = 2
"""Retries that are allowed in `BUDGET_SECONDS` however few calls there were: those of one turn."""
MOST_REMEMBERED = 4_096

_jitter = wait_random_exponential(multiplier=JITTER_SECONDS, max=LONGEST_JITTER_SECONDS)


class RetryBudget:
    """Keeps the retries of a provider at `BUDGET_SHARE` of its first calls, over the last `BUDGET_SECONDS`.

    A retry multiplies the load on what is already failing. Where that share is less than `SPARE_RETRIES`,
    these are allowed instead, for all providers together; a success gives the provider's own back, as a
    provider that answers is not in an outage.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: dict[ProviderName, deque[float]] = {}
        self._retries: dict[ProviderName, deque[float]] = {}
        self._spare: deque[tuple[float, ProviderName]] = deque()

    def called(self, provider: ProviderName) -> None:
        """A first call is made. Beyond `MOST_REMEMBERED` the oldest are forgotten, which allows less."""
        self._calls.setdefault(provider, deque(maxlen=MOST_REMEMBERED)).append(self._clock())

    def take(self, provider: ProviderName) -> bool:
        """Whether one more call may be retried now; if so, it counts."""
        now = self._clock()
        calls = _recent(self._calls.setdefault(provider, deque(maxlen=MOST_REMEMBERED)), now)
        retries = _recent(self._retries.setdefault(provider, deque(maxlen=MOST_REMEMBERED)), now)
        while self._spare and self._spare[0][0] <= now - BUDGET_SECONDS:
            self._spare.popleft()
        spent = retries + sum(owner == provider for _, owner in self._spare)
        if spent + 1 <= BUDGET_SHARE * calls:
            self._retries[provider].append(now)
            return True
        if spent < SPARE_RETRIES and len(self._spare) < SPARE_RETRIES:
            self._spare.append((now, provider))
            return True
        return False

    def succeeded(self, provider: ProviderName) -> None:
        """A call of this provider brought a token."""
        if self._spare:
            self._spare = deque(entry for entry in self._spare if entry[1] != provider)


def _recent(times: deque[float], now: float) -> int:
    while times and times[0] <= now - BUDGET_SECONDS:
        times.popleft()
    return len(times)


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
