"""Migrations are applied once, by the official CLI, and a failing one is named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase, StackError
from scripts.local_supabase.migrations import migrate
from scripts.local_supabase.node import REPOSITORY

pytestmark = pytest.mark.stack


def test_all_are_applied(owner: psycopg.Connection) -> None:
    files = {path.name.split("_")[0] for path in (REPOSITORY / "supabase" / "migrations").glob("*.sql")}
    applied = owner.execute("select version from supabase_migrations.schema_migrations").fetchall()
    assert {version for (version,) in applied} == files


def test_second_time_does_not_run_the_cli(stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a program was started"))
    assert migrate(stack.database_url) is False


def test_failing_migration_is_named(tmp_path: Path) -> None:
    migrations = tmp_path / "supabase" / "migrations"
    migrations.mkdir(parents=True)
    (tmp_path / "supabase" / "config.toml").write_text('project_id = "failing"\n')
    (migrations / "20260101000000_good.sql").write_text("create table public.good (id int primary key);")
    (migrations / "20260102000000_bad.sql").write_text("select * from public.missing;")
    stack = LocalSupabase.throwaway(workdir=tmp_path)
    with pytest.raises(StackError, match=r"20260102000000_bad\.sql") as failure:
        stack.start()
    assert 'relation "public.missing" does not exist' in str(failure.value)
    assert "postgres:" not in str(failure.value), "the password is no part of the message"
    assert not stack.children
