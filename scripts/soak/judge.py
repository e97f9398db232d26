"""The judgement: what must hold of everything that was asked, answered, stored, charged and heard."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scripts.soak.book import Asked, Book, Reading
from scripts.soak.crowd import Crowd
from scripts.soak.database import query
from scripts.soak.deployment import Deployment
from scripts.soak.money import charged
from scripts.soak.titles import titled
from tests.support.replica_client import content

Row = dict[str, Any]
LEASE_SECONDS = 15.0
NEVER_ENDS = {
    "replies that are streaming": "select count(*) from public.messages where status = 'streaming'",
    "leases of replies": "select count(*) from private.live_replies",
    "tokens held": "select count(*) from private.reservations",
    "jobs of the index": "select count(*) from private.index_jobs",
    "documents that are not indexed": "select count(*) from public.documents where status not in ('ready', 'failed')",
    "texts waiting to be searchable": "select count(*) from private.long_texts",
    "imports": "select count(*) from private.imports where status = 'running' "
    "and updated_at > now() - interval '60 seconds'",
}
"""What must become 0 when everybody has left, by name."""


@dataclass
class Stored:
    """The database at the end."""

    messages: dict[str, Row]
    replies_of: dict[str, list[Row]]
    """Of each user message, its replies."""
    sent: dict[str, list[Row]]
    """User messages by their content."""
    ledger: list[Row]
    conversations: list[Row]


async def settle(on: Deployment, book: Book, grace: float) -> None:
    """Wait until nothing is going on any more. What goes on after `grace` seconds is stuck."""
    deadline = time.monotonic() + grace
    while left := await _going_on(on):
        if time.monotonic() > deadline:
            book.violated(f"stuck {grace:.0f} s after everybody has left: {left}")
            return
        await asyncio.sleep(0.5)


async def _going_on(on: Deployment) -> dict[str, int]:
    left = {name: (await query(on.stack, statement))[0]["count"] for name, statement in NEVER_ENDS.items()}
    left["calls of the provider"] = on.upstream.open_calls
    for slot in on.slots:
        newest = slot.life.samples[-1:] if slot.alive else []
        left[f"replies and readers of replica {slot.name}"] = sum(sample.busy for sample in newest)
    return {name: count for name, count in left.items() if count}


async def read(on: Deployment, crowd: Crowd) -> Stored:
    """Everything of the members and the listeners."""
    users = [member.id for member in (*crowd.members, *crowd.listeners)]
    messages = await query(on.stack, "select * from public.messages where user_id = any(%s::uuid[])", users)
    ledger = await query(on.stack, "select * from private.usage_ledger where user_id = any(%s::uuid[])", users)
    conversations = await query(on.stack, "select * from public.conversations where user_id = any(%s::uuid[])", users)
    replies_of: dict[str, list[Row]] = defaultdict(list)
    sent: dict[str, list[Row]] = defaultdict(list)
    for row in messages:
        if row["role"] == "assistant":
            replies_of[str(row["parent_id"])].append(row)
        else:
            sent[row["content"]].append(row)
    return Stored({str(row["id"]): row for row in messages}, replies_of, sent, ledger, conversations)


async def judge(on: Deployment, crowd: Crowd, stored: Stored) -> None:
    """Find all violations and put them into the book."""
    found = [*violations(on, crowd, stored), *await _devices(crowd, stored), *await _belongings(on)]
    on.book.violations += found


def violations(on: Deployment, crowd: Crowd, stored: Stored) -> Iterator[str]:
    """Those that the book, the provider's calls and what is stored show."""
    book = on.book
    for asked in book.asked:
        if asked.kind != "completion":
            yield from _stored_once(book, asked, stored)
    for reading in book.readings:
        if reading.asked.kind == "completion":
            yield from _read_completion(book, reading)
        else:
            yield from _read_as_stored(book, reading, stored)
    yield from _provider_called_once(on)
    yield from charged(on, crowd, stored)
    yield from titled(on, stored)
    yield from _separated(crowd, stored)
    yield from _excused(book)
    yield from (f"in the log: {line}" for line in on.unforeseen())


