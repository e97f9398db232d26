"""Cursor paging: opaque cursors over a row's position, its last activity, or its place on a branch."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Literal, Protocol, TypeVar

import msgspec
from litestar.params import QueryParameter

from app.errors import InvalidRequest
from app.store.messages import Stretch

DEFAULT_LIMIT, MAX_LIMIT = 50, 100
MAX_POSITION = 2**63 - 1
"""A position is a `bigint`."""
_TIME = re.compile(r"-infinity|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?[+-]\d\d:\d\d", re.ASCII)
"""A time as the Data API returns it, or that of a conversation that release 0.1.0 left."""
_ID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""A UUID as it stands in a path."""

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page holds at most.")]
Cursor = Annotated[str | None, QueryParameter(description="`next_cursor` of the page before.")]


class Positioned(Protocol):
    @property
    def position(self) -> int: ...


Row = TypeVar("Row", bound=Positioned)
View = TypeVar("View")


class Page(msgspec.Struct, Generic[View], frozen=True):
    """One page of a list; `next_cursor` is null on the last."""

    items: list[View]
    next_cursor: str | None


def read_cursor(cursor: str | None) -> int | None:
    """The position in a cursor. Raises `InvalidRequest` when it is not one of ours."""
    if cursor is None:
        return None
    position = _position(decoded(cursor))
    if position is None:
        raise not_a_cursor()
    return position


def split_page(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], str | None]:
    """From `limit` + 1 rows, the page and the cursor of the next one."""
    return split(rows, limit, lambda last: str(last.position))


def split(rows: Sequence[Any], limit: int, place: Callable[[Any], str]) -> tuple[Sequence[Any], str | None]:
    """From `limit` + 1 rows, the page and the cursor of the next one: the `place` of the page's last row."""
    return (rows, None) if len(rows) <= limit else (rows[:limit], _encoded(place(rows[limit - 1])))


def _encoded(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).rstrip(b"=").decode()


def not_a_cursor() -> InvalidRequest:
    return InvalidRequest("cursor: not the next_cursor of a page; leave it out to start from the first page.")


def decoded(cursor: str) -> str:
    """What a cursor holds; nothing when it is not one of ours."""
    try:
        return base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return ""


def _position(text: str) -> int | None:
    """A position in decimal digits."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_POSITION)):
        return None
    return position if (position := int(text)) <= MAX_POSITION else None


# ── by last activity ─────────────────────────────────────────────────────────────────────────────────────────────


class Active(Positioned, Protocol):
    @property
    def last_message_at(self) -> str: ...


ActiveRow = TypeVar("ActiveRow", bound=Active)


def read_activity(cursor: str | None) -> tuple[str, int] | None:
    """The time and the position in the cursor of a list by last activity. Raises `InvalidRequest`."""
    if cursor is None:
        return None
    time, _, position = decoded(cursor).partition(" ")
    place = _position(position)
    if place is None or not _TIME.fullmatch(time):
        raise not_a_cursor()
    return time, place


def split_by_activity(rows: Sequence[ActiveRow], limit: int) -> tuple[Sequence[ActiveRow], str | None]:
    """As `split_page`, for a list by last activity."""
    return split(rows, limit, lambda last: f"{last.last_message_at} {last.position}")


# ── along a branch ───────────────────────────────────────────────────────────────────────────────────────────────

Order = Annotated[
    Literal["asc", "desc"], QueryParameter(description="`asc`: the oldest message first; `desc`: the newest first.")
]
Bound = Annotated[
    str | None,
    QueryParameter(
        description="The id of a message. A page with `before` alone holds the messages that come just before it, one "
        "with `after` alone those just after it. With both it is read by `order`: those that lead to `before`, on "
        "whichever branch that is, and were written after `after`. Or a `next_cursor`, as in `cursor`."
    ),
]
_BACKWARD = "b"
"""What a cursor begins with that leads to older messages."""


def read_stretch(order: Literal["asc", "desc"], cursor: str | None, before: str | None, after: str | None) -> Stretch:
    """The part of a branch that a page is read from. Raises `InvalidRequest`."""
    stretch = Stretch(backward=order == "desc")
    given = {"before": before, "after": after}
    ids = {name: value for name, value in given.items() if value is not None and _ID.fullmatch(value)}
    if ids:
        stretch = Stretch(**ids, backward="before" in ids if len(ids) == 1 else stretch.backward)
    for name, value in (*given.items(), ("cursor", cursor)):
        if value is not None and name not in ids:
            stretch = _continued(stretch, value, name)
    return stretch


def _continued(stretch: Stretch, cursor: str, field: str) -> Stretch:
    """What comes after the page of this cursor, whichever field it was sent in."""
    text = decoded(cursor)
    position = _position(text.removeprefix(_BACKWARD))
    if position is None:
        if field == "cursor":
            raise not_a_cursor()
        raise InvalidRequest(f"{field}: expected the id of a message, or the next_cursor of a page.")
    if text.startswith(_BACKWARD):
        return msgspec.structs.replace(stretch, before=position, backward=True)
    return msgspec.structs.replace(stretch, after=position, backward=False)


def split_stretch(
    rows: Sequence[Row], limit: int, stretch: Stretch, order: Literal["asc", "desc"]
) -> tuple[Sequence[Row], str | None]:
    """As `split_page`, for `limit` + 1 rows in the order of reading; the page is in the order that was asked for."""
    shown, following = rows[:limit], None
    if len(rows) > limit:
        following = _encoded((_BACKWARD if stretch.backward else "") + str(shown[-1].position))
    return (shown if stretch.backward == (order == "desc") else shown[::-1]), following
