"""Parts of pages that are written by a program, between two markers."""

from __future__ import annotations

from pathlib import Path


def write_between(page: Path, begin: str, end: str, text: str) -> None:
    """Put `text` between the two markers of the page. Raises ValueError when the page does not have both."""
    before, first, rest = page.read_text().partition(begin)
    _, last, after = rest.partition(end)
    if not (first and last):
        raise ValueError(f"{page} does not have the markers {begin} and {end}")
    page.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")
