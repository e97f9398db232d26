"""Failover: calls one candidate after the other until one of them gives text, and no other one after that.

For each candidate: breaker ► retry ► open the stream ► first text. After the first text the stream is passed on as it
comes. If it breaks then, the reply fails: the text of two providers is never joined.
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
    ParameterRefused,
    ParameterUnsupported,
    PromptTooLong,
    ProviderError,
    ProviderUnavailable,
    RequestRefused,
)
from app.observe import EventName, event
from app.providers.base import Provider
from app.routing.attempts import Attempts, Failure, RetryNotAdmitted
from app.routing.breaker import Breakers
from app.routing.calls import Calls
from app.routing.context import Contexts
from app.routing.deadlines import Deadlines
from app.routing.retry import ATTEMPTS_PER_TURN, RetryBudget
from app.routing.router import Candidate, retry_after
from app.values import ChatRequest, Delta, Finish, ProviderName, Reasoning, StreamItem, Take, ToolCallDelta
from app.watch import NOBODY, Watch


class Answering(msgspec.Struct, frozen=True):
    """The following items come from another call. Never sent after text or a tool call; reasoning sent before it
    belongs to the call before."""

    provider: ProviderName
    model: str
    reason: str | None
    """The failure of the call before, such as `first_token_timeout`; None for the first call."""


class Failover:
    """Calls the providers. There is one per process, since all turns share the retry budget."""

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
        self,
        candidates: Sequence[Candidate],
        request_for: Callable[[Candidate], ChatRequest],
        failed: Callable[[ProviderError], None] = lambda _: None,
        *,
        most_calls: int = ATTEMPTS_PER_TURN,
        unanswered: EventName = "turn.unanswered",
        take: Take | None = None,
        watched: Watch = NOBODY,
    ) -> AsyncGenerator[Answering | Reasoning | Delta | ToolCallDelta | Finish]:
        """Stream a reply: an `Answering` for every candidate that is called, its reasoning, text and tool calls, then
        one `Finish`.

        `request_for` makes a request that fits the candidate's context, once for each call. When a model says that the
        request is too long, it is called again with a shorter one. `failed` is called with the error of each call that
        fails, before the next one is made; there are at most `most_calls`. When none brings a reply, `unanswered` is
        logged. `take` is offered the reasoning and the text that follow the first of each, in the call that receives
        them; what it takes is left out of the stream. `watched` is told of the calls. A reply has text or tool calls,
        unless its finish reason is `length`. When a call fails after giving reasoning, another `Answering` of the same
        candidate may follow.

        Iterate it in one task and close it (`contextlib.aclosing`). Closing or cancelling stops the provider's work at
        once and does not count as a failure. Raises `ProviderUnavailable` when no candidate answered, or
        `InvalidRequest` (422) when every candidate refused the request, as `ParameterUnsupported` when one did so for a
        parameter; the cause of all is an `ExceptionGroup` of all failures. Raises `ContentFiltered`, and after a delta
        the `ProviderError` that broke the reply.
        """
        turn = Attempts(
            self._breakers,
            self._budget,
            self._contexts,
            self._deadlines,
            self._refused,
            failed,
            most_calls,
            take,
            watched,
        )
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
                    while True:
                        item: StreamItem = await calls.next()
                        if calls.anew:
                            yield _answering(candidate, turn.failures)
                        if type(item) is not Reasoning:
                            break
                        yield item
                except ContentFiltered:
                    raise
                except (ProviderError, RetryNotAdmitted):
                    continue
                call = calls.call
                stream, watchdog = call.stream, call.watchdog
                try:
                    # the token path: this loop runs once for every token
                    while True:
                        if type(item) is Delta or type(item) is Reasoning:
                            yield item
                        elif type(item) is Finish:
                            yield item
                            return
                        elif type(item) is ToolCallDelta:
                            yield item
                        if watchdog.over:
                            raise call.timeout()
                        watchdog.since = clock()
                        item = await anext(stream)
                        watchdog.since = None
                except ContextTooLong as error:
                    # the prompt and the text together have filled the context
                    calls.broken(error)
                    yield Finish("length", None)
                    return
                except BaseException as error:
                    calls.broken(error)
                    raise
            finally:
                await calls.aclose()
        event(unanswered, candidates=len(candidates), failures=len(turn.failures))
        raise self._unanswered(turn.failures, candidates) from _group(turn.failures)

    def _unanswered(self, failures: Sequence[Failure], candidates: Sequence[Candidate]) -> AppError:
        refused = {failure.candidate for failure in failures if isinstance(failure.error, RequestRefused)}
        if refused and refused.issuperset(candidates):
            if any(isinstance(failure.error, ContextTooLong) for failure in failures):
                return PromptTooLong("The conversation is too long for every model available")
            for failure in failures:
                if isinstance(failure.error, ParameterRefused):
                    return _unsupported(failure.error.parameter)
            return InvalidRequest("No available model accepts this request", status=422)
        waits = (self._breakers.health(candidate.provider, candidate.model).wait for candidate in candidates)
        return ProviderUnavailable(retry_after=retry_after(waits))


def _unsupported(parameter: str) -> ParameterUnsupported:
    return ParameterUnsupported(
        f"No available model supports `{parameter}` as this request has it", parameter=parameter
    )


def _answering(candidate: Candidate, failures: Sequence[Failure]) -> Answering:
    return Answering(candidate.provider, candidate.model, _reason(failures))


def _reason(failures: Sequence[Failure]) -> str | None:
    """The class of the last failure in snake case, such as `first_token_timeout`."""
    if not failures:
        return None
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(failures[-1].error).__name__).lower()


def _group(failures: Sequence[Failure]) -> ExceptionGroup[ProviderError] | None:
    return ExceptionGroup("no candidate answered", [failure.error for failure in failures]) if failures else None
