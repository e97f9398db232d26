"""Pushes migrations to a database whose tables have partitions: `python -m scripts.push_divided "$DATABASE_URL"`.

Postgres neither makes nor drops an index of a table with partitions `concurrently`, so `supabase db push` stops at such
a migration. Here each part is given its index concurrently, the table takes those that its parts have, and the
migration is recorded as applied. All others are pushed as ever, in their order. It may be interrupted, and run again.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg

from scripts.local_supabase.migrations import applied, supabase_cli
from scripts.local_supabase.node import REPOSITORY

_MADE = re.compile(r"create index concurrently (\w+)\s+on public\.(\w+)\s+(.+);", re.DOTALL)
_DROPPED = re.compile(r"drop index concurrently public\.(\w+);")

Connection = psycopg.Connection[tuple[object, ...]]


class PushError(Exception):
    """A migration was not applied; those before it were."""


class Made(NamedTuple):
    """An index that a migration makes concurrently."""

    name: str
    table: str
    what: str
    """What follows the table in the statement."""


class Dropped(NamedTuple):
    """An index that a migration drops concurrently."""

    name: str


def read(migration: str) -> Made | Dropped | None:
    """The index that is the whole of the migration; None when it is about something else."""
    statement = re.sub(r"^--.*\n", "", migration, flags=re.MULTILINE).strip()
    if made := _MADE.fullmatch(statement):
        return Made(*made.groups())
    dropped = _DROPPED.fullmatch(statement)
    return Dropped(dropped[1]) if dropped else None


def push(url: str, workdir: Path = REPOSITORY) -> None:
    """Apply what the database does not have yet of `workdir`/supabase/migrations.

    Raises PushError with what the CLI says.
    """
    files = {path.name.partition("_")[0]: path for path in sorted((workdir / "supabase" / "migrations").glob("*.sql"))}
    done = applied(url)
    for version, path in files.items():
        if version in done or (found := read(path.read_text())) is None:
            continue
        # the table may be the work of a migration before this one; the CLI wants to see all that are applied
        _push(url, workdir, [file for other, file in files.items() if other < version or other in done])
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("set statement_timeout = 0")
            of_parts = _make(db, found) if isinstance(found, Made) else _drop(db, found)
        if of_parts:
            _cli(url, workdir, "migration", "repair", version, "--status", "applied")
            print(f"{path.name}: applied to the parts", flush=True)
    _push(url, workdir, list(files.values()))


def _make(db: Connection, index: Made) -> bool:
    """Give the parts of the table the index, and then the table. Returns whether it has parts."""
    parts = db.execute(
        "select n.nspname, p.relname from pg_catalog.pg_inherits as i "
        "join pg_catalog.pg_class as p on p.oid = i.inhrelid "
        "join pg_catalog.pg_namespace as n on n.oid = p.relnamespace "
        "join pg_catalog.pg_class as t on t.oid = i.inhparent and t.relkind = 'p' "
        "where t.oid = to_regclass(%s) order by p.relname",
        [f"public.{index.table}"],
    ).fetchall()
    if not parts or db.execute("select to_regclass(%s)", [f"public.{index.name}"]).fetchone() != (None,):
        return bool(parts)
    for schema, part in parts:
        name = f"{index.name[:60]}{str(part).removeprefix(index.table)}"  # messages_first_idx_00
        valid = db.execute(
            "select i.indisvalid from pg_catalog.pg_index as i where i.indexrelid = to_regclass(%s)",
            [f"{schema}.{name}"],
        ).fetchone()
        if valid == (False,):  # of a run that was interrupted
            db.execute(f"drop index concurrently {schema}.{name}".encode())
        if valid != (True,):
            db.execute(f"create index concurrently {name} on {schema}.{part} {index.what}".encode())
    # makes nothing anew: an index of a part that is the same becomes part of the table's
    _briefly(db, f"create index {index.name} on public.{index.table} {index.what}")
    return True


def _drop(db: Connection, index: Dropped) -> bool:
    """Drop the index of a table that has parts. Returns whether it is gone, also by a run that was interrupted."""
    kind = db.execute(
        "select c.relkind from pg_catalog.pg_class as c where c.oid = to_regclass(%s)", [f"public.{index.name}"]
    ).fetchone()
    if kind == ("I",):
        _briefly(db, f"drop index public.{index.name}")
    return kind in {None, ("I",)}


def _briefly(db: Connection, statement: str) -> None:
    """While it waits for a lock, all later statements on the table wait, too."""
    with db.transaction():
        db.execute("set local lock_timeout = '2s'")
        db.execute(statement.encode())


def _push(url: str, workdir: Path, files: Sequence[Path]) -> None:
    """Push these files alone; the CLI applies all that a folder has."""
    if {file.name.partition("_")[0] for file in files} <= applied(url):
        return
    with tempfile.TemporaryDirectory(prefix="parley-push-") as made:
        folder = Path(made) / "supabase"
        (folder / "migrations").mkdir(parents=True)
        shutil.copy(workdir / "supabase" / "config.toml", folder)
        for file in files:
            shutil.copy(file, folder / "migrations")
        print(_cli(url, Path(made), "db", "push", "--include-all"), end="", flush=True)


def _cli(url: str, workdir: Path, *command: str) -> str:
    ended = supabase_cli(*command, f"--remote={url}", "--yes", workdir=workdir)
    said = f"{ended.stdout}{ended.stderr}".replace(url, "the database")
    if ended.returncode != 0:
        raise PushError(said)
    return said


def main() -> None:
    parser = argparse.ArgumentParser(description="Push migrations to a database whose tables have partitions.")
    parser.add_argument("url", help="the direct connection, as supabase/optional/partitions.sql takes it")
    parser.add_argument(
        "--workdir", type=Path, default=REPOSITORY, help="the folder that contains supabase/ (this repository's)"
    )
    arguments = parser.parse_args()
    try:
        push(arguments.url, arguments.workdir)
    except (PushError, psycopg.Error) as error:
        sys.exit(f"{error}\nNot all migrations are applied. Run this again when the cause is gone.")
    print("All migrations are applied. Now run supabase/optional/partitions.sql again, as you ran it before.")


if __name__ == "__main__":
    main()
