"""Cursor paging: opaque cursors over a row's position, which neither moves nor repeats while a reader pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Generic, Protocol, TypeVar

import msgspec
from litestar.params import QueryParameter

from app.errors import InvalidRequest

DEFAULT_LIMIT, MAX_LIMIT = 50, 100
MAX_POSITION = 2**63 - 1
"""A position is a `bigint`."""

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
    try:
        text = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        text = b""
    if not text.isdigit() or len(text) > len(str(MAX_POSITION)) or (position := int(text)) > MAX_POSITION:
        raise InvalidRequest("cursor: not the next_cursor of a page; leave it out to start from the first page.")
    return position


def split_page(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], str | None]:
    """From `limit` + 1 rows, the page and the cursor of the next one."""
    if len(rows) <= limit:
        return rows, None
    cursor = base64.urlsafe_b64encode(str(rows[limit - 1].position).encode()).rstrip(b"=")
    return rows[:limit], cursor.decode()
