"""The report of a soak: what was done, how long it took, what was broken, what users saw; in words and as a picture."""

from __future__ import annotations

import datetime
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from scripts.bench.peers.report import machine
from scripts.soak.book import Attempt
from scripts.soak.crowd import Crowd
from scripts.soak.deployment import Deployment
from scripts.soak.flat import Growth
from scripts.soak.money import is_title


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else 0.0


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield "| " + " | ".join(str(cell) for cell in row) + " |"


def latencies(attempts: Sequence[Attempt], firsts: Sequence[tuple[float, float]]) -> Iterator[Sequence[object]]:
    """Rows by kind of request: how many, the percentiles of those that were answered, and the others by outcome."""
    by_kind: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_kind[attempt.kind].append(attempt)
    times = [seconds for _, seconds in firsts]
    yield ("send: first text", f"{len(times):,}", *(ms(percentile(times, part)) for part in (0.5, 0.95, 0.99)), "")
    for kind, mine in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        good = [attempt.seconds for attempt in mine if attempt.outcome == "ok"]
        others = Counter(attempt.outcome for attempt in mine if attempt.outcome != "ok")
        seen = ", ".join(f"{count} {outcome}" for outcome, count in others.most_common())
        yield (kind, f"{len(mine):,}", *(ms(percentile(good, part)) for part in (0.5, 0.95, 0.99)), seen)


def replies(on: Deployment, statuses: Counter[str]) -> str:
    """A sentence about what became of all replies."""
    asked = Counter(one.kind for one in on.book.asked)
    ends = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
    apis = Counter(call.api for call in on.upstream.calls)
    titles = sum(map(is_title, on.upstream.calls))
    return (
        f"{asked['message']:,} messages, {asked['chat']:,} of chats, {asked['completion']:,} completions; the replies "
        f"that are stored: {ends}. OpenAI's API was called {apis['openai']:,} times, Claude's {apis['claude']:,}; "
        f"{titles:,} of these calls were for titles. "
        f"{len(on.book.readings):,} readers came to an end."
    )


def page(
    on: Deployment, crowd: Crowd, statuses: Counter[str], grown: Sequence[Growth], minutes: float, seconds: float
) -> Iterator[str]:
    """The Markdown of the report."""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    yield (
        f"Written by `make soak` on {today}: {machine()}, which does other work too. {minutes:g} minutes "
        f"({seconds:,.0f} s until everything had ended), {len(crowd.members)} users with two tabs each, "
        f"{len(crowd.listeners)} who listen, two replicas."
    )
    yield ""
    yield replies(on, statuses)
    yield ""
    violations = len(on.book.violations)
    yield f"**Violations: {violations}.**" if violations else "No violations."
    yield ""
    yield from table(
        ("request", "times", "p50", "p95", "p99", "refused or lost"), latencies(on.book.attempts, on.book.firsts)
    )
    yield ""
    yield "Times are those of requests that were answered, with the whole stream where there is one."
    yield ""
    rows = []
    for fault in on.book.faults:
        during = [
            one for one in on.book.attempts if fault.began <= one.began + one.seconds and one.began <= fault.ended
        ]
        seen = Counter(one.outcome for one in during if one.outcome in fault.excuses)
        told = ", ".join(f"{count} {outcome}" for outcome, count in seen.most_common()) or "nothing"
        rows.append((fault.name, f"{fault.began:.0f}", f"{len(during):,}", told))
    yield from table(("fault", "at second", "requests meanwhile", "users saw"), rows)
    yield ""
    yield from table(
        (
            "process",
            "lived",
            "memory at first",
            "at last",
            "growth",
            "files",
            "sockets",
            "tasks",
            "thousand blocks at first and last",
        ),
        (growth.row() for growth in grown),
    )
