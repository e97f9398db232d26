"""The picture of a soak: memory, requests and the time to a first text, over the time, with what was broken."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from xml.sax.saxutils import escape

from scripts.soak.book import Book
from scripts.soak.gauges import Gauges
from scripts.soak.report import percentile

WIDTH, PANEL, GAP, LEFT, RIGHT, TOP = 860, 120, 34, 70, 20, 96
BUCKETS = 60
COLORS = {"a": "#2563eb", "b": "#0d9488", "ok": "#2563eb", "refused": "#dc2626", "first": "#2563eb"}
Point = tuple[float, float]


def picture(book: Book, gauges: Gauges, seconds: float) -> str:
    """SVG."""
    step = seconds / BUCKETS
    ok = _counted([attempt.began for attempt in book.attempts if attempt.outcome == "ok"], step)
    refused = _counted([attempt.began for attempt in book.attempts if attempt.outcome != "ok"], step)
    firsts = [
        (at * step, percentile(times, 0.95) * 1000)
        for at in range(BUCKETS)
        if (times := [took for began, took in book.firsts if at * step <= began < (at + 1) * step])
    ]
    memory = [
        (life.name, [(sample.at, sample.rss_mb) for sample in life.samples if 0 <= sample.at <= seconds])
        for life in gauges.lives
    ]
    panels: list[tuple[str, list[tuple[str, list[Point]]]]] = [
        ("memory of the replicas a and b, MB", memory),
        ("requests a second: answered (blue), refused or lost (red)", [("ok", ok), ("refused", refused)]),
        ("first text of a reply, p95, ms", [("first", firsts)]),
    ]
    height = TOP + len(panels) * (PANEL + GAP)
    room = WIDTH - LEFT - RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *_faults(book, lambda at: LEFT + room * min(1.0, at / seconds), height),
    ]
    for number, (title, lines) in enumerate(panels):
        parts += _panel(title, lines, TOP + number * (PANEL + GAP), room, seconds)
    return "\n".join([*parts, "</svg>", ""])


def _counted(times: Sequence[float], step: float) -> list[Point]:
    """How many a second, in each bucket."""
    return [(at * step, sum(at * step <= time < (at + 1) * step for time in times) / step) for at in range(BUCKETS)]


def _faults(book: Book, x: Callable[[float], float], height: int) -> Iterator[str]:
    for number, fault in enumerate(book.faults):
        left = x(fault.began)
        wide = max(2.0, x(fault.mended) - left)
        yield f'<rect x="{left:.1f}" y="{TOP - 8}" width="{wide:.1f}" height="{height - TOP}" fill="#fde68a"/>'
        # in turns on several lines, as they are longer than their faults
        row = 12 + (number % 7) * 12
        yield f'<text x="{left:.1f}" y="{row}" fill="#92400e">{escape(fault.name)}</text>'


def _panel(title: str, lines: list[tuple[str, list[Point]]], top: int, room: int, seconds: float) -> Iterator[str]:
    most = max((value for _, points in lines for _, value in points), default=1.0) or 1.0
    yield f'<text x="{LEFT}" y="{top - 4 + 2}" fill="#1f2937" font-weight="600">{escape(title)}</text>'
    for part in (0, 0.5, 1):
        y = top + 8 + (PANEL - 8) * (1 - part)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{LEFT + room}" y2="{y:.1f}" stroke="#e5e7eb"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end" fill="#6b7280">{most * part:,.0f}</text>'
    for name, points in lines:
        path = " ".join(
            f"{LEFT + room * at / seconds:.1f},{top + 8 + (PANEL - 8) * (1 - value / most):.1f}" for at, value in points
        )
        yield f'<polyline points="{path}" fill="none" stroke="{COLORS[name]}" stroke-width="1.5"/>'
    for part in (0, 0.5, 1):
        at = LEFT + room * part
        y, label = top + PANEL + 14, f"{seconds * part:,.0f} s"
        yield f'<text x="{at:.1f}" y="{y}" text-anchor="middle" fill="#6b7280">{label}</text>'
