"""A page of what a search over conversations has found."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs

import msgspec
from litestar.params import QueryParameter

from app.api.bodies import check_text
from app.api.paging import decoded, not_a_cursor, split
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
    shown, following = split(hits, limit, lambda hit: hit.cursor)
    items = [
        msgspec.structs.replace(
            ConversationView.of(found.conversation), instructions=msgspec.UNSET, hit=HitView.of(found)
        )
        for found in shown
    ]
    return ConversationPage(items, following)


def check_query(query_string: bytes) -> None:
    """Raises `InvalidRequest` for a `q` that is not UTF-8, where Litestar puts U+FFFD, and other words would be found;
    and for one with a NUL character."""
    for sent in parse_qs(query_string.decode("latin-1"), encoding="latin-1").get("q", ()):
        try:
            text = sent.encode("latin-1").decode()
        except UnicodeDecodeError:
            raise InvalidRequest("q: is not valid UTF-8, of which the bytes are escaped.") from None
        check_text("q", text)


def _place(cursor: str | None) -> str | None:
    if cursor is None:
        return None
    text = decoded(cursor)
    # the database checks the rest
    if not text.isascii() or text.count(" ") != 3 or len(text) > LONGEST_CURSOR:
        raise not_a_cursor()
    return text
