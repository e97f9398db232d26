"""Request bodies: JSON, read strictly as the type that a route declares; a refusal names the field and what is allowed.

What cannot be read is 400, what can be read but is not acceptable is 422, another media type is 415: see
`docs/api.md`. The usual body costs one decoding by msgspec; only a body that is refused, or might have to be, is parsed
a second time to say why.
"""

from __future__ import annotations

import functools
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

import msgspec

from app.api.mistakes import BODY, lone_surrogate, mistakes, shortened, struct_of, unknown_fields, within
from app.errors import InvalidRequest

T = TypeVar("T")

JSON = "application/json"
MAX_DEPTH = 100
"""How many levels of objects and lists a body may have."""
MAX_MISTAKES = 10
"""How many mistakes an answer lists."""
MAX_EXPLAINED_BYTES = 1_048_576
"""Of a body that is parsed again to say what is wrong with it. Larger ones, with a document, get msgspec's words."""

MAX_WORDS_CHARACTERS = 200
"""Of what msgspec says, and of the path that it gives: either may have a name from the body."""

_NUL = b"\\u0000"
_UNKNOWN = re.compile("Object contains unknown field `(.*)`", re.DOTALL)
_VALUE = re.compile(" '.*'", re.DOTALL)
"""In the words of msgspec: the name of a field, and a value that was sent."""
_ODD_ESCAPES = re.compile(rb"\\u(0000|d[89a-f])", re.IGNORECASE)
"""A NUL character, and either half of a surrogate pair."""


def require_media_type(content_type: str | None, *accepted: str) -> str:
    """The media type of a body, one of `accepted`. Raises `InvalidRequest` with status 415."""
    media_type, *parameters = (part.strip().lower() for part in (content_type or "").split(";"))
    charset = next((part.partition("=")[2].strip('"') for part in parameters if part.startswith("charset=")), "utf-8")
    wanted = " or ".join(accepted)
    if not media_type:
        raise InvalidRequest(f"The body has no Content-Type; send it as {wanted}.", status=415)
    if media_type not in accepted:
        raise InvalidRequest(f"Content-Type is {shortened(media_type)}; send the body as {wanted}.", status=415)
    if media_type == JSON and charset not in ("utf-8", "utf8", "us-ascii"):
        raise InvalidRequest(f"JSON is UTF-8; send it without charset={shortened(charset)}.", status=415)
    return media_type


def decode(raw: bytes, kind: type[T], name: str = "body", *, doubts: bool = True) -> T:
    """The JSON text `raw` as a value of the type `kind`. Raises `InvalidRequest`; what is no JSON has status 400.
    A type with a function `read_part` makes of a body what is read of it: the rest need not be acceptable.
    Of a body over `MAX_EXPLAINED_BYTES` one mistake is named, and of a field that is there twice the last one counts.
    Without `doubts`, of a field that is there twice the last one counts, and NUL characters are taken."""
    if (read_part := _read_part(kind)) is not None:  # type: ignore[arg-type]
        raw = read_part(raw)
    explained = len(raw) <= MAX_EXPLAINED_BYTES
    if doubts and explained and _doubtful(raw, kind):
        _parse(raw, name)
    try:
        value: T = _decoder(kind).decode(raw)  # type: ignore[arg-type]  # a type is hashable
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if not explained:
            raise _unexplained(error, kind, name) from None
        return _convert(_parse(raw, name), kind, name)
    if _brackets(raw) > MAX_DEPTH:
        _check_depth(value, name)
    if doubts and not explained and _NUL in raw:
        for path, text in _texts(value, name):
            check_text(path, text)
    return value


