"""Money: the ledger against what the provider itself counted, call by call."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

from scripts.soak.book import Asked, Book
from scripts.soak.crowd import Crowd
from scripts.soak.deployment import Deployment
from tests.support.replica_client import content
from tests.support.upstream import TITLED, Call

if TYPE_CHECKING:
    from scripts.soak.judge import Row, Stored

SAID = 7
"""What the provider says of every prompt, if it gets to its end."""
JOURNALED_SECONDS = 2.0
"""A call that was made so long before its process was killed, the journal knows."""


class Tokens(NamedTuple):
    """The least and the most that may be charged."""

    least_prompt: int
    most_prompt: int
    least_completion: int
    most_completion: int

    def plus(self, other: Tokens) -> Tokens:
        return Tokens(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def hold(self, prompt: int, completion: int) -> bool:
        return (
            self.least_prompt <= prompt <= self.most_prompt
            and self.least_completion <= completion <= self.most_completion
        )


NOTHING = Tokens(0, 0, 0, 0)


def of_call(call: Call, asked: Asked, *, lost: bool) -> Tokens:
    """What a call may be charged with. `lost`: its process was killed while it was made, or just after."""
    refused = "status" in call.script  # providers do not charge that
    if refused and not lost:
        return NOTHING
    parts = [part for message in call.body["messages"] for part in message["content"].split("\n\n")]
    # each message is rounded up by itself, and neighbours of one role are one message here
    least = sum(len(message["content"].encode()) for message in call.body["messages"]) // 4
    most = least + len(parts) + len(call.body["messages"])
    said = 0 if refused else len((call.text + "".join(call.script.get("thoughts", ()))).encode())
    estimate = Tokens(least, most, 0, said)
    if call.api == "claude":
        # which says what the prompt takes before anything else
        estimate = _either(estimate, Tokens(SAID, SAID, 0, said))
    if refused or not whole(call):
        return _either(estimate, NOTHING) if lost else estimate
    exact = Tokens(SAID, SAID, call.sent, call.sent)
    if lost or asked.stopped:
        # whether its end was still read, nobody else knows
        exact = _either(exact, estimate)
    return _either(exact, NOTHING) if lost else exact


def is_title(call: Call) -> bool:
    return str(call.body["messages"][-1]["content"]).startswith(TITLED)


def whole(call: Call) -> bool:
    """Whether the provider got to say what it took."""
    tokens = call.script.get("tokens", 5)
    return (
        not call.cancelled and call.sent == tokens and not call.script.keys() & {"break_after", "silent_after", "raw"}
    )


def _either(one: Tokens, other: Tokens) -> Tokens:
    return Tokens(
        min(one.least_prompt, other.least_prompt),
        max(one.most_prompt, other.most_prompt),
        min(one.least_completion, other.least_completion),
        max(one.most_completion, other.most_completion),
    )


def charged(on: Deployment, crowd: Crowd, stored: Stored) -> Iterator[str]:
    """The ledger charges the provider's calls, each once, and conversations tell what the ledger has."""
    book = on.book
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in on.upstream.calls:
        if not is_title(call):
            calls[str(call.script.get("id"))].append(call)
    unknown = set(calls) - {asked.marker for asked in book.asked}
    if unknown:
        yield f"the provider was called with {len(unknown)} texts that nobody has sent"
    ledger: dict[str, list[Row]] = defaultdict(list)
    for row in stored.ledger:
        ledger[str(row["reply_id"])].append(row)
    known: set[str] = set()
    unheard: dict[str, list[Asked]] = defaultdict(list)
    for asked in book.asked:
        replies = _replies(asked, stored)
        known |= replies
        if not replies and (asked.kind == "completion" or asked.conversation in book.deleted):
            unheard[asked.owner].append(asked)  # nobody knows its id any more
            continue
        rows = [row for reply in replies for row in ledger[reply] if row["kind"] == "reply"]
        interrupted = any(stored.messages.get(reply, {}).get("status") == "interrupted" for reply in replies)
        possible = [
            of_call(call, asked, lost=lost(book, call, interrupted=interrupted)) for call in calls[asked.marker]
        ]
        yield from _held_against(book, asked, possible, rows, len(replies))
    for member in (*crowd.members, *crowd.listeners):
        rows = [
            row
            for row in stored.ledger
            if str(row["user_id"]) == member.id and row["kind"] == "reply" and str(row["reply_id"]) not in known
        ]
        yield from _all_together(book, member.id, [(one, calls[one.marker]) for one in unheard[member.id]], rows)
    yield from _costs(stored, ledger)


