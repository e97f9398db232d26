"""Writes docs/benchmarks.md and its plots from the figures of a run."""

from __future__ import annotations

import datetime
import math
import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape

from scripts.bench.scenarios import LABELS, Samples, medians
from scripts.bench.servers import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
PLOTTED = ("burst_cpu", "paced_cpu", "opened_p99", "stream_kb")
WIDTH, BAR, GAP, NAMES, NUMBERS = 720, 22, 10, 140, 110
OWN = "Parley"


def machine() -> str:
    """The processor and what else matters, in general words."""
    model = platform.processor() or platform.machine()
    with_names = Path("/proc/cpuinfo")
    if with_names.exists():
        lines = with_names.read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def plot(title: str, unit: str, values: Mapping[str, float]) -> str:
    """Bars on a logarithmic scale, as SVG."""
    least, most = min(values.values()) / 2, max(values.values())
    room = WIDTH - NAMES - NUMBERS
    height = 40 + len(values) * (BAR + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text y="20" font-weight="600">{escape(title)} (log scale, less is better)</text>',
    ]
    for index, (name, value) in enumerate(values.items()):
        top = 36 + index * (BAR + GAP)
        length = room * math.log(value / least) / math.log(most / least)
        color = "#2563eb" if name == OWN else "#9ca3af"
        parts += [
            f'<text x="{NAMES - 8}" y="{top + 16}" text-anchor="end" fill="#1f2937">{escape(name)}</text>',
            f'<rect x="{NAMES}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{color}"/>',
            f'<text x="{NAMES + length + 6:.1f}" y="{top + 16}" fill="#1f2937">{value:,.1f} {unit}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def page(samples: Samples, to: str, rounds: int, today: datetime.date) -> Iterator[str]:
    found = medians(samples)
    yield "# Benchmarks"
    yield ""
    yield (
        f"Written by `make bench-peers` on {today.isoformat()}: {machine()}. Medians of {rounds} rounds, in which each "
        f"server is measured once; in brackets, the ratio to {to}. Each server has one core; the clients, the fake "
        "provider and a stub of Supabase have another. Seconds depend on what else the machine does, CPU and ratios "
        "less so."
    )
    yield ""
    yield (
        "Parley stores every turn and all text as it comes. Open WebUI stores its turns too, in Postgres beside it, "
        "and sends replies by Socket.IO; its page is played by a process on the clients' core. The others store "
        "nothing. The floors `bare aiohttp` and `minimal Litestar` pass the provider's bytes on; the AI SDK and "
        "LiteLLM read them. [performance.md](performance.md) says how a turn passes through Parley."
    )
    yield ""
    yield "| | " + " | ".join(found) + " |"
    yield "|---" * (len(found) + 1) + "|"
    for figure, (label, unit) in LABELS.items():
        cells = []
        for figures in found.values():
            value, base = figures.get(figure), found[to].get(figure)
            if value is None:
                cells.append("did not keep up")
            else:
                cells.append(f"{value:,.2f} {unit}" + (f" ({value / base:.2f})" if base else ""))
        yield f"| {label} | " + " | ".join(cells) + " |"
    yield ""
    for figure in PLOTTED:
        yield f"![{LABELS[figure][0]}](benchmarks/{figure}.svg)"
        yield ""


def write(samples: Samples, to: str, rounds: int) -> None:
    found = medians(samples)
    PLOTS.mkdir(exist_ok=True)
    for figure in PLOTTED:
        label, unit = LABELS[figure]
        values = {name: figures[figure] for name, figures in found.items() if figures.get(figure, 0) > 0}
        (PLOTS / f"{figure}.svg").write_text(plot(label, unit, values))
    today = datetime.datetime.now(datetime.UTC).date()
    # the sections after the first one are those of other programs
    _, heading, others = PAGE.read_text().partition("\n## ")
    PAGE.write_text("\n".join(page(samples, to, rounds, today)).rstrip() + "\n" + heading + others)
    print(f"{PAGE.relative_to(ROOT)} and {len(PLOTTED)} plots are written.")
