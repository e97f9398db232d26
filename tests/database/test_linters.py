"""The database's linters notice what they are there for."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.advisors import policy_findings


@pytest.fixture
def faulty(stack: LocalSupabase) -> Iterator[str]:
    """The database with a table that nothing guards, and one that shows everything to anybody."""
    with psycopg.connect(stack.database_url, autocommit=True) as database:
        database.execute("create table public.unguarded (user_id uuid)")
        database.execute("create table public.leaking (user_id uuid)")
        database.execute("alter table public.leaking enable row level security")
        database.execute("create policy everything on public.leaking for select using (true)")
        try:
            yield stack.database_url
        finally:
            database.execute("drop table public.unguarded, public.leaking")


def test_unguarded_and_leaking_tables_are_found(faulty: str) -> None:
    linted, *proofs = policy_findings(faulty)
    assert linted.startswith("pgrls lint")
    assert "public.unguarded" in linted
    assert proofs[0].startswith("pgrls verify --strict")
    assert any("public.leaking" in line and "LEAK" in line for line in proofs[0].splitlines())


def test_the_schema_as_it_is_has_neither(stack: LocalSupabase) -> None:
    assert policy_findings(stack.database_url) == []
