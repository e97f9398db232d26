"""Reads one piece of knowledge where it stands: in a database's catalog, or in the words of the docs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec
from msgspec.inspect import LiteralType, Metadata, Type, UnionType, type_info

from tests.support.callers import Connection, one

ROOT = Path(__file__).parents[2]

Known = int | float | str | frozenset[str]


@dataclass(frozen=True)
class Check:
    """The longest length, or the closed list, that a check constraint allows."""

    name: str

    def read(self, db: Connection) -> Known:
        definition = one(db, "select pg_get_constraintdef(oid) from pg_constraint where conname = %s", [self.name])
        if (listed := re.search(r"= ANY \(ARRAY\[(.*?)\]", definition)) is not None:
            return frozenset(re.findall(r"'(\w+)'", listed[1]))
        [most] = re.findall(r"<= (\d+)", definition)
        return int(most)


@dataclass(frozen=True)
class Constant:
    """A `c_…` constant of a function: a number, an interval in seconds, or a list of words."""

    function: str
    name: str

    def read(self, db: Connection) -> Known:
        declared = rf"\b{self.name} constant [\w \[\]]+ := (?:interval '(\d+) seconds'|([\d.]+)|array\[([^\]]*)\]);"
        [(interval, number, listed)] = re.findall(declared, body(db, self.function))
        return frozenset(re.findall(r"'(\w+)'", listed)) if listed else float(interval or number)


@dataclass(frozen=True)
class Written:
    """What stands in a function's body wherever `pattern` matches: its group, the same each time."""

    function: str
    pattern: str

    def read(self, db: Connection) -> Known:
        return alike(re.findall(self.pattern, body(db, self.function)), f"{self.function}: {self.pattern}")


@dataclass(frozen=True)
class Listed:
    """The words in quotes that stand in a function's body, or several functions', wherever `pattern` matches."""

    functions: str | tuple[str, ...]
    pattern: str

    def read(self, db: Connection) -> Known:
        names = (self.functions,) if isinstance(self.functions, str) else self.functions
        found = " ".join(match for name in names for match in re.findall(self.pattern, body(db, name)))
        return frozenset(re.findall(r"'([\w.]+)'", found))


class Keys:
    """The keys that functions take from the JSON argument of this name."""

    def __init__(self, argument: str, *functions: str) -> None:
        self.argument, self.functions = argument, functions

    def read(self, db: Connection) -> Known:
        pattern = rf"jsonb_to_record(?:set)?\({self.argument}\) as \w+ \(([^)]*)\)"
        taken = [columns for function in self.functions for columns in re.findall(pattern, body(db, function))]
        return frozenset(column.split()[0] for columns in taken for column in columns.split(","))


@dataclass(frozen=True)
class Asked:
    """What a query answers, or `pattern` finds in its text."""

    query: str
    pattern: str | None = None

    def read(self, db: Connection) -> Known:
        value = one(db, self.query)
        if self.pattern is not None:
            return alike(re.findall(self.pattern, value), f"{self.query}: {self.pattern}")
        return frozenset(value) if isinstance(value, list) else value


def default(function: str, argument: int) -> Asked:
    """The default of an argument, counted from 1."""
    return Asked(f"select pg_get_function_arg_default('{function}'::regproc, {argument})", r"^'?(.*?)'?(?:::\w+)?$")


def commented(function: str, pattern: str) -> Asked:
    """What the comment on a function says."""
    return Asked(f"select obj_description('{function}'::regproc, 'pg_proc')", pattern)


@dataclass(frozen=True)
class Said:
    """What files of the repository say wherever `pattern` matches: its group, the same each time."""

    pattern: str
    files: str = "docs/*.md"

    def read(self, _: Connection) -> Known:
        found = [match for path in sorted(ROOT.glob(self.files)) for match in re.findall(self.pattern, text(path))]
        return alike(found, f"{self.files}: {self.pattern}")


Side = Known | Check | Constant | Written | Listed | Keys | Asked | Said


def read(db: Connection, side: Side) -> Known:
    """What one side knows. A number is a number, however it is written."""
    return side if isinstance(side, int | float | str | frozenset) else side.read(db)


def alike(found: Iterable[str], where: str) -> Known:
    values = set(found)
    assert values, f"{where} is not there"
    assert len(values) == 1, f"{where} differs: {sorted(values)}"
    value = values.pop()
    return float(value.replace(",", "")) if re.fullmatch(r"[\d.,]+", value) else value


def body(db: Connection, function: str) -> str:
    """The source of `schema.name`, without its comments."""
    source = one(db, "select prosrc from pg_proc where pronamespace::regnamespace || '.' || proname = %s", [function])
    return re.sub(r"--.*", "", source)


@cache
def text(path: Path) -> str:
    return path.read_text()


def words(literal: Any) -> frozenset[str]:
    """What a `Literal` allows, or the type of a field that is one."""
    if isinstance(literal, UnionType):
        [literal] = [one for one in literal.types if isinstance(one, LiteralType)]
    return frozenset(literal.values if isinstance(literal, LiteralType) else get_args(literal))


def field(struct: type[msgspec.Struct], name: str) -> Any:
    """A field of a struct: its type and its default."""
    [found] = [one for one in type_info(struct).fields if one.name == name]
    return msgspec.structs.replace(found, type=undescribed(found.type))


def undescribed(described: Type) -> Any:
    """A type without what is said of it for the API's description."""
    return undescribed(described.type) if isinstance(described, Metadata) else described


def longest(annotated: Any) -> int:
    """The `max_length` of a type."""
    length: int = undescribed(type_info(annotated)).max_length
    return length
