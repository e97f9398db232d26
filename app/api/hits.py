"""A page of what a search over conversations has found."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

import msgspec
from litestar.params import QueryParameter

from app.api.views import ConversationPage, ConversationView, HitView, require_words
from app.errors import InvalidRequest
from app.store.conversations import MAX_QUERY_CHARACTERS, Conversations

LONGEST_CURSOR = 100
Query = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=MAX_QUERY_CHARACTERS,
        description="What to search for: words that a title or a message must all have, or that words of it begin "
        "with; in Chinese, Japanese, Korean, Thai and the like, letters in a row. Each item is then a hit, with `hit`, "
        "the best first.",
    ),
]


async def page_of_hits(
    conversations: Conversations, token: str, query: str, cursor: str | None, limit: int
) -> ConversationPage:
    """Raises `InvalidRequest` for a query without words, and a cursor that is not one of a search."""
    require_words("q", query)
    hits = await conversations.search(token, query, after=_place(cursor), limit=limit + 1)
    items = [
        msgspec.structs.replace(
            ConversationView.of(found.conversation), instructions=msgspec.UNSET, hit=HitView.of(found)
        )
        for found in hits[:limit]
    ]
    return ConversationPage(items, _cursor(hits[limit - 1].cursor) if len(hits) > limit else None)


def _cursor(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).rstrip(b"=").decode()


def _place(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor.encode() + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        text = raw.decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    # the database checks the rest
    if text.count(" ") != 3 or len(text) > LONGEST_CURSOR:
        raise InvalidRequest("cursor: not the next_cursor of a page; leave it out to start from the first page.")
    return text