def _stored_once(book: Book, asked: Asked, stored: Stored) -> Iterator[str]:
    """What was accepted is there once, with one ended reply for each time it was asked for."""
    messages = stored.sent.get(content(asked.script), [])
    gone = asked.conversation in book.deleted
    if len(messages) > 1:
        yield f"{asked.kind} {asked.marker} is stored {len(messages)} times"
    if asked.accepted and not messages and not gone:
        yield f"{asked.kind} {asked.marker} was accepted and is not stored"
    if not messages:
        return
    replies = stored.replies_of[str(messages[0]["id"])]
    ids = {str(row["id"]) for row in replies}
    if not gone and not asked.replies <= ids:
        yield f"replies {asked.replies - ids} to {asked.marker} are lost"
    if len(ids) > max(1, len(asked.replies) + asked.unknown):
        yield f"{asked.marker} has {len(ids)} replies, {len(asked.replies)} were asked for, {asked.unknown} perhaps"
    if sorted(row["version"] for row in replies) != list(range(1, len(replies) + 1)) and not gone:
        yield f"replies to {asked.marker} have the versions {[row['version'] for row in replies]}"
    for row in replies:
        yield from _true(book, asked, row)


def _true(book: Book, asked: Asked, row: Row) -> Iterator[str]:
    """A reply's status and text are what happened."""
    name, status = f"reply {row['id']} to {asked.script}", row["status"]
    if not asked.whole.startswith(row["content"]):
        yield f"{name} has a text that nobody said: {row['content'][:200]!r}"
    if status == "complete" and row["content"] != asked.whole:
        yield f"{name} is called complete with {len(row['content'])} of {len(asked.whole)} characters"
    if status == "stopped" and not asked.stopped:
        yield f"{name} is stopped, and nobody asked for that"
    if status == "failed" and row["error_code"] != "provider_unavailable":
        yield f"{name} failed: {row['error_code']} {row['problem']}"
    # what the provider did to others may have opened its breaker; it never breaks off a healthy reply
    if status == "failed" and row["content"] and not asked.faulty:
        yield f"{name} failed inside its text: {row['problem']}"
    if status == "interrupted" and not any(
        fault.name.startswith("replica") and fault.began - LEASE_SECONDS <= book.now and fault.ended >= asked.began
        for fault in book.faults
    ):
        yield f"{name} was interrupted, and no replica had ended"


def _read_as_stored(book: Book, reading: Reading, stored: Stored) -> Iterator[str]:
    """Whoever read a reply to its end holds what is stored."""
    name = f"reader ({reading.how}) of reply {reading.message_id} to {reading.asked.script}"
    row = stored.messages.get(reading.message_id)
    if row is None:
        if reading.asked.conversation not in book.deleted:
            yield f"{name}: the reply is not stored"
        return
    if reading.ending is None:
        yield f"{name} never came to an end; it is stored as {row['status']}"
    elif reading.status == "interrupted" != row["status"]:
        # its writer was only cut off, and ended it after all
        if not row["content"].startswith(reading.text):
            yield f"{name} was told interrupted, and holds what is not the beginning of what is stored"
    elif reading.text != row["content"] and not (reading.how == "chat" and row["status"] == "interrupted"):
        yield (
            f"{name} holds {len(reading.text)} characters ({reading.status}), {len(row['content'])} are stored "
            f"({row['status']})"
        )
    elif reading.status is not None and reading.status != row["status"]:
        yield f"{name} was told {reading.status}, it is {row['status']}"


def _read_completion(book: Book, reading: Reading) -> Iterator[str]:
    asked = reading.asked
    name = f"completion {asked.script}"
    if not asked.whole.startswith(reading.text):
        yield f"{name} was answered with what nobody said: {reading.text[:200]!r}"
    if reading.ending == "done" and reading.text != asked.whole:
        yield f"{name} ended as if it was whole, after {len(reading.text)} of {len(asked.whole)} characters"
    if reading.ending == "cut":
        yield f"{name} ended without a finish reason or an error"
    if reading.ending == "error" and not asked.faulty and not book.excused("lost", asked.began, book.now):
        yield f"{name} ended in an error without a cause"
    if reading.ending is None and not asked.stopped and not book.excused("lost", asked.began, asked.began + 120):
        yield f"{name} never came to an end"


