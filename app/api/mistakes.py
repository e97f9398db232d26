"""Mistakes: what is wrong with a value that was sent, in sentences that name its field and what is allowed there.

Values that were sent are not repeated, since they may be a user's message. Names of fields are repeated, shortened.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import inspect

BODY = "body"
MAX_NAME_CHARACTERS = 50
MAX_NAMES = 5
"""How many unknown fields are named; beyond them the answer says that there are more."""

JsonObject = Annotated[msgspec.Raw, msgspec.Meta(description="an object")]
JsonList = Annotated[msgspec.Raw, msgspec.Meta(description="a list")]
"""Parts of a body that are kept as JSON, to be read by themselves."""

_HALF_PAIR = re.compile("[\ud800-\udfff]")


def mistakes(value: object, kind: Any, path: str = BODY) -> Iterator[str]:
    """Every mistake in `value`, decoded JSON, as one of the type `kind`; none when `msgspec.convert` takes it.
    `path` is what the value is: the body, a field, a member of an object in it."""
    if kind in (JsonObject, JsonList):
        return  # whoever reads it says what is wrong
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        pass
    else:
        return  # at once, as a body may have thousands of items of which one is wrong
    struct = struct_of(kind)
    if struct is not None and isinstance(value, dict):
        yield from _of_members(value, struct, path)
        return
    held: Iterator[tuple[str, object, Any]] = iter(())
    if isinstance(value, list) and (items := _items_of(kind, list)) is not None:
        held = ((f"{path}[{place}]", item, items) for place, item in enumerate(value))
    elif isinstance(value, dict) and (items := _items_of(kind, dict)) is not None:
        held = ((within(path, name), item, items) for name, item in value.items())
    found = False
    for place, item, of in held:  # one after the other: whoever asks stops at some mistakes
        for mistake in mistakes(item, of, place):
            found = True
            yield mistake
    if found:
        return
    info = inspect.type_info(kind)
    close = _close(value, _choices(info)) if isinstance(value, str) else None
    hint = f" Did you mean `{close}`?" if close is not None else ""
    yield f"{path}: expected {_words(info)}, got {_shown(value, info)}.{hint}"


def expected(kind: Any) -> str:
    """What a value of the type `kind` may be, e.g. "a whole number from 1 to 100"."""
    return _words(inspect.type_info(kind))


def unknown_fields(names: Sequence[str], known: Sequence[str], path: str = BODY) -> Iterator[str]:
    """One mistake for each unknown field; `known` are the fields of the type."""
    strange = []
    for name in names[:MAX_NAMES]:
        if (close := _close(name, known)) is not None:
            yield f"{within(path, name)}: no such field; did you mean {close}?"
        else:
            strange.append(within(path, name))
    if strange:
        more = ", …" if len(names) > MAX_NAMES else ""
        yield f"{', '.join(strange)}{more}: no such field; the fields are {', '.join(known)}."


def _close(name: str, known: Sequence[str]) -> str | None:
    """The one that was meant, most likely."""
    by_lower = {one.lower(): one for one in known}
    found = difflib.get_close_matches(name[:MAX_NAME_CHARACTERS].lower(), by_lower, 1)
    return by_lower[found[0]] if found else None


def within(path: str, name: str) -> str:
    """The path of a member; the body's are known by their names alone."""
    return shortened(name) if path == BODY else f"{path}.{shortened(name)}"


def shortened(name: str) -> str:
    """A name as an answer may repeat it."""
    name = _HALF_PAIR.sub("\ufffd", name)
    return name if len(name) <= MAX_NAME_CHARACTERS else name[: MAX_NAME_CHARACTERS - 1] + "…"


def lone_surrogate(text: str) -> str | None:
    """The first half of a surrogate pair that stands alone in `text`."""
    found = _HALF_PAIR.search(text)
    return found[0] if found else None


def struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """The struct that a type is, or is beside null."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, msgspec.Struct)), None)


def _items_of(kind: Any, holder: type[list[Any] | dict[str, Any]]) -> Any | None:
    """The type of the items of a list, or of the values of an object, that a type is, or is beside others."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    options = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    holders = (get_args(one)[0] if get_origin(one) is Annotated else one for one in options)
    return next((get_args(one)[-1] for one in holders if get_origin(one) is holder), None)


def _of_members(value: dict[str, object], struct: type[msgspec.Struct], path: str) -> Iterator[str]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    for name, field in fields.items():
        if name in value:
            yield from mistakes(value[name], field.type, within(path, name))
        elif field.required:
            yield f"{within(path, name)}: missing; expected {expected(field.type)}."
    if struct.__struct_config__.forbid_unknown_fields:
        yield from unknown_fields([name for name in value if name not in fields], sorted(fields), path)


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.Metadata(type=inspect.RawType(), extra_json_schema=dict(said)):
            return str(said["description"])
        case inspect.Metadata():
            return _words(info.type)
        case inspect.UnionType():
            options = [_words(one) for one in info.types if not isinstance(one, inspect.NoneType)]
            return " or ".join(options) + (", or null" if _takes(info, inspect.NoneType) else "")
        case inspect.LiteralType():
            return "one of " + ", ".join(f"`{one}`" for one in info.values)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType() | inspect.FloatType():
            named = "a whole number" if isinstance(info, inspect.IntType) else "a number"
            return named + _between(info.ge, info.le)
        case inspect.StrType():
            if (info.min_length, info.max_length) == (1, None):
                return "text that is not empty"
            length = _between(info.min_length, info.max_length)
            pattern = f" that matches `{info.pattern}`" if info.pattern else ""
            return "text" + (f" of {length.removeprefix(' from ').strip()} characters" if length else "") + pattern
        case inspect.UUIDType():
            return "a UUID"
        case inspect.DateTimeType():
            return "a time with its zone, such as 2027-01-31T18:00:00Z"
        case inspect.DictType() | inspect.StructType():
            return "an object"
        case inspect.ListType():
            length = _between(info.min_length, info.max_length)
            return "a list" + (f" of{length.removeprefix(' from')} items" if length else "")
        case _:
            return "another value"


def _between(low: float | None, high: float | None) -> str:
    """The limits there are: " from 1 to 100", " at least 1", " at most 64", or nothing."""
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if low is not None:
        return f" at least {low}"
    return f" at most {high}" if high is not None else ""


def _takes(info: inspect.Type, kind: type[inspect.Type]) -> bool:
    if isinstance(info, inspect.Metadata):
        return _takes(info.type, kind)
    if isinstance(info, inspect.UnionType):
        return any(_takes(one, kind) for one in info.types)
    return isinstance(info, kind)


def _choices(info: inspect.Type) -> Sequence[str]:
    """The texts that a type lists."""
    if isinstance(info, inspect.Metadata):
        return _choices(info.type)
    if isinstance(info, inspect.UnionType):
        return [choice for one in info.types for choice in _choices(one)]
    return [str(one) for one in info.values] if isinstance(info, inspect.LiteralType) else ()


def _shown(value: object, info: inspect.Type) -> str:
    """What was sent instead; of a text no more than its length, where that matters."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value) if abs(value) < 1e15 else "a larger number" if value > 0 else "a smaller number"
    if isinstance(value, str):
        return f"{len(value)} characters" if _takes(info, inspect.StrType) else "text"
    if isinstance(value, list):
        return f"{len(value)} items" if _takes(info, inspect.ListType) else "a list"
    return "an object"
