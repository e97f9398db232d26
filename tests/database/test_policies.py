"""Each policy of row level security decides by itself, and its probe notices when it no longer does.

Grants would refuse much of this anyway, so a probe first grants everything: then only the policy is left to answer.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from psycopg.errors import InsufficientPrivilege

from tests.database.tables import CHANGES, KEYS, NEW_ROWS, POLICIES, TABLES, Policy, Rows, make_room, plant
from tests.support.callers import ANON, Caller, Connection, acting, one


@pytest.fixture
def mine(db: Connection, owner: Caller) -> Rows:
    return plant(db, owner)


@pytest.fixture
def theirs(db: Connection, stranger: Caller) -> Rows:
    return plant(db, stranger)


def named(policy: Policy) -> str:
    return policy.name


# ── the probes: statements without `where` or `returning`, so that no select policy helps out ────────────────────


def probe_select(db: Connection, policy: Policy, mine: Rows, theirs: Rows) -> None:
    for rows in (mine, theirs):
        with acting(db, rows.user):
            seen = db.execute(f"select {KEYS[policy.table]} from public.{policy.table}").fetchall()
        assert seen == [(rows.keys[policy.table],)]


def probe_insert(db: Connection, policy: Policy, mine: Rows, theirs: Rows) -> None:
    make_room(db, mine.user)
    with pytest.raises(InsufficientPrivilege, match="row-level security"), acting(db, theirs.user):
        db.execute(NEW_ROWS[policy.table], mine.values)
    if policy.rule == "own":
        with acting(db, mine.user):
            db.execute(NEW_ROWS[policy.table], mine.values)
    else:
        with pytest.raises(InsufficientPrivilege, match="row-level security"), acting(db, mine.user):
            db.execute(NEW_ROWS[policy.table], mine.values)


def probe_update(db: Connection, policy: Policy, mine: Rows, theirs: Rows) -> None:
    with acting(db, theirs.user):
        changed = db.execute(f"update public.{policy.table} set {CHANGES[policy.table]}").rowcount
    assert changed == (1 if policy.rule == "own" else 0)
    if policy.rule == "own":
        # a foreign key would hold a conversation with messages
        db.execute("delete from public.messages where user_id = %s", [mine.user.id])
        make_room(db, theirs.user)
        with pytest.raises(InsufficientPrivilege, match="row-level security"), acting(db, mine.user):
            db.execute(f"update public.{policy.table} set user_id = %s", [theirs.user.id])


def probe_delete(db: Connection, policy: Policy, mine: Rows, theirs: Rows) -> None:
    with acting(db, theirs.user):
        deleted = db.execute(f"delete from public.{policy.table}").rowcount
    assert deleted == (1 if policy.rule == "own" else 0)


Probe = Callable[[Connection, Policy, Rows, Rows], None]
PROBES: dict[str, Probe] = {
    "select": probe_select,
    "insert": probe_insert,
    "update": probe_update,
    "delete": probe_delete,
}


def probe(db: Connection, policy: Policy, mine: Rows, theirs: Rows) -> None:
    db.execute(f"grant all on table public.{policy.table} to authenticated")
    PROBES[policy.command](db, policy, mine, theirs)


# ── the tests ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", POLICIES, ids=named)
def test_policy_holds(db: Connection, policy: Policy, mine: Rows, theirs: Rows) -> None:
    probe(db, policy, mine, theirs)


OPENED = {
    "select": ("using (true)",),
    "insert": ("with check (true)",),
    # of an owner's update each half protects something: whose row is changed, and whose it becomes
    "update": ("using (true)", "with check (true)", "using (true) with check (true)"),
    "delete": ("using (true)",),
}


@pytest.mark.parametrize(
    ("policy", "opened"),
    [
        pytest.param(policy, opened, id=f"{policy.name}: {opened}")
        for policy in POLICIES
        for opened in OPENED[policy.command]
        # `using (false)` alone lets no row reach the check
        if not (policy.command == "update" and policy.rule == "none" and opened == "with check (true)")
    ],
)
def test_probe_notices_an_opened_policy(db: Connection, policy: Policy, opened: str, mine: Rows, theirs: Rows) -> None:
    db.execute(f'alter policy "{policy.name}" on public.{policy.table} {opened}')
    with pytest.raises((AssertionError, InsufficientPrivilege, pytest.fail.Exception)):
        probe(db, policy, mine, theirs)


@pytest.mark.parametrize("table", TABLES)
def test_policies_give_anon_nothing(db: Connection, table: str, mine: Rows) -> None:
    db.execute(f"grant all on table public.{table} to anon")
    # what a column of passages is computed by
    db.execute("grant execute on all functions in schema private to anon")
    with acting(db, ANON):
        assert one(db, f"select count(*) from public.{table}") == 0
        assert db.execute(f"update public.{table} set {CHANGES[table]}").rowcount == 0
        assert db.execute(f"delete from public.{table}").rowcount == 0
    with pytest.raises(InsufficientPrivilege, match="row-level security"), acting(db, ANON):
        db.execute(NEW_ROWS[table], mine.values)


def test_every_policy_is_written_down(db: Connection) -> None:
    found = db.execute(
        "select tablename, lower(cmd), policyname, permissive, roles::text from pg_catalog.pg_policies "
        "where schemaname = 'public'"
    ).fetchall()
    assert set(found) == {(p.table, p.command, p.name, "PERMISSIVE", "{authenticated}") for p in POLICIES}
    assert len(found) == len(POLICIES)


def test_every_table_has_row_level_security_and_four_policies(db: Connection) -> None:
    tables = db.execute(
        """
        select c.relname, c.relrowsecurity, (
          select string_agg(lower(p.cmd), ' ' order by p.cmd) from pg_catalog.pg_policies as p
          where p.schemaname = 'public' and p.tablename = c.relname
        )
        from pg_catalog.pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
        """
    ).fetchall()
    assert set(tables) == {(table, True, "delete insert select update") for table in TABLES}


def test_nothing_in_public_bypasses_row_level_security(db: Connection) -> None:
    """A view, a materialized or a foreign table, or a definer function would answer with its owner's rights."""
    relations = db.execute(
        "select relname from pg_catalog.pg_class "
        "where relnamespace = 'public'::regnamespace and relkind in ('v', 'm', 'f')"
    ).fetchall()
    definers = db.execute(
        "select proname from pg_catalog.pg_proc where pronamespace = 'public'::regnamespace and prosecdef"
    ).fetchall()
    assert relations == []
    assert definers == []
