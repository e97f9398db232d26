"""`make soak`: an hour of mixed load on two replicas, scaled to ten minutes, with everything that goes wrong in it."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import StackError
from scripts.marked import write_between
from scripts.soak import judge
from scripts.soak.book import Book
from scripts.soak.crowd import Crowd, crowd
from scripts.soak.deployment import Deployment, deployment
from scripts.soak.flat import growths, not_flat
from scripts.soak.picture import picture
from scripts.soak.report import page
from scripts.soak.trouble import Trouble

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
PICTURE = PAGE.parent / "benchmarks" / "soak.svg"
BEGIN, END = "<!-- soak: begin, written by `make soak ARGS=--write` -->", "<!-- soak: end -->"
SHOWN_VIOLATIONS = 40
IDLE_SECONDS = 6.5
"""How long everything rests before what is held by idle processes is judged: connections are closed after 5 s."""


def settings(minutes: float) -> dict[str, str]:
    """An hour is played in minutes: a provider's silence is noticed sooner by as much."""
    silence = max(3.0, min(60.0, minutes))
    return {
        "TOKEN_GAP_TIMEOUT_SECONDS": f"{silence:g}",
        "FIRST_TOKEN_TIMEOUT_SECONDS": f"{2 * silence:g}",
        "FIRST_SIGN_TIMEOUT_SECONDS": f"{2 * silence:g}",
        "LOG_LEVEL": "info",
    }


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass
class Played:
    """What came of a soak."""

    book: Book
    text: str
    picture: str


async def soak(stack: LocalSupabase, folder: Path, minutes: float, members: int, seed: int) -> Played:
    """Play it and judge it."""
    seconds = minutes * 60
    book = Book(say=say)
    async with deployment(stack, book, folder, settings(minutes)) as on:
        patience = 30.0 + minutes * 3
        async with crowd(on, members=members, listeners=max(2, members // 4), patience=patience, seed=seed) as people:
            await asyncio.sleep(1.5)  # a first sample of the replicas, when they have done nothing
            book.restart()
            trouble = Trouble(
                on, book, outage=max(1.0, min(15.0, seconds / 40)), say=lambda text: say(_progress(on, people, text))
            )
            telling = asyncio.create_task(_tell(on, people))
            using = asyncio.create_task(people.use())
            await trouble.run(seconds)
            await asyncio.sleep(max(0.0, seconds - book.now))
            people.leave()
            say(_progress(on, people, "everybody leaves"))
            await using
            await judge.settle(on, book, grace=60.0 + patience)
            await asyncio.sleep(IDLE_SECONDS)
            telling.cancel()
            took = book.now
            stored = await judge.read(on, people)
            await judge.judge(on, people, stored)
            book.violations += not_flat(on.gauges)
            statuses = Counter(row["status"] for row in stored.messages.values() if row["role"] == "assistant")
            text = "\n".join(page(on, people, statuses, growths(on.gauges), minutes, took)) + "\n"
            return Played(book, text, picture(book, on.gauges, took))


async def _tell(on: Deployment, people: Crowd) -> None:
    while True:
        await asyncio.sleep(10)
        say(_progress(on, people, ""))


def _progress(on: Deployment, people: Crowd, text: str) -> str:
    book = on.book
    outcomes = Counter(attempt.outcome for attempt in book.attempts)
    memory = ", ".join(f"{slot.name} {slot.life.samples[-1].rss_mb:.0f} MB" for slot in on.slots if slot.life.samples)
    seen = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
    return f"{book.now:6.1f} s  {seen or 'nothing yet'}; {memory}; {len(book.violations)} violations  {text}".rstrip()


def main(arguments: Sequence[str] | None = None) -> int:
    """The status is 0 if everything held, 1 if something was violated or a part does not start."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long the load lasts (10)")
    parser.add_argument("--members", type=int, default=8, help="users, with two tabs each (8)")
    parser.add_argument("--seed", type=int, default=1, help="which things everybody does (1)")
    parser.add_argument("--logs", type=Path, help="a folder to keep the replicas' logs in")
    parser.add_argument("--write", action="store_true", help="also write the report into docs/benchmarks.md")
    asked = parser.parse_args(arguments)
    if not 0 < asked.minutes <= 600 or not 1 <= asked.members <= 100:
        parser.error("--minutes is above 0 and at most 600, --members from 1 to 100")
    if asked.write and asked.minutes < 10:
        parser.error("--write is for 10 minutes at least")
    # ends like Ctrl-C, so that everything that was started is ended
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="parley-soak-") as made, LocalSupabase.throwaway() as stack:
            folder = asked.logs or Path(made)
            folder.mkdir(parents=True, exist_ok=True)
            try:
                played = asyncio.run(soak(stack, folder, asked.minutes, asked.members, asked.seed))
            finally:
                if asked.logs:
                    shutil.copytree(stack.data / "logs", folder / "stack", dirs_exist_ok=True)
    except StackError as error:
        say(f"make soak: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    print(played.text)
    if asked.write:
        write_between(PAGE, BEGIN, END, f"{played.text}\n![The soak over time](benchmarks/soak.svg)\n")
        PICTURE.write_text(played.picture)
    violations = played.book.violations
    for violation in violations[:SHOWN_VIOLATIONS]:
        say(f"violated: {violation}")
    if len(violations) > SHOWN_VIOLATIONS:
        say(f"… and {len(violations) - SHOWN_VIOLATIONS} more")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
