"""`make metrics`: writes the table of metrics in docs/operations.md, from what a process really has."""

from __future__ import annotations

import asyncio
from pathlib import Path

from app.main import Service
from app.measured import metrics_of
from app.settings import Settings
from app.telemetry.metrics import Shown

PAGE = Path(__file__).parent.parent / "docs" / "operations.md"
BEGIN, END = "<!-- metrics: written by `make metrics` -->\n", "<!-- end of the metrics -->\n"


async def shown() -> dict[str, Shown]:
    """Every metric that a process has, by its name. It does not depend on settings."""
    settings = Settings(supabase_url="http://127.0.0.1:54321", supabase_publishable_key="", supabase_secret_key="")
    service = Service(settings)
    try:
        metrics, _ = metrics_of(service)
    finally:
        await service.supabase.aclose()
    return {one.name: one for one in metrics.shown}


def table(metrics: dict[str, Shown]) -> str:
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, meaning in metrics.values():
        named = ", ".join(f"`{label}`" for label in labels)
        rows.append(f"| `{name}` | {kind} | {named} | {meaning} |")
    return "\n".join(rows) + "\n"


def with_table(page: str, rows: str) -> str:
    """The page with these rows between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}{rows}{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(), table(asyncio.run(shown()))))