def _convert(value: object, kind: type[T], name: str) -> T:
    """What msgspec has refused as JSON. Raises `InvalidRequest`, which names the mistakes."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        found = list(islice(mistakes(value, kind, name), MAX_MISTAKES + 1))
    raise InvalidRequest(" ".join(found[:MAX_MISTAKES]) + (" And more." if len(found) > MAX_MISTAKES else ""))


@functools.cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@functools.cache
def _read_part(kind: Any) -> Callable[[bytes], bytes] | None:
    return getattr(struct_of(kind), "read_part", None)


@functools.cache
def _names(kind: Any) -> Sequence[bytes]:
    """The fields of a body as they stand in JSON; none of one whose objects have fields of the same names."""
    struct = struct_of(kind)
    if struct is None or not getattr(struct, "names_once", True):
        return ()
    return tuple(b'"%s"' % name.encode() for name in struct.__struct_encode_fields__)


def _doubtful(raw: bytes, kind: Any) -> bool:
    """Whether msgspec might take what is to be refused: a NUL character, or a field that is there twice."""
    return _NUL in raw or any(raw.count(name) > 1 for name in _names(kind))


def _unexplained(error: Exception, kind: Any, name: str) -> InvalidRequest:
    """The refusal of a body too large to be parsed again, in msgspec's words."""
    if isinstance(error, RecursionError):
        return _too_deep(name)
    if isinstance(error, msgspec.ValidationError):
        words, _, place = str(error).partition(" - at `$")
        path = (name if name != BODY else "") + place.removesuffix("`")[:MAX_WORDS_CHARACTERS]
        path = path.removeprefix(".") or BODY
        if (unknown := _UNKNOWN.fullmatch(words)) is not None:
            struct = None if place else struct_of(kind)
            if struct is None:
                return InvalidRequest(f"{within(path, unknown[1])}: no such field.")
            return InvalidRequest(" ".join(unknown_fields([unknown[1]], sorted(struct.__struct_encode_fields__), name)))
        return InvalidRequest(f"{path}: {_VALUE.sub('', words)[:MAX_WORDS_CHARACTERS]}.")
    return InvalidRequest(f"The {name} is not valid JSON: {error}.", status=400)


def _parse(raw: bytes, name: str) -> object:
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        where = f"byte 0x{raw[error.start]:02x} at position {error.start}"
        raise InvalidRequest(f"The {name} is not valid UTF-8: {where}.", status=400) from None
    if text.startswith("\ufeff"):
        raise InvalidRequest(f"The {name} begins with a byte order mark (BOM); send UTF-8 without one.", status=400)
    if not text.strip():
        raise InvalidRequest(f"The {name} is empty; expected JSON.", status=400)
    try:
        parsed = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        ends = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        reason = "it ends too early" if ends else error.msg[0].lower() + error.msg[1:].removesuffix(" at")
        where = f"line {error.lineno}, column {error.colno}"
        raise InvalidRequest(f"The {name} is not valid JSON: {reason} ({where}).", status=400) from None
    except RecursionError:
        raise _too_deep(name) from None
    if _brackets(raw) > MAX_DEPTH:
        _check_depth(parsed, name)
    if _ODD_ESCAPES.search(raw):
        for path, found in _texts(parsed, name):
            check_text(path, found)
    return parsed


def _object(members: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(members)
    if len(found) < len(members):
        twice = Counter(name for name, _ in members).most_common(1)[0][0]
        raise InvalidRequest(f"{shortened(twice)}: appears twice in one object.", status=400)
    return found


def _constant(name: str) -> object:
    raise InvalidRequest(f"The body is not valid JSON: {name} is not a JSON number.", status=400)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidRequest(f"The body has a number that is out of range: {shortened(digits)}.")
    return number


def _integer(digits: str) -> int:
    try:
        return int(digits)
    except ValueError:  # Python's limit, against the time that longer ones take
        raise InvalidRequest("The body has a number with too many digits.") from None


def _brackets(raw: bytes) -> int:
    """How deeply it may be nested at most."""
    return raw.count(b"{") + raw.count(b"[")


def _check_depth(value: object, name: str) -> None:
    level = [msgspec.structs.astuple(value) if isinstance(value, msgspec.Struct) else value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            item
            for one in level
            if isinstance(one, dict | list | tuple)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return
    raise _too_deep(name)


def _too_deep(name: str) -> InvalidRequest:
    return InvalidRequest(f"The {name} is nested too deeply: at most {MAX_DEPTH} levels are taken.", status=400)


def check_text(path: str, text: str) -> None:
    """Raises `InvalidRequest` for a text with a NUL character or half of a surrogate pair, naming its place."""
    if "\0" in text:
        raise InvalidRequest(f"{path}: contains a NUL character (U+0000), which is not allowed.")
    if (half := lone_surrogate(text)) is not None:
        name = f"\\u{ord(half):04x}"
        raise InvalidRequest(
            f"{path}: holds {name}, a lone surrogate; surrogates are allowed only in pairs.", status=400
        )


def _texts(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Every text in a value, names of an object's members included, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield f"{path}, the name of a member", name
            yield from _texts(item, within(path, name))
    elif isinstance(value, msgspec.Struct):
        for name, field in zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True):
            yield from _texts(getattr(value, field), within(path, name))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(item, f"{path}[{index}]")
