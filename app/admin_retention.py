"""The operator's command that removes what is old: `python -m app.admin retire`."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec

from app.admin_arguments import Parsers, add_command
from app.store.retention import Retention

KINDS = {
    "texts": (1, "what is said in conversations without activity; their times, models, tokens and costs stay"),
    "conversations": (1, "conversations without activity, with all they have"),
    "documents": (1, "documents that were written or indexed last so long ago"),
    "ledger": (62, "entries of what was used; they become sums by month, kind and model, of all users together"),
    "audit": (1, "what moderation has flagged"),
    "imports": (2, "records of imports that ended, or have stood still"),
    "keys": (1, "personal keys that expired so long ago"),
    "idempotency": (2, "Idempotency-Keys, which recovery forgets after 24 hours anyway"),
    "meters": (1, "meters of requests that have been full for so long"),
}
"""What can be removed, with the least number of days, as `public.retire` has them."""
MOST_DAYS = 36_500
PAUSE = 0.2
"""Seconds between two steps, in which others have the database."""


class Retired(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed of one kind, or would have been. `messages` are those of its conversations."""

    kind: str
    days: int
    rows: int
    messages: int
    dry_run: bool


def add_retire_command(commands: Parsers, epilog: str) -> None:
    retire = add_command(
        commands, "retire", "remove what is older than so many days; without an option, nothing", epilog
    )
    for kind, (least, what) in KINDS.items():
        retire.add_argument(
            f"--{kind}", type=days_from(least), metavar="DAYS", help=f"{what}: {least} to {MOST_DAYS} days"
        )
    retire.add_argument("--dry-run", action="store_true", help="count what would be removed, and remove nothing")
    retire.add_argument(
        "--pause", type=seconds, default=PAUSE, metavar="SECONDS", help=f"between two steps ({PAUSE}; at most 60)"
    )


async def retire_lines(asked: argparse.Namespace, retention: Retention) -> AsyncGenerator[str]:
    """The lines that the command prints, one for each kind. LookupError when none is named."""
    chosen = {kind: getattr(asked, kind) for kind in KINDS if getattr(asked, kind) is not None}
    if not chosen:
        raise LookupError(f"name what to remove and after how many days: {', '.join(f'--{kind}' for kind in KINDS)}")
    for kind, days in chosen.items():
        rows = messages = 0
        async for step in retention.retire(kind, days, dry_run=asked.dry_run):
            rows, messages = rows + step.rows, messages + step.messages
            if step.rows and not asked.dry_run:
                await asyncio.sleep(asked.pause)
        retired = Retired(kind=kind, days=days, rows=rows, messages=messages, dry_run=asked.dry_run)
        yield msgspec.json.encode(retired).decode() if asked.json else _described(retired)


def _described(retired: Retired) -> str:
    done = "would be removed" if retired.dry_run else "removed"
    messages = f", of {retired.messages:,} messages" if retired.messages else ""
    return f"{retired.kind}, {retired.days} days: {retired.rows:,} {done}{messages}"


def days_from(least: int) -> Callable[[str], int]:
    """What reads a whole number of days, at least so many."""

    def days(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= MOST_DAYS:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not allowed: a whole number of days from {least} to {MOST_DAYS}"
            )
        return int(text)

    return days


def seconds(text: str) -> float:
    try:
        pause = float(text)
    except ValueError:
        pause = -1
    if not 0 <= pause <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not allowed: seconds from 0 to 60")
    return pause
