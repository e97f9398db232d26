"""The tables of docs/clients.md that tests write: what was tested, with versions."""

from __future__ import annotations

import os

from tests.support.sources import ROOT

PAGE = ROOT / "docs" / "clients.md"


def check_table(name: str, table: str, *, passed: bool = True) -> None:
    """The table of this name on the page is what was seen. With PARLEY_WRITE_CLIENTS (`make clients`) it is written
    first, if all that is in it `passed`."""
    begin, end = f"<!-- {name}: begin, written by `make clients` -->", f"<!-- {name}: end -->"
    before, found_begin, rest = PAGE.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    assert found_begin
    assert found_end
    written = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    if passed and os.environ.get("PARLEY_WRITE_CLIENTS"):
        PAGE.write_text(written)
    assert PAGE.read_text() == written
