"""Report: runs attacks with another user beside them, and makes a table of what came of them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import aiohttp

from scripts.attack import front_door, money, sharing
from scripts.attack.bounds import Attack, Bound, Result
from scripts.attack.bystander import Measured, p95, watching
from scripts.attack.target import Memory, Target, target
from scripts.marked import write_between

ATTACKS: tuple[Attack, ...] = (*money.ATTACKS, *front_door.ATTACKS, *sharing.ATTACKS)
ATTACK_SECONDS = 180
USUAL_SECONDS = 6.0
LATER_SECONDS = 1.0
MOST_GROWTH = 100_000_000
PAGE = Path(__file__).parents[2] / "docs" / "security.md"
BEGIN, END = "<!-- attacks: begin, written by `make attack ARGS=--write` -->", "<!-- attacks: end -->"
HEAD = (
    "| attack | outcome | allowed | others: first token, p95 | health, p95 | longest pause of a stream | memory |",
    "|---|---|---|---|---|---|---|",
)


def beside(usual: Measured, meanwhile: Measured, grown: int) -> list[Bound]:
    """The bounds that hold for every attack."""
    return [
        Bound(
            f"another user's first token after {ms(p95(meanwhile.first_token))} at p95, usually "
            f"{ms(p95(usual.first_token))}",
            f"{LATER_SECONDS:.0f} s later",
            bool(meanwhile.first_token) and p95(meanwhile.first_token) <= p95(usual.first_token) + LATER_SECONDS,
        ),
        Bound(
            f"health after {ms(p95(meanwhile.health))} at p95, usually {ms(p95(usual.health))}",
            f"{LATER_SECONDS:.0f} s later",
            bool(meanwhile.health) and p95(meanwhile.health) <= p95(usual.health) + LATER_SECONDS,
        ),
        Bound(
            f"{len(meanwhile.failed)} requests of another user failed {' '.join(meanwhile.failed[:1])}".strip(),
            "none",
            not meanwhile.failed,
        ),
        Bound(f"{grown / 1e6:,.0f} MB more memory", f"below {MOST_GROWTH / 1e6:.0f} MB", grown < MOST_GROWTH),
    ]


async def measured(on: Target, attack: Attack, size: float, usual: Measured) -> Result:
    """Run one attack, while another user goes on with theirs."""
    other = await on.user(limits=money.WITHOUT_LIMITS)
    memory = Memory(on.process)
    watch = asyncio.create_task(memory.watch())
    try:
        async with watching(on.url, other.token) as meanwhile, asyncio.timeout(ATTACK_SECONDS):
            bounds = await attack.run(on, size)
            # a short attack has enough to compare with, too
            await asyncio.sleep(1)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        return Result(attack, [Bound(f"it could not be carried out: {error!r}", f"{ATTACK_SECONDS} s", False)])
    finally:
        watch.cancel()
    cells = [
        ms(p95(meanwhile.first_token)),
        ms(p95(meanwhile.health)),
        ms(max(meanwhile.pauses, default=0.0)),
        f"+{max(memory.grown, 0) / 1e6:,.0f} MB",
    ]
    return Result(attack, bounds + beside(usual, meanwhile, memory.grown), cells)


async def run(attacks: Sequence[Attack], size: float) -> tuple[list[str], list[Result]]:
    """The cells of the usual figures, and the results. Says on the standard error how far it is."""
    say("starting a Supabase, a provider and the API")
    with target() as on:
        say("measuring what is usual")
        other = await on.user(limits=money.WITHOUT_LIMITS)
        # the first turns of a process warm it up
        async with watching(on.url, other.token):
            await asyncio.sleep(2)
        async with watching(on.url, other.token) as usual:
            await asyncio.sleep(max(2.0, USUAL_SECONDS * size))
        cells = [ms(p95(usual.first_token)), ms(p95(usual.health)), ms(max(usual.pauses, default=0.0)), ""]
        results = []
        for number, attack in enumerate(attacks, 1):
            say(f"{number}/{len(attacks)} {attack.name}: {attack.done}")
            result = await measured(on, attack, size, usual)
            for bound in result.bounds:
                say(f"    {'held  ' if bound.held else 'MISSED'}  {bound.seen} (allowed: {bound.allowed})")
            results.append(result)
    return cells, results


def table(usual: Sequence[str], results: Iterable[Result]) -> str:
    """A Markdown table of the results; a bound that was missed is marked."""
    rows = [*HEAD, line("nothing, for comparison", "", "", *usual)]
    for result in results:
        # those of every attack have columns of their own, and are said where they are missed
        own = result.bounds[: len(result.bounds) - 4] if result.cells else result.bounds
        shown = [*own, *(bound for bound in result.missed if bound not in own)]
        seen = "; ".join(bound.seen if bound.held else f"**missed:** {bound.seen}" for bound in shown)
        rows.append(line(result.attack.done, seen, "; ".join(bound.allowed for bound in shown), *result.cells))
    return "\n".join(rows) + "\n"


def line(*cells: str) -> str:
    shown = (cell.replace("|", "/") for cell in cells)
    return "|" + "|".join(f" {cell} " if cell else " " for cell in shown) + "|"


def write(text: str, page: Path = PAGE) -> None:
    """Put the table between the two markers of the page."""
    write_between(page, BEGIN, END, text)


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
