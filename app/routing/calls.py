"""Calls: the calls of one turn to the providers. Each has a permit, a deadline and a stream, and each is closed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence

import msgspec

from app.errors import (
    AuthenticationRefused,
    BrokenStream,
    ContextTooLong,
    EmptyReply,
    FirstSignTimeout,
    FirstTokenTimeout,
    ProviderError,
    ReplyTimeout,
    Silent,
    Stalled,
)
from app.observe import event
from app.providers.base import Provider
from app.providers.closing import close
from app.providers.factory import warm
from app.routing.attempts import Attempts, Failure, RetryNotAdmitted
from app.routing.breaker import Permit
from app.routing.context import LEAST_TOKENS
from app.routing.deadlines import Watchdog
from app.routing.retry import ATTEMPTS_PER_CANDIDATE, retrying, worth_retrying
from app.routing.router import Candidate
from app.values import (
    Alive,
    ChatRequest,
    Delta,
    Finish,
    Opened,
    Reasoning,
    StreamItem,
    ToolCallDelta,
    estimate_request,
)

Item = Delta | Reasoning | ToolCallDelta | Finish
"""What a call gives: its items that are not mere signs of life."""

PATIENCE_SECONDS = 5.0
"""How long a turn retries a failing candidate, counted from its first call, while another candidate could answer."""
LONE_PATIENCE_SECONDS = 20.0
"""How long it does so when no other candidate could. After that an error with `Retry-After` is better than silence."""
MOST_BLANKS = 4_096
"""Characters. A reply that begins with more blanks than this counts as empty: some models write blanks without end."""


class Call:
    """One call of a provider."""

    __slots__ = (
        "_blanks",
        "_closed",
        "_loop",
        "_patience",
        "_permit",
        "_take",
        "_text",
        "_thought",
        "_watched",
        "provider",
        "request",
        "stream",
        "watchdog",
    )

    def __init__(self, provider: Provider, request: ChatRequest, permit: Permit, turn: Attempts) -> None:
        self.provider = provider
        self.request = request
        self._take = turn.take
        if turn.take is not None:
            request = msgspec.structs.replace(request, take=self._passed_on)
        self.stream: AsyncGenerator[StreamItem] = provider.stream(request)
        self._patience = turn.deadlines.patience[provider.name]
        self.watchdog = Watchdog(self._patience.first_sign, turn.end)
        self._loop = turn.loop
        self._permit = permit
        self._watched = turn.watched
        self._blanks = ""
        """The text so far, while it is blank. It is sent with the first other text; a reply without any is empty, and
        before a tool call it means nothing."""
        self._text = False
        self._thought = False
        self._closed = False

    async def next(self) -> Item:
        """The next item of the reply, up to its first text or tool call. Opens the stream. Raises `ProviderError`."""
        try:
            while True:
                match await self._read():
                    case Opened():
                        self._watched.heard()
                        self.watchdog.allow(self._patience.first_token)
                    case Alive():
                        self._heard()
                    case Reasoning() as item:
                        self._heard()
                        self._succeed()
                        self._thought = True
                        return item
                    case Delta(text):
                        self._heard()
                        self._succeed()
                        self._blanks += text
                        if not text.isspace():
                            self._text = True
                            self._watched.answered()
                            self.watchdog.allow(self._patience.gap)
                            return Delta(self._blanks)
                        if len(self._blanks) > MOST_BLANKS:
                            raise self._error(EmptyReply, "blanks without end")
                    case ToolCallDelta() as item:
                        self._heard()
                        self._succeed()
                        self._text = True
                        self._watched.answered()
                        self.watchdog.allow(self._patience.gap)
                        return item
                    case Finish(reason) as item:
                        self._succeed()
                        if reason == "length" and not self._had_no_room(item):
                            return item
                        if reason == "length" and estimate_request(self.request) > LEAST_TOKENS:
                            raise self._error(ContextTooLong, "the prompt leaves no room for a reply")
                        raise self._error(EmptyReply, "no text")
        except BaseException as error:
            self.fail(error)
            raise

    def _passed_on(self, item: StreamItem) -> bool:
        """Pass reasoning, after the first of it, and text, after the first of that, to whoever reads the turn: called
        for every token, in the call that receives it."""
        if self.watchdog.over or self._take is None:
            return False
        self.watchdog.since = self._loop.time()
        kind = type(item)
        if kind is Alive:
            return True
        if self._text or (self._thought and kind is Reasoning):
            return self._take(item)
        return False

    def fail(self, error: BaseException) -> None:
        """End the call with `error`. If `error` stands for another `ProviderError`, such as a timeout, raises that."""
        ours = self.watchdog.take_back()
        meant: BaseException = error
        if ours and not isinstance(error, GeneratorExit):
            meant = self.timeout()
        elif isinstance(error, StopAsyncIteration):
            meant = BrokenStream("the stream ended without a finish reason", provider=self.provider.name)
        if isinstance(meant, Silent):
            # Only the later half of the silence counts: when a provider stops, all its calls stop at about one time.
            self._permit.fail(meant, unless_heard_since=(self.watchdog.heard_at() + self._loop.time()) / 2)
        elif isinstance(meant, ProviderError):
            self._permit.fail(meant)
        if meant is not error:
            raise meant from error

    def timeout(self) -> ProviderError:
        """The error of a deadline that has passed."""
        if self._loop.time() >= self.watchdog.end:
            return self._error(ReplyTimeout, "the whole reply took too long")
        if self._text:
            return self._error(Stalled, "no more text came")
        if self._permit.heard_at is not None:
            return self._error(FirstTokenTimeout, "no text came")
        return self._error(FirstSignTimeout, "nothing came")

    async def aclose(self) -> None:
        """Close the stream and its connection. A cancellation does not interrupt this."""
        self.watchdog.stop()
        self._permit.release()
        if self._closed:
            return
        self._closed = True
        await close(self.stream)

    async def _read(self) -> StreamItem:
        watchdog = self.watchdog
        if watchdog.over:
            raise self.timeout()
        watchdog.since = self._loop.time()
        item = await anext(self.stream)
        watchdog.since = None
        if watchdog.over:
            raise self.timeout()
        return item

    def _had_no_room(self, finish: Finish) -> bool:
        """Whether a reply without text that ended for its length ended before its first token."""
        return finish.usage is not None and finish.usage.completion_tokens == 0 and not self._thought

    def _heard(self) -> None:
        if self._permit.heard_at is None:
            self._watched.heard()
            self._permit.heard_at = self.watchdog.heard_at
            self.watchdog.allow(self._patience.first_token)

    def _succeed(self) -> None:
        if not self._permit.succeeded:
            self._permit.succeed()

    def _error(self, kind: type[ProviderError], message: str) -> ProviderError:
        return kind(message, provider=self.provider.name, model=self.request.model)


class Calls:
    """The calls to one candidate, until one of them brings text."""

    def __init__(
        self,
        turn: Attempts,
        provider: Provider,
        candidate: Candidate,
        later: Sequence[Candidate],
        permit: Permit,
        request_for: Callable[[Candidate], ChatRequest],
    ) -> None:
        """`later` are the candidates that remain if this one fails; `permit` is for the first call."""
        self.anew = False
        """Whether the last item began a new call after an earlier call had already given reasoning."""
        self._turn = turn
        self._provider = provider
        self._candidate = candidate
        self._fitted = turn.contexts.fitted(candidate)
        self._later = later
        self._permit: Permit | None = permit
        self._request_for = request_for
        self._call: Call | None = None
        self._reasoned = False
        self._made = 0
        self._emptied = False
        self._began = turn.loop.time()

    @property
    def call(self) -> Call:
        """The latest call. Raises `LookupError` before the first."""
        if self._call is None:
            raise LookupError("no call was made")
        return self._call

    async def next(self) -> Item:
        """The next item of the reply, up to its first text. Raises the last `ProviderError`, or `RetryNotAdmitted`."""
        self.anew = False
        try:
            if self._call is not None:
                item = await self._read(self._call)
            else:
                # the import of the SDK, needed once after the start, must not count towards the provider's time
                await warm((self._provider,))
                item = await self._attempt()
        except ProviderError as error:
            item = await self._after(error)
            self.anew = self._reasoned
        self._reasoned = item.__class__ is Reasoning
        return item

    def broken(self, error: BaseException) -> None:
        """The open stream ended with `error`. If that stands for another `ProviderError`, raises that."""
        try:
            self.call.fail(error)
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

    async def _attempt(self) -> Item:
        """Make a call and return its first item."""
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
        self._call = call = Call(self._provider, self._request_for(self._fitted), permit, turn)
        turn.watched.called(candidate.provider, candidate.model, self._made, call.request.max_tokens)
        call.watchdog.start()
        item = await self._read(call)
        turn.budget.succeeded(candidate.provider)
        return item

    async def _read(self, call: Call) -> Item:
        try:
            return await call.next()
        except ProviderError as error:
            self._record(error)
            await call.aclose()
            raise

    async def _after(self, error: ProviderError) -> Item:
        """The first item of the next call, after one that failed with `error`. Raises the last error when no further
        call is made or allowed."""
        while True:
            at_once = self._asks_again(error)
            if not at_once and not worth_retrying(error):
                raise error
            try:
                return await (self._attempt() if at_once else self._retried(error))
            except ProviderError as failed:
                if not at_once and worth_retrying(failed):
                    raise  # the retry policy has given up
                error = failed

    def _asks_again(self, error: ProviderError) -> bool:
        """Whether to ask the model again at once: with a shorter request, or because its reply had no text.

        Neither failure means that the provider has a problem, so the call does not use the retry budget. It does count
        as an attempt.
        """
        turn = self._turn
        left = min(ATTEMPTS_PER_CANDIDATE - self._made, turn.most - turn.made)
        if isinstance(error, ContextTooLong):
            smaller = turn.contexts.smaller(self._fitted, self.call.request, error, last=left == 1)
            self._fitted = smaller or self._fitted
            return smaller is not None and left > 0
        if isinstance(error, EmptyReply) and not self._emptied:
            self._emptied = True
            # a turn's first call is repeated even if that leaves no call for the last of five candidates
            return left > 0 and (turn.made == 1 or self._others() < turn.most - turn.made)
        return False

    async def _retried(self, error: ProviderError) -> Item:
        """The same call again, after the pause that the retry policy sets."""
        failed = [error]

        async def attempt() -> Item:
            # tenacity is slow, so it runs only after a failure; its first attempt repeats that failure
            if failed:
                raise failed.pop()
            return await self._attempt()

        item: Item
        item = await retrying(asked=self._asked, allowed=self._allowed)(attempt)
        return item

    def _record(self, error: ProviderError) -> None:
        self._turn.failures.append(Failure(self._candidate, self._made, error))
        self._turn.watched.failed(error)
        self._turn.failed(error)
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

    def _others(self) -> int:
        """How many later candidates may be called now. One of the turn's calls is reserved for each."""
        health = self._turn.breakers.health
        return sum(health(other.provider, other.model).wait <= 0 for other in self._later)

    def _allowed(self, wait: float) -> bool:
        turn = self._turn
        now = turn.loop.time()
        others = self._others()
        if self._made >= ATTEMPTS_PER_CANDIDATE or turn.made + 1 + others > turn.most:
            return False
        first_sign = turn.deadlines.patience[self._candidate.provider].first_sign
        patience = min(first_sign, PATIENCE_SECONDS if others else LONE_PATIENCE_SECONDS)
        return wait <= min(self._began + patience, turn.end) - now and turn.budget.take(self._candidate.provider, wait)
