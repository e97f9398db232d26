"""Attempts: the calls that one turn has made, the failures among them, and the budgets and deadlines they share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from app.errors import ProviderError
from app.routing.breaker import Breakers
from app.routing.context import Contexts
from app.routing.deadlines import Deadlines
from app.routing.retry import RetryBudget
from app.routing.router import Candidate
from app.values import ProviderName, Take
from app.watch import NOBODY, Watch


class RetryNotAdmitted(Exception):
    """A retry was not admitted, because the breaker opened or a cooldown began while the retry waited."""


class Failure(msgspec.Struct, frozen=True):
    """One call that failed."""

    candidate: Candidate
    attempt: int
    """The number of this call among those to the candidate, from 1."""
    error: ProviderError


class Attempts:
    """State that all calls of one turn share: budgets, deadlines, and the failures so far."""

    def __init__(
        self,
        breakers: Breakers,
        budget: RetryBudget,
        contexts: Contexts,
        deadlines: Deadlines,
        refused: Callable[[ProviderName], None],
        failed: Callable[[ProviderError], None],
        most: int,
        take: Take | None,
        watched: Watch = NOBODY,
    ) -> None:
        """At most `most` calls are made. `refused` is called with the name of a provider that refuses our key, `failed`
        with the error of each call, before the next one is made. For `take` and `watched` see `Failover.answer`."""
        self.refused, self.failed, self.most, self.take = refused, failed, most, take
        self.watched = watched
        self.breakers = breakers
        self.budget = budget
        self.contexts = contexts
        self.deadlines = deadlines
        self.loop = asyncio.get_running_loop()
        self.end = self.loop.time() + deadlines.reply
        self.made = 0
        """The number of calls made, to all candidates together."""
        self.failures: list[Failure] = []

    @property
    def spent(self) -> bool:
        """Whether no further call is possible."""
        return self.made >= self.most or self.loop.time() >= self.end
