"""Tolerant reading of what msgspec refuses: JSON with small mistakes, and objects with fields of unexpected types."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, get_args, get_origin

import msgspec

T = TypeVar("T")

DONE = object()
"""Stands for `[DONE]` in a list of documents."""

# accepts line breaks inside strings
_JSON = json.JSONDecoder(strict=False)
_BEGIN = re.compile(r"[{\[]")
_MARK = "data:"
# A key that stands before the text on every wire. An event that ends before such a key has lost no text.
_TEXT = re.compile(r'"(delta|message|content|text|parts|response)"')


def documents(payload: bytes) -> list[Any]:
    """The JSON documents in `payload`, one after the other, with anything between them. Raises `ValueError` if a part
    that may have text cannot be read.

    Some servers write several events into one line, or begin an event, stop before its text and write it again:
    `{"id":"1","object":"chat.cdata: {"id":"1",…}` (Z.ai and LM Studio in 2026). Half a character becomes U+FFFD.
    """
    text = payload.decode(errors="replace")
    found: list[Any] = []
    place = 0
    while (begin := _BEGIN.search(text, place)) is not None:
        start = begin.start()
        if text.startswith("[DONE]", start):
            found.append(DONE)
            place = start + len("[DONE]")
            continue
        try:
            value, place = _JSON.raw_decode(text, start)
        except ValueError:
            place = text.find(_MARK, start)
            if place < 0 or _TEXT.search(text, start, place):
                raise
        else:
            found.append(value)
    return found


def first_index(indexes: list[object]) -> object:
    """The index of the reply to read, by the indexes in the first event: 0, or the first one if none of them is 0."""
    return indexes[0] if all(index and index != "0" for index in indexes) else 0


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
