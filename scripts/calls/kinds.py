"""Kinds: the types of the values in an answer, and whether another answer has them too."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec.inspect
from msgspec.inspect import (
    AnyType,
    DictType,
    ListType,
    LiteralType,
    NoneType,
    StructType,
    Type,
    UnionType,
    VarTupleType,
)

ANY = AnyType()
OR = "|"


def kinds(value: Any, decoded: Type = ANY) -> Any:
    """`value` with `string`, `number`, `boolean` or `null` in place of each value, and lists cut to their first entry.

    With `decoded`, the type to which the caller decodes the answer, only the fields of that type are kept, and a string
    of a closed list becomes the whole list: `complete|failed`.
    """
    if isinstance(decoded, UnionType):
        [decoded] = [one for one in decoded.types if not isinstance(one, NoneType)]
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case str():
            return OR.join(map(str, decoded.values)) if isinstance(decoded, LiteralType) else "string"
        case list():
            entry = decoded.item_type if isinstance(decoded, ListType | VarTupleType) else ANY
            return [kinds(first, entry) for first in value[:1]]
    if isinstance(decoded, StructType):
        taken = {field.encode_name: field.type for field in decoded.fields}
        return {name: kinds(entry, taken[name]) for name, entry in value.items() if name in taken}
    entry = decoded.value_type if isinstance(decoded, DictType) else ANY
    return {name: kinds(member, entry) for name, member in value.items()}


def missing(expected: Any, given: Any, where: str = "the answer") -> Iterator[str]:
    """A line for each expected kind that the answer `given` lacks. It may have more than expected, and a value in place
    of null."""
    match expected, given:
        case dict(), dict():
            for name, kind in expected.items():
                if name in given:
                    yield from missing(kind, given[name], f"{where}.{name}")
                else:
                    yield f"{where} has no {name}"
        case [kind], []:
            yield f"{where} is empty"
        case list(), list():
            for kind, first in zip(expected, given, strict=False):
                yield from missing(kind, first, f"{where}[0]")
        case str(), str() if OR in expected:
            if given not in expected.split(OR):
                yield f"{where} is {given}, none of {expected}"
        case _:
            if expected not in (None, "null", kinds(given)):
                yield f"{where} is {kinds(given)}, not {expected}"


def decoded_by(result: object) -> Type:
    """The type to which a store decodes an answer, in the form that `kinds` needs."""
    return msgspec.inspect.type_info(result)
