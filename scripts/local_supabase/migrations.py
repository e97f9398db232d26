"""Migrations: applies `supabase/migrations` with the official CLI, as the owner, who is not a superuser."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import psycopg

from scripts.local_supabase.node import NODE, REPOSITORY, SUPABASE_CLI, tool_environment
from scripts.local_supabase.processes import StackError

_VERSION = re.compile(r"^(\d+)_.*\.sql$")


def supabase_cli(*arguments: str, workdir: Path = REPOSITORY) -> subprocess.CompletedProcess[str]:
    """Run the Supabase CLI for the folder that contains `supabase/`. Does not check the exit status."""
    return subprocess.run(
        [NODE, SUPABASE_CLI, *arguments, "--workdir", workdir],
        env=tool_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def migrate(owner_url: str, workdir: Path = REPOSITORY) -> bool:
    """Apply the migrations that the database does not have yet. Returns whether there were any.

    When one fails, raises StackError with the CLI's output, which names the file and the statement.
    """
    local = {
        match[1] for path in (workdir / "supabase" / "migrations").glob("*.sql") if (match := _VERSION.match(path.name))
    }
    if local <= applied(owner_url):
        return False
    pushed = supabase_cli("db", "push", f"--remote={owner_url}?sslmode=disable", "--yes", workdir=workdir)
    if pushed.returncode != 0:
        raise StackError(f"a migration failed:\n{pushed.stdout}{pushed.stderr}".replace(owner_url, "the database"))
    return True


def applied(owner_url: str) -> set[str]:
    """The versions of the migrations that the database has, by the record of the CLI."""
    with psycopg.connect(owner_url) as connection:
        if connection.execute("select to_regclass('supabase_migrations.schema_migrations')").fetchone() == (None,):
            return set()
        return {row[0] for row in connection.execute("select version from supabase_migrations.schema_migrations")}
