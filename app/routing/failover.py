"""In charge of getting an answer: candidate after candidate until the first visible token, and none after it.

candidate: breaker ► retry ► open the stream ► first text. From there the stream is passed on as it comes; a
reply that breaks now stays broken, as no second provider's text may be glued to the first's.
"""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

import msgspec

from app.errors import (
    AppError,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    ProviderError,
    ProviderUnavailable,
    RequestRefused,
)
from app.observe import event
from app.providers.base import Provider
from app.routing.breaker import Breakers
from app.routing.calls import Attempts, Calls, Failure, RetryNotAdmitted
from app.routing.context import Contexts
from app.routing.deadlines import Deadlines
from app.routing.retry import RetryBudget
from app.routing.router import Candidate, retry_after
from app.values import ChatRequest, Delta, Finish, ProviderName, Reasoning, StreamItem


class Answering(msgspec.Struct, frozen=True):
    """From here on another call answers. It never follows a `Delta`; a `Reasoning` before it is of the call before."""

    provider: ProviderName
    model: str
    reason: str | None
    """What went wrong with the call before, e.g. `first_token_timeout`; None for the first one."""


class Failover:
    """Asks the providers. One for the process: the retry budget is shared by all turns."""

    def __init__(
        self,
        providers: Mapping[ProviderName, Provider],
        breakers: Breakers,
        deadlines: Deadlines,
        *,
        refused: Callable[[ProviderName], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._providers = providers
        self._breakers = breakers
        self._deadlines = deadlines
        self._budget = RetryBudget(clock)
        self._contexts = Contexts(clock)
        self._refused = refused

    async def answer(
        self, candidates: Sequence[Candidate], request_for: Callable[[Candidate], ChatRequest]
    ) -> AsyncGenerator[Answering | Reasoning | Delta | Finish]:
        """Stream a reply: an `Answering` for every candidate that is asked, its reasoning and text, then one `Finish`.

        `request_for` makes the request, to fit the candidate's context; a model whose context is full is asked again
        with a smaller one. A reply has text, unless its finish reason is `length`. Where a call fails after reasoning,
        an `Answering` of the same candidate may come.

        Iterate it in one task and close it (`contextlib.aclosing`): closing or cancelling stops the provider's
        work at once and counts for nothing. Raises `ProviderUnavailable` when no candidate answered, or
        `InvalidRequest` (422) when each of them refused the request, both from an `ExceptionGroup` of all that
        failed; `ContentFiltered`; and, after a delta, the `ProviderError` that broke the reply.
        """
        turn = Attempts(self._breakers, self._budget, self._contexts, self._deadlines, self._refused)
        clock = turn.loop.time
        for position, candidate in enumerate(candidates):
            if turn.spent:
                break
            provider = self._providers[candidate.provider]
            permit = await self._breakers.admit(candidate.provider, candidate.model)
            if permit is None:
                continue
            calls = Calls(turn, provider, candidate, candidates[position + 1 :], permit, request_for)
            try:
                yield _answering(candidate, turn.failures)
                try:
                    item: StreamItem = await calls.next()
                    while type(item) is Reasoning:
                        if calls.anew:
                            yield _answering(candidate, turn.failures)
                        yield item
                        item = await calls.next()
                    if calls.anew:
                        yield _answering(candidate, turn.failures)
                except ContentFiltered:
                    raise
                except (ProviderError, RetryNotAdmitted):
                    continue
                call = calls.call
                stream, watchdog = call.stream, call.watchdog
                try:
                    # the token path: what stands here is done for every token
                    while True:
                        if type(item) is Delta or type(item) is Reasoning:
                            yield item
                        elif type(item) is Finish:
                            yield item
                            return
                        if watchdog.over:
                            raise call.timeout()
                        watchdog.since = clock()
                        item = await anext(stream)
                        watchdog.since = None
                except ContextTooLong as error:
                    # the text has filled what the prompt left of the context
                    calls.broken(error)
                    yield Finish("length", None)
                    return
                except BaseException as error:
                    calls.broken(error)
                    raise
            finally:
                await calls.aclose()
        raise self._unanswered(turn.failures, candidates) from _group(turn.failures)

    def _unanswered(self, failures: Sequence[Failure], candidates: Sequence[Candidate]) -> AppError:
        event("turn.unanswered", candidates=len(candidates), failures=len(failures))
        refused = {failure.candidate for failure in failures if isinstance(failure.error, RequestRefused)}
        if refused and refused.issuperset(candidates):
            if any(isinstance(failure.error, ContextTooLong) for failure in failures):
                return InvalidRequest("The conversation is too long for every model available", status=422)
            return InvalidRequest("No available model takes this request", status=422)
        waits = (self._breakers.health(candidate.provider, candidate.model).wait for candidate in candidates)
        return ProviderUnavailable(retry_after=retry_after(waits))


def _answering(candidate: Candidate, failures: Sequence[Failure]) -> Answering:
    return Answering(candidate.provider, candidate.model, _reason(failures))


def _reason(failures: Sequence[Failure]) -> str | None:
    """The last failure's kind, `FirstTokenTimeout` as `first_token_timeout`."""
    if not failures:
        return None
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(failures[-1].error).__name__).lower()


def _group(failures: Sequence[Failure]) -> ExceptionGroup[ProviderError] | None:
    return ExceptionGroup("no candidate answered", [failure.error for failure in failures]) if failures else None
