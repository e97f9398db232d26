"""The book: what everybody has asked for and was answered, kept until it is judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.support.upstream import Call

Kind = Literal["message", "chat", "completion"]


@dataclass(frozen=True)
class Attempt:
    """One request and how it went. Times are seconds since the book was opened."""

    kind: str
    began: float
    seconds: float
    outcome: str
    """`ok`, the code of a problem, or `lost`: the connection broke before the answer was whole."""


@dataclass(eq=False)
class Asked:
    """One text that somebody sent, perhaps several times, and what is known of it."""

    kind: Kind
    owner: str
    script: dict[str, Any]
    conversation: str | None = None
    key: str | None = None
    """Repeats are known by it: an Idempotency-Key, or the id of a chat's message."""
    began: float = 0.0
    accepted: bool = False
    replies: set[str] = field(default_factory=set)
    unknown: int = 0
    """Requests that may have begun another reply: nobody has heard their answer."""
    stopped: bool = False
    """Somebody asked to stop a reply to it, or left a completion."""

    @property
    def marker(self) -> str:
        return str(self.script["id"])

    @property
    def whole(self) -> str:
        """What the provider says to it."""
        return Call({}, self.script, 0.0, sent=self.script["tokens"]).text

    @property
    def faulty(self) -> bool:
        """Whether the provider was told to fail."""
        return bool(self.script.keys() & {"status", "break_after", "silent_after", "raw", "first"})


@dataclass(eq=False)
class Reading:
    """What one reader held of a reply when it had ended."""

    asked: Asked
    message_id: str
    text: str
    ending: str | None
    """The name of the last event, or None where the reader never came to an end."""
    status: str | None
    """That the end told."""
    how: str


@dataclass(frozen=True)
class Fault:
    """Something that was broken, and when it was mended."""

    name: str
    began: float
    mended: float
    ended: float
    """When what it causes is over too."""
    excuses: frozenset[str]
    """The outcomes of requests that it explains."""


@dataclass
class Book:
    opened: float = field(default_factory=time.monotonic)
    attempts: list[Attempt] = field(default_factory=list)
    firsts: list[tuple[float, float]] = field(default_factory=list)
    """When a streamed message was sent, and after how many seconds its first text came."""
    asked: list[Asked] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    say: Callable[[str], None] | None = None
    """Told of violations at once."""
    deleted: set[str] = field(default_factory=set)
    """Conversations that somebody asked to delete."""
    documents: dict[str, str] = field(default_factory=dict)
    """Documents that were accepted, and their owners."""
    imports: list[tuple[str, str]] = field(default_factory=list)
    """The owner and the word of each file that was imported to its end."""

    @property
    def now(self) -> float:
        return time.monotonic() - self.opened

    def restart(self) -> None:
        """Begin to count the time, and forget the requests so far, which were preparations."""
        self.opened = time.monotonic()
        self.attempts.clear()

    def violated(self, what: str) -> None:
        """Something that must never be was seen."""
        said = f"at {self.now:.1f} s: {what}"
        self.violations.append(said)
        if self.say is not None:
            self.say(f"violated {said}")

    @contextmanager
    def fault(self, name: str, *excuses: str, after: float = 0.0) -> Generator[None]:
        """Something is broken for as long as this block lasts; what comes of it is excused for `after` seconds more."""
        began = self.now
        entry = Fault(name, began, float("inf"), float("inf"), frozenset(excuses))
        self.faults.append(entry)
        try:
            yield
        finally:
            at = self.faults.index(entry)
            self.faults[at] = Fault(name, began, self.now, self.now + after, entry.excuses)

    def excused(self, outcome: str, began: float, ended: float) -> bool:
        """Whether a fault that was on between these times explains that outcome."""
        return any(outcome in fault.excuses and fault.began <= ended and began <= fault.ended for fault in self.faults)