def _replies(asked: Asked, stored: Stored) -> set[str]:
    messages = stored.sent.get(content(asked.script), [])
    return asked.replies | {str(row["id"]) for message in messages for row in stored.replies_of[str(message["id"])]}


def _held_against(
    book: Book, asked: Asked, possible: Sequence[Tokens], rows: Sequence[Row], replies: int
) -> Iterator[str]:
    most = reduce(Tokens.plus, possible, NOTHING)
    prompt, completion = sum(row["prompt_tokens"] for row in rows), sum(row["completion_tokens"] for row in rows)
    if replies > len(possible) and _explained(book, asked):
        # begun, and lost or stopped before its call, or on its way: charged by what it would have sent
        most = most.plus(Tokens(0, prompt, 0, 0))
    if asked.conversation in book.deleted and asked.unknown:
        return  # replies that nobody has heard of are gone with their conversation
    if not most.hold(prompt, completion):
        yield (
            f"{asked.kind} {asked.script} was charged {prompt} + {completion} tokens; its {len(possible)} calls allow "
            f"{tuple(most)}"
        )


def _all_together(
    book: Book, owner: str, mine: Sequence[tuple[Asked, Sequence[Call]]], rows: Sequence[Row]
) -> Iterator[str]:
    """Replies whose ids nobody has heard: all of a user's are judged together."""
    most, loose = NOTHING, False
    for asked, calls in mine:
        for call in calls:
            most = most.plus(of_call(call, asked, lost=lost(book, call, interrupted=True)))
        loose |= not calls and _explained(book, asked)
    prompt, completion = sum(row["prompt_tokens"] for row in rows), sum(row["completion_tokens"] for row in rows)
    if loose:
        most = most.plus(Tokens(0, prompt, 0, 0))
    if not most.hold(prompt, completion):
        yield (
            f"replies of {owner} whose ids nobody has heard were charged {prompt} + {completion} tokens; their calls "
            f"allow {tuple(most)}"
        )


def _costs(stored: Stored, ledger: dict[str, list[Row]]) -> Iterator[str]:
    sums: dict[str, int] = defaultdict(int)
    for id, row in stored.messages.items():
        told = row["cost_micro_usd"] or 0
        cost = sum(entry["cost_micro_usd"] or 0 for entry in ledger[id])
        if row["role"] == "assistant" and told != cost:
            yield f"reply {id} ({row['status']}) tells a cost of {told}, the ledger has {cost}"
        sums[str(row["conversation_id"])] += told
    for row in stored.conversations:
        if (row["cost_micro_usd"] or 0) != sums[str(row["id"])]:
            yield f"conversation {row['id']} tells {row['cost_micro_usd']}, its replies {sums[str(row['id'])]}"


def lost(book: Book, call: Call, *, interrupted: bool) -> bool:
    """Whether its process was killed while the call was made or just after; or ended, or was cut off from the database,
    for so long that another one had to end the reply, and charged what it knew."""
    began = call.started_at - book.opened
    ended = (call.ended_at or call.started_at) - book.opened
    return any(
        fault.began <= ended + JOURNALED_SECONDS and began <= (fault.began if killed else fault.ended)
        for fault in book.faults
        if (killed := "kill" in fault.name) or (interrupted and fault.name.startswith("replica"))
    )


def _explained(book: Book, asked: Asked) -> bool:
    """Whether a call of it may have been prevented, or lost on its way."""
    return asked.stopped or asked.conversation in book.deleted or book.excused("lost", asked.began, asked.began + 60)