def _provider_called_once(on: Deployment) -> Iterator[str]:
    """A provider that does as it should is asked once for each reply."""
    for asked in on.book.asked:
        calls = on.upstream.calls_of(asked.marker)
        replies = max(1, len(asked.replies) + asked.unknown)
        if len(calls) > replies and not asked.faulty and not any("status" in call.script for call in calls):
            yield f"the provider was called {len(calls)} times for {replies} replies to {asked.script}"


def _separated(crowd: Crowd, stored: Stored) -> Iterator[str]:
    """Nobody has or hears what is another one's."""
    owners = {str(row["id"]): str(row["user_id"]) for row in stored.conversations}
    ids = {member.id for member in (*crowd.members, *crowd.listeners)}
    for row in stored.messages.values():
        mine = str(row["user_id"])
        if owners.get(str(row["conversation_id"])) != mine:
            yield f"message {row['id']} of {mine} is in a conversation of {owners.get(str(row['conversation_id']))}"
        text = row["content"] + row["reasoning"]
        if any(other in text for other in ids - {mine}):
            yield f"message {row['id']} of {mine} has a text of somebody else"
    for listener, payload in crowd.heard:
        about = payload["payload"].get("conversation_id")
        if about is not None and owners.get(about, listener) != listener:
            yield f"{listener} heard of {about}, a conversation of {owners[about]}"
        if any(other in str(payload) for other in ids - {listener}):
            yield f"{listener} heard something of somebody else: {str(payload)[:300]}"


async def _devices(crowd: Crowd, stored: Stored) -> list[str]:
    """Devices on Realtime show what is stored, at the latest some seconds after it was."""
    for _ in range(60):
        wrong = [what for member, device in crowd.devices for what in _device_wrong(member.id, device, stored)]
        if not wrong:
            return []
        await asyncio.sleep(0.5)
    return wrong


def _device_wrong(owner: str, device: Any, stored: Stored) -> Iterator[str]:
    for id, held in device.messages.items():
        row = stored.messages.get(id)
        if row is None:
            yield f"the device of {owner} shows message {id}, which is not stored"
        elif (held.content, held.status) != (row["content"], row["status"]):
            yield (
                f"the device of {owner} shows {len(held.content)} characters of {id} ({held.status}), "
                f"{len(row['content'])} are stored ({row['status']})"
            )
    shown = device.shown
    newest = [id for id, row in stored.messages.items() if str(row["conversation_id"]) == device.conversation]
    if newest and not shown:
        yield f"the device of {owner} shows nothing"


async def _belongings(on: Deployment) -> list[str]:
    """Documents and imports are there, once, and of their owners."""
    found = []
    rows = await query(on.stack, "select id, user_id, status from public.documents")
    there = {str(row["id"]): row for row in rows}
    for id, owner in on.book.documents.items():
        if id not in there:
            found.append(f"document {id} was accepted and is lost")
        elif str(there[id]["user_id"]) != owner or there[id]["status"] != "ready":
            found.append(f"document {id} of {owner} is {there[id]}")
    for owner, needle in on.book.imports:
        rows = await query(
            on.stack,
            "select c.id, (select count(*) from public.messages as m where m.conversation_id = c.id) as messages "
            "from public.conversations as c where c.title = %s and c.user_id = %s",
            needle,
            owner,
        )
        if [row["messages"] for row in rows] != [12]:
            found.append(f"the import {needle} of {owner}, which is complete, is {rows}")
    return found


def _excused(book: Book) -> Iterator[str]:
    """Requests were refused or lost only while something was broken. A provider's failures are everybody's weather."""
    for attempt in book.attempts:
        if attempt.outcome in ("ok", "provider_unavailable"):
            continue
        if not book.excused(attempt.outcome, attempt.began, attempt.began + attempt.seconds):
            yield f"{attempt.kind} at {attempt.began:.1f} s: {attempt.outcome}, though nothing was broken"
