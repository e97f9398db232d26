"""Tolerant reading: fills a struct from a JSON object field by field, where msgspec would refuse all for one field."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

import msgspec

T = TypeVar("T")


def fitted(value: dict[str, object], type_: Callable[..., T]) -> T:
    """`value` as the struct `type_`, whose fields must all have defaults. A field that should be an object or a list of
    objects, and is not, counts as absent."""
    fields: dict[str, Any] = {}
    for name, encoded, struct, many in _plan(type_):
        item = value.get(encoded)
        if struct is None:
            fields[name] = item
        elif many:
            items = item if isinstance(item, list) else []
            fields[name] = [fitted(each, struct) for each in items if isinstance(each, dict)]
        else:
            fields[name] = fitted(item, struct) if isinstance(item, dict) else None
    return type_(**fields)


@cache
def _plan(type_: Any) -> list[tuple[str, str, type[Any] | None, bool]]:
    """For each field: its name, its name in JSON, the struct that it holds (or None), and whether it holds a list."""
    return [(field.name, field.encode_name, *_struct_in(field.type)) for field in msgspec.structs.fields(type_)]


def _struct_in(annotation: object) -> tuple[type[Any] | None, bool]:
    for kind in get_args(annotation):
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return kind, False
        if get_origin(kind) is list:
            return get_args(kind)[0], True
    return None, False
