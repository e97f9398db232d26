"""The pages for operators are true of the program."""

from __future__ import annotations

from scripts.metrics import PAGE, shown, table, with_table


async def test_the_table_of_metrics_is_that_of_a_process() -> None:
    """`make metrics` writes it."""
    page = PAGE.read_text()
    assert page == with_table(page, table(await shown()))
