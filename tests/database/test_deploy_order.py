"""Each migration says whether it comes before the code of its release or after that of an earlier one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.calls.tape import recordings

MIGRATIONS = sorted((Path(__file__).parents[2] / "supabase" / "migrations").glob("*.sql"))
SINCE = "20261128"
"""The older ones came before the code of 0.1.0, the first release."""
ORDER = re.compile(r"^-- (?:Before the code|After (?P<release>\d+\.\d+\.\d+))[.:]", re.MULTILINE | re.IGNORECASE)
RECORDED = {recording.release for recording in recordings()}


def order(migration: str) -> re.Match[str] | None:
    """What the comment at its beginning says."""
    header = re.match(r"(?:--.*\n)*", migration)
    return ORDER.search(header[0]) if header else None


def number(release: str) -> tuple[int, ...]:
    return tuple(map(int, release.split(".")))


def test_migrations_say_when_they_are_due() -> None:
    for path in MIGRATIONS:
        if path.name < SINCE:
            continue
        said = order(path.read_text())
        assert said is not None, (
            f"{path.name}: begin with `-- Before the code: …` or `-- After 0.1.0: …`, docs/migrations.md"
        )
        if said["release"] is not None:
            # what a release needs no more can go in the next one at the earliest: its calls are recorded by then
            newest = max(map(number, RECORDED))
            assert number(said["release"]) <= newest, f"{path.name}: {said['release']} is not released"


@pytest.mark.parametrize(
    ("migration", "release"),
    [
        ("-- Before the code: it reads the column.\nselect 1;\n", None),
        ("-- A column for what is to be kept.\n-- Before the code.\n\nselect 1;\n", None),
        ("-- After 0.2.0: nothing calls it any more.\nselect 1;\n", "0.2.0"),
    ],
)
def test_order_is_read(migration: str, release: str | None) -> None:
    said = order(migration)
    assert said is not None
    assert said["release"] == release


@pytest.mark.parametrize(
    "migration",
    [
        "select 1;\n-- Before the code.\n",
        "-- A column that is there before the code.\nselect 1;\n",
        "-- After the code.\nselect 1;\n",
        "select 1;\n",
    ],
)
def test_other_words_are_no_order(migration: str) -> None:
    assert order(migration) is None
