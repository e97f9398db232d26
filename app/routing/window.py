"""Window: records the outcomes of the last calls, and tells when too many have failed."""

from __future__ import annotations

from collections import deque

SECONDS = 30.0
MOST_CALLS = 1_000
"""The most calls that the window holds. Above 33 calls a second, it therefore covers less than `SECONDS`."""
LEAST_CALLS = 5
FAILING_SHARE = 0.5


class Outcome:
    """How one call went, as the window remembers it."""

    __slots__ = ("at", "counted", "failed")

    def __init__(self, at: float, failed: bool) -> None:
        self.at = at
        self.failed = failed
        self.counted = True


class Window:
    """The outcomes of the last `SECONDS`, at most `MOST_CALLS` of them."""

    def __init__(self) -> None:
        self._outcomes: deque[Outcome] = deque()
        self._failures = 0

    def add(self, now: float, *, failed: bool) -> Outcome:
        outcome = Outcome(now, failed)
        self._outcomes.append(outcome)
        self._failures += failed
        self._forget(now)
        return outcome

    def fail(self, now: float, outcome: Outcome | None) -> None:
        """Count a failed call. If `outcome` is given, the call was already counted as a success, which is changed."""
        if outcome is None or not outcome.counted:
            self.add(now, failed=True)
        elif not outcome.failed:
            outcome.failed = True
            self._failures += 1

    def tripped(self, now: float) -> bool:
        self._forget(now)
        calls = len(self._outcomes)
        return calls >= LEAST_CALLS and self._failures >= calls * FAILING_SHARE

    def _forget(self, now: float) -> None:
        outcomes = self._outcomes
        while outcomes and (outcomes[0].at <= now - SECONDS or len(outcomes) > MOST_CALLS):
            oldest = outcomes.popleft()
            oldest.counted = False
            self._failures -= oldest.failed
