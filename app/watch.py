"""What the process does, told to whoever measures it: to nobody by default, to metrics and traces where they are on.

Everything here is told once for each thing that happens, and never for a token. `observe.event` tells of what is also
a line of the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Literal, NamedTuple, Protocol

from app import observe
from app.errors import AppError, ProviderError
from app.values import Usage

TRACEPARENT = re.compile(
    r"(?!ff|00-.{53})[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
"""The header of W3C's Trace Context. A later version than 00 may have more behind the flags."""
SAMPLED = 0x01

Kind = Literal["turn", "completion"]
"""What is written: the reply of a turn, or a completion."""
Lane = Literal["text", "final"]
"""Of the journal."""
Whose = Literal["user", "service"]
"""Whose key a call of Supabase carries."""


class Spent(Protocol):
    """What the calls of one kind used: `store.replies.Charge`."""

    @property
    def kind(self) -> str: ...
    @property
    def provider(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def prompt_tokens(self) -> int: ...
    @property
    def completion_tokens(self) -> int: ...
    @property
    def cached_tokens(self) -> int: ...
    @property
    def cost_micro_usd(self) -> int | None: ...


class Ended(Protocol):
    """How a reply ended: `values.FinalState`."""

    @property
    def status(self) -> str: ...
    @property
    def finish_reason(self) -> str | None: ...
    @property
    def provider(self) -> str | None: ...
    @property
    def model(self) -> str | None: ...


class Caller(NamedTuple):
    """The span of the caller that a request belongs to, by its `traceparent`."""

    trace_id: str
    span_id: str
    sampled: bool


_caller: ContextVar[Caller | None] = ContextVar("caller", default=None)


def caller() -> Caller | None:
    """Whose trace the request that is being served belongs to."""
    return _caller.get()


def set_caller(traceparent: bytes) -> None:
    """The request has this header. One that is malformed is ignored, as the specification asks."""
    found = TRACEPARENT.fullmatch(traceparent.decode("latin-1"))
    if found is not None:
        _caller.set(Caller(found[1], found[2], bool(int(found[3], 16) & SAMPLED)))
        observe.set_trace_id(found[1])


class Watch:
    """One reply, from the request for it to its stored end. This one notes nothing."""

    __slots__ = ()

    def refused(self, error: BaseException) -> None:
        """Nothing was begun."""

    def replayed(self) -> None:
        """Nothing was begun, as an earlier request had begun it."""

    def begun(self, conversation_id: str | None, reply_id: str) -> None:
        """The database has admitted it."""

    def retrieved(self, began: float, passages: int, error: str | None) -> None:
        """The search that began at `began`, in the event loop's time, is over."""

    def called(self, provider: str, model: str, attempt: int, max_tokens: int | None) -> None:
        """A provider is called."""

    def heard(self) -> None:
        """The latest call has shown its first sign of life."""

    def answered(self) -> None:
        """The latest call has brought the first text or tool call of the reply."""

    def failed(self, error: ProviderError) -> None:
        """The latest call failed."""

    def written(self, usage: Usage | None) -> None:
        """No call follows; `usage` is that of the one that answered."""

    def ended(self, final: Ended | None, spent: Iterable[Spent]) -> None:
        """It is over, for these charges. `final` is None where its end could not be stored."""


class Watcher:
    """Whoever measures the process. This one is nobody."""

    def reply(self, kind: Kind) -> Watch:
        """A reply is asked for."""
        return NOBODY

    def title(self) -> Watch:
        """Providers are called for a title: this is told of the calls alone."""
        return NOBODY

    def spent(self, charges: Iterable[Spent]) -> None:
        """Something else than a reply has cost this."""

    def problem(self, error: AppError) -> None:
        """A request is answered with `error`."""

    def journaled(self, lane: Lane, replies: int, seconds: float) -> None:
        """A call of the journal has stored something of so many replies."""

    def journal_failed(self) -> None:
        """A call of the journal, or for the charges of completions, failed."""

    def asked_supabase(self, whose: Whose, seconds: float, failed: AppError | None) -> None:
        """A function of the database was called."""


class asking_supabase:  # noqa: N801 - read as a statement: with asking_supabase("user")
    """Times the call in its block."""

    __slots__ = ("_began", "_whose")

    def __init__(self, whose: Whose) -> None:
        self._whose = whose

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, _: object, error: BaseException | None, __: TracebackType | None) -> None:
        failed = error if isinstance(error, AppError) else None
        _watcher.asked_supabase(self._whose, perf_counter() - self._began, failed)


NOBODY = Watch()
UNWATCHED = Watcher()
_watcher = UNWATCHED


def use(watcher: Watcher) -> None:
    """Tell `watcher` of everything from now on."""
    global _watcher
    _watcher = watcher


def watcher() -> Watcher:
    """Whoever measures the process now."""
    return _watcher
