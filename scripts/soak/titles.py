"""Titles: every conversation gets its own, and each call for one is charged to its owner, once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import reduce
from typing import TYPE_CHECKING

from scripts.soak.book import Asked, Book
from scripts.soak.deployment import Deployment
from scripts.soak.money import NOTHING, Tokens, is_title, lost, of_call
from tests.support.replica_client import content
from tests.support.upstream import Call

if TYPE_CHECKING:
    from scripts.soak.judge import Row, Stored

MARKER = re.compile(r'"id": "([0-9a-f]{32})"')
CAUSES = ("lost", "draining", "interrupted", "supabase_unavailable")
"""Outcomes of requests while a title may not come about: its process has ended, or had no database."""
SECONDS = 60.0
"""After a message was sent, in which its reply has ended and its title was given."""


def titled(on: Deployment, stored: Stored) -> Iterator[str]:
    """The conversations, and the ledger's entries for titles."""
    asked_of = {asked.marker: asked for asked in on.book.asked}
    calls: dict[str, list[tuple[Asked, Call]]] = defaultdict(list)
    for call in filter(is_title, on.upstream.calls):
        found = MARKER.search(call.body["messages"][-1]["content"])
        if found is None or found[1] not in asked_of:
            yield f"the provider was asked for a title of what nobody has sent: {call.body['messages'][-1]}"
            continue
        calls[asked_of[found[1]].owner].append((asked_of[found[1]], call))
    ledger: dict[str, list[Row]] = defaultdict(list)
    for row in stored.ledger:
        if row["kind"] == "title":
            ledger[str(row["user_id"])].append(row)
    for owner in {*calls, *ledger}:
        yield from _charged(on.book, owner, calls[owner], ledger[owner])
    yield from _given(on.book, stored)


def _charged(book: Book, owner: str, calls: list[tuple[Asked, Call]], rows: list[Row]) -> Iterator[str]:
    """All of a user's together: an entry does not say which call it is of."""
    most = reduce(
        Tokens.plus, (of_call(call, asked, lost=lost(book, call, interrupted=True)) for asked, call in calls), NOTHING
    )
    unmade = len(rows) - len(calls)
    if unmade > 0 and any(fault.name.startswith("replica") for fault in book.faults):
        # begun, but its process ended before the call: charged by what it would have sent
        most = most.plus(Tokens(0, unmade * max(row["prompt_tokens"] for row in rows), 0, 0))
    prompt, completion = sum(row["prompt_tokens"] for row in rows), sum(row["completion_tokens"] for row in rows)
    if not most.hold(prompt, completion):
        yield (
            f"titles of {owner} were charged {prompt} + {completion} tokens in {len(rows)} entries; their "
            f"{len(calls)} calls allow {tuple(most)}"
        )


def _given(book: Book, stored: Stored) -> Iterator[str]:
    """A conversation with a complete reply has a title, unless something was broken each time."""
    untitled = {str(row["id"]) for row in stored.conversations if not row["title"]}
    for asked in book.asked:
        if asked.conversation not in untitled or asked.conversation in book.deleted:
            continue
        messages = stored.sent.get(content(asked.script), [])
        replies = [row for message in messages for row in stored.replies_of[str(message["id"])]]
        complete = any(row["status"] == "complete" for row in replies)
        if complete and not any(book.excused(cause, asked.began, asked.began + SECONDS) for cause in CAUSES):
            yield f"conversation {asked.conversation} has a complete reply to {asked.marker}, and no title"
