"""`supabase/schema` shows every function as it is in a database with all migrations."""

from __future__ import annotations

from pathlib import Path

from scripts.schema import committed, render
from tests.support.callers import Connection


def test_copy_is_what_the_migrations_make(db: Connection) -> None:
    live, copy = render(db), committed()
    assert sorted(copy) == sorted(live), "run `make schema`"
    for path, text in live.items():
        assert copy[path] == text, f"{path}: run `make schema`"


def test_changed_body_shows(db: Connection) -> None:
    db.execute(
        "create or replace function private.lease() returns interval language sql as $$ select interval '1 s' $$"
    )
    assert render(db)[Path("private/lease.sql")] != committed()[Path("private/lease.sql")]


def test_copy_can_be_run(db: Connection) -> None:
    """It is no picture of the functions but the statements that make them."""
    # the settings of vector can be named once its library is loaded
    db.execute("select '[1]'::extensions.vector")
    for text in committed().values():
        db.execute(text)
    assert render(db) == committed()
