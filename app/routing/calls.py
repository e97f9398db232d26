"""In charge of the calls of one turn: each with its permit, its deadline and its stream, none left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from app.errors import AuthenticationRefused, BrokenStream, FirstTokenTimeout, ProviderError, Stalled
from app.messages import Alive, ChatRequest, Delta, Finish, ProviderName, Reasoning
from app.observe import event
from app.providers.base import Provider
from app.providers.factory import warm
from app.routing.breaker import Breakers, Permit
from app.routing.deadlines import Deadlines, Watchdog
from app.routing.retry import ATTEMPTS_PER_TURN, RetryBudget, retrying, worth_retrying
from app.routing.router import Candidate

PATIENCE_SECONDS = 5.0
"""The longest that a turn keeps to a failing candidate, from its first call on, while another one could answer."""
CLOSE_SECONDS = 5.0
"""The longest that a turn waits for a stream to close; the closing itself goes on."""

_closing: set[asyncio.Future[None]] = set()


class RetryNotAdmitted(Exception):
    """A retry was not admitted: the breaker opened, or a cooldown began, while it waited."""


class Failure(msgspec.Struct, frozen=True):
    """One call that failed."""

    candidate: Candidate
    attempt: int
    """Which of the calls to this candidate it was, from 1."""
    error: ProviderError


class Attempts:
    """What the calls of one turn have in common."""

    def __init__(
        self,
        breakers: Breakers,
        budget: RetryBudget,
        deadlines: Deadlines,
        refused: Callable[[ProviderName], None],
    ) -> None:
        """`refused` is told of a provider that says that our key is wrong."""
        self.refused = refused
        self.breakers = breakers
        self.budget = budget
        self.deadlines = deadlines
        self.loop = asyncio.get_running_loop()
        self.end = self.loop.time() + deadlines.reply
        self.made = 0
        """Calls, over all candidates."""
        self.failures: list[Failure] = []

    @property
    def spent(self) -> bool:
        """No further call is possible."""
        return self.made >= ATTEMPTS_PER_TURN or self.loop.time() >= self.end


class Call:
    """One call of a provider."""

    __slots__ = ("_closed", "_deadlines", "_permit", "_request", "provider", "stream", "watchdog")

    def __init__(self, provider: Provider, request: ChatRequest, permit: Permit, turn: Attempts) -> None:
        self.provider = provider
        self.stream = provider.stream(request)
        self.watchdog = Watchdog(turn.deadlines.first_token, turn.end)
        self._request = request
        self._permit = permit
        self._deadlines = turn.deadlines
        self._closed = False

    async def first(self) -> Delta | Finish:
        """Open the stream and wait for its first item. Raises `ProviderError`."""
        watchdog = self.watchdog
        watchdog.start()
        try:
            item = await anext(self.stream)
            while isinstance(item, (Reasoning, Alive)):
                item = await anext(self.stream)
            watchdog.since = None
            if watchdog.over:
                raise self.timeout()
        except BaseException as error:
            self.fail(error)
            raise
        self._permit.succeed()
        watchdog.allow(self._deadlines.gap)
        return item

    def fail(self, error: BaseException) -> None:
        """End the call with `error`. Raises the `ProviderError` that it means, if that is another."""
        ours = self.watchdog.take_back()
        meant: BaseException = error
        if ours and not isinstance(error, GeneratorExit):
            meant = self.timeout()
        elif isinstance(error, StopAsyncIteration):
            meant = BrokenStream("the stream ended without a finish reason", provider=self.provider.name)
        if isinstance(meant, ProviderError):
            self._permit.fail(meant)
        if meant is not error:
            raise meant from error

    def timeout(self) -> ProviderError:
        """The error of a deadline that has passed."""
        kind = Stalled if self._permit.succeeded else FirstTokenTimeout
        return kind("a deadline has passed", provider=self.provider.name, model=self._request.model)

    async def aclose(self) -> None:
        """Close the stream, and with it the connection, even when cancelled meanwhile."""
        self.watchdog.stop()
        self._permit.release()
        if self._closed:
            return
        self._closed = True
        closing: asyncio.Future[None] = asyncio.ensure_future(self.stream.aclose())
        _closing.add(closing)
        closing.add_done_callback(_look_at)
        # unlike a plain await, this leaves the closing alone when we are cancelled
        await asyncio.wait((closing,), timeout=CLOSE_SECONDS)


def _look_at(closing: asyncio.Future[None]) -> None:
    _closing.discard(closing)
    if not closing.cancelled():
        # what goes wrong while closing an answered or abandoned call is nobody's problem, but has to be looked at
        closing.exception()


class Calls:
    """The calls to one candidate, up to the first that brings a token."""

    def __init__(
        self,
        turn: Attempts,
        provider: Provider,
        candidate: Candidate,
        later: Sequence[Candidate],
        permit: Permit,
    ) -> None:
        """`later` are the candidates that remain if this one fails; `permit` is for the first call."""
        self._turn = turn
        self._provider = provider
        self._candidate = candidate
        self._later = later
        self._permit: Permit | None = permit
        self._call: Call | None = None
        self._made = 0
        self._began = turn.loop.time()

    async def open(self, request: ChatRequest) -> tuple[Call, Delta | Finish]:
        """The call that answers, and its first item. Raises the last `ProviderError`, or `RetryNotAdmitted`."""
        # importing an SDK, right after a start, is not the provider's time
        await warm((self._provider,))
        try:
            return await self._attempt(request)
        except ProviderError as error:
            if not worth_retrying(error):
                raise
            failed = [error]

        async def attempt() -> tuple[Call, Delta | Finish]:
            # the policy only starts after a failure, as it costs more than all else here; it is shown that one first
            if failed:
                raise failed.pop()
            return await self._attempt(request)

        opened: tuple[Call, Delta | Finish]
        opened = await retrying(asked=self._asked, allowed=self._allowed)(attempt)
        return opened

    def broken(self, call: Call, error: BaseException) -> None:
        """The open stream of `call` ended with `error`. Raises the `ProviderError` that it means."""
        try:
            call.fail(error)
        except ProviderError as meant:
            self._record(meant)
            raise
        if isinstance(error, ProviderError):
            self._record(error)

    async def aclose(self) -> None:
        if self._permit is not None:
            self._permit.release()
        if self._call is not None:
            await self._call.aclose()

    async def _attempt(self, request: ChatRequest) -> tuple[Call, Delta | Finish]:
        turn, candidate = self._turn, self._candidate
        permit, self._permit = self._permit, None
        if permit is None:
            permit = await turn.breakers.admit(candidate.provider, candidate.model)
            if permit is None:
                raise RetryNotAdmitted
        if self._made == 0:
            turn.budget.called(candidate.provider)
        self._made += 1
        turn.made += 1
        self._call = call = Call(self._provider, request, permit, turn)
        try:
            item = await call.first()
        except ProviderError as error:
            self._record(error)
            await call.aclose()
            raise
        turn.budget.succeeded(candidate.provider)
        return call, item

    def _record(self, error: ProviderError) -> None:
        self._turn.failures.append(Failure(self._candidate, self._made, error))
        if isinstance(error, AuthenticationRefused) and error.wrong:
            self._turn.refused(self._candidate.provider)
        event(
            "provider.failed",
            provider=self._candidate.provider,
            model=self._candidate.model,
            attempt=self._made,
            error=type(error).__name__,
            status=error.status,
            retry_after=error.retry_after,
        )

    def _asked(self) -> float:
        return self._turn.breakers.health(self._candidate.provider, self._candidate.model).wait

    def _allowed(self, wait: float) -> bool:
        turn = self._turn
        now = turn.loop.time()
        others = sum(turn.breakers.health(other.provider, other.model).wait <= 0 for other in self._later)
        if turn.made + 1 + others > ATTEMPTS_PER_TURN:
            # every candidate that may still answer keeps a call
            return False
        patience = turn.deadlines.first_token
        if others:
            patience = min(patience, PATIENCE_SECONDS)
        return wait <= min(self._began + patience, turn.end) - now and turn.budget.take(self._candidate.provider, wait)
