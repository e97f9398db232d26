"""Bounds: what an attack may at most achieve, and what it did achieve."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from scripts.attack.target import Target


@dataclass(frozen=True)
class Bound:
    """What came of an attack, in words with figures, what is allowed, and whether it is within that."""

    seen: str
    allowed: str
    held: bool


@dataclass(frozen=True)
class Attack:
    """One attack. `run` gets the target and the part of the whole size that is wanted, 1 for all of it."""

    name: str
    done: str
    run: Callable[[Target, float], Awaitable[list[Bound]]]


@dataclass
class Result:
    """What came of one attack. `cells` are the figures of the other user and of the memory, as they are printed."""

    attack: Attack
    bounds: list[Bound]
    cells: list[str] = field(default_factory=list)

    @property
    def missed(self) -> list[Bound]:
        return [bound for bound in self.bounds if not bound.held]


def counted(statuses: Iterable[int]) -> str:
    """`202: 40, 429: 20`."""
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(Counter(statuses).items()))
