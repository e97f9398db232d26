"""Recordings: recorded calls, their file, and names in place of the values that differ from run to run."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

FOLDER = Path(__file__).parents[2] / "tests" / "database"
VECTOR = "[1" + ",0" * 1535 + "]"
"""The value of `${vector}`. It must not change, since recordings of earlier releases use it."""

Caller = Literal["anon", "user", "service"]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"\$\{([^}]+)\}")


class Call(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call of the Data API. Names stand for values that differ from run to run: `${new.1}` is an id that the caller
    made, `${3.message.id}` is that value in the answer of call 3 (counted from 0), `${user}` and `${email}` are those
    of the user."""

    caller: Caller
    method: str
    path: str
    query: list[tuple[str, str]] = []
    prefer: str | None = None
    body: Any = None
    status: int
    error: str | None = None
    """For a refusal: the SQLSTATE, and the problem code if one of our functions raised it."""
    answer: Any = None
    """The kinds of the values in the answer, see `scripts.calls.kinds`."""

    def __str__(self) -> str:
        query = "&".join(f"{name}={value}" for name, value in self.query)
        return f"{self.method} {self.path}{'?' if query else ''}{query} ({self.caller})"


class Recording(msgspec.Struct, frozen=True):
    """The calls of a release, in an order in which each call finds what it needs."""

    release: str
    calls: list[Call]

    @property
    def path(self) -> Path:
        return FOLDER / f"calls-{self.release}.json"

    def write(self) -> None:
        self.path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


def recordings() -> list[Recording]:
    """The recordings in the repository."""
    return [msgspec.json.decode(path.read_bytes(), type=Recording) for path in sorted(FOLDER.glob("calls-*.json"))]


def _placeholder(name: str) -> str:
    return "${" + name + "}"


class Names:
    """The names in a recording, and the values for which they stand."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._values: dict[str, Any] = {**known, "vector": VECTOR}
        self._names: dict[Any, str] = {value: name for name, value in self._values.items()}
        self.answers: list[Any] = []

    # ── recording ────────────────────────────────────────────────────────────────────────────────────────────────

    def hide(self, value: Any) -> Any:
        """`value` with names in place of the values that another run would not have."""
        match value:
            case str():
                for known in (self._values["email"], VECTOR):
                    value = value.replace(known, _placeholder(self._names[known]))
                return _UUID.sub(lambda found: self._name_of(found[0]), value)
            case list():
                return [self.hide(entry) for entry in value]
            case dict():
                return {name: self._hide_member(name, entry) for name, entry in value.items()}
            case _:
                return value

    def _hide_member(self, name: str, value: Any) -> Any:
        if name == "p_revision" and (named := self._names.get(("revision", value))) is not None:
            return _placeholder(named)
        return self.hide(value)

    def _name_of(self, text: str) -> str:
        if text not in self._names:
            made = sum(name.startswith("new.") for name in self._names.values())
            self._names[text] = f"new.{made + 1}"
        return _placeholder(self._names[text])

    def learn(self, answer: Any) -> None:
        """Name the values of this answer that later calls may use."""
        self._learn(answer, str(len(self.answers)))
        self.answers.append(answer)

    def _learn(self, value: Any, name: str) -> None:
        match value:
            case str() if _UUID.fullmatch(value):
                self._names.setdefault(value, name)
            case int() if name.endswith(".revision"):
                self._names.setdefault(("revision", value), name)
            case list():
                for place, entry in enumerate(value):
                    self._learn(entry, f"{name}.{place}")
            case dict():
                for member, entry in value.items():
                    self._learn(entry, f"{name}.{member}")

    # ── replaying ────────────────────────────────────────────────────────────────────────────────────────────────

    def fill(self, value: Any) -> Any:
        """`value` with this run's values in place of the names. Raises LookupError."""
        match value:
            case str():
                if (whole := _NAME.fullmatch(value)) is not None:
                    return self._value_of(whole[1])
                return _NAME.sub(lambda found: str(self._value_of(found[1])), value)
            case list():
                return [self.fill(entry) for entry in value]
            case dict():
                return {name: self.fill(entry) for name, entry in value.items()}
            case _:
                return value

    def _value_of(self, name: str) -> Any:
        if name.startswith("new."):
            return self._values.setdefault(name, str(uuid.uuid4()))
        if name in self._values:
            return self._values[name]
        value: Any = self.answers
        for step in name.split("."):
            # a refusal or a null answer has no such value: KeyError
            value = value[int(step)] if isinstance(value, list) else (value or {})[step]
        return value
