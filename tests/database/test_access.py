"""What each kind of caller may do with each table, grants and policies together."""

from __future__ import annotations

from typing import Literal

import pytest
from psycopg.errors import InsufficientPrivilege

from tests.database.tables import CHANGES, COMMANDS, KEYS, NEW_ROWS, TABLES, Command, Rows, make_room, plant
from tests.support.callers import ANON, NOBODY, SERVICE, Caller, Connection, acting

Reach = Literal["refused", "nothing", "the row"]

# What is granted to a signed-in user, on their own rows.
USERS: set[tuple[str, Command]] = {
    ("conversations", "select"),
    ("conversations", "insert"),
    ("conversations", "update"),
    ("conversations", "delete"),
    ("messages", "select"),
    ("documents", "select"),
    ("documents", "delete"),
    ("embeddings", "select"),
    ("entitlements", "select"),
    ("user_settings", "select"),
    ("user_settings", "insert"),
    ("user_settings", "update"),
    ("user_settings", "delete"),
}

every_table = pytest.mark.parametrize("table", TABLES)
every_command = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def mine(db: Connection, owner: Caller) -> Rows:
    return plant(db, owner)


@pytest.fixture
def theirs(db: Connection, stranger: Caller) -> Rows:
    return plant(db, stranger)


def reach(db: Connection, caller: Caller, table: str, command: Command, target: Rows) -> Reach:
    """How far the caller gets with the target's row, or with a new row for the target."""
    statements = {
        "select": f"select from public.{table} where {KEYS[table]} = %(key)s",
        "insert": NEW_ROWS[table],
        "update": f"update public.{table} set {CHANGES[table]} where {KEYS[table]} = %(key)s",
        "delete": f"delete from public.{table} where {KEYS[table]} = %(key)s",
    }
    if command == "insert":
        make_room(db, target.user)
    try:
        with acting(db, caller):
            touched = db.execute(statements[command], {**target.values, "key": target.keys[table]}).rowcount
    except InsufficientPrivilege:
        return "refused"
    return "the row" if touched else "nothing"


@every_command
@every_table
def test_owner(db: Connection, mine: Rows, table: str, command: Command) -> None:
    assert reach(db, mine.user, table, command, mine) == ("the row" if (table, command) in USERS else "refused")


@pytest.mark.parametrize("command", ["select", "update", "delete"])
@every_table
def test_stranger(db: Connection, mine: Rows, theirs: Rows, table: str, command: Command) -> None:
    assert reach(db, theirs.user, table, command, mine) == ("nothing" if (table, command) in USERS else "refused")


@every_table
def test_stranger_makes_no_row_for_another(db: Connection, mine: Rows, theirs: Rows, table: str) -> None:
    assert reach(db, theirs.user, table, "insert", mine) == "refused"


def test_the_owner_of_a_new_conversation_need_not_be_named(db: Connection, mine: Rows) -> None:
    with acting(db, mine.user):
        row = db.execute("insert into public.conversations (title) values ('new') returning user_id").fetchone()
    assert row is not None
    assert row[0] == mine.user.id


@every_command
@every_table
def test_anonymous(db: Connection, mine: Rows, table: str, command: Command) -> None:
    assert reach(db, ANON, table, command, mine) == "refused"


@every_command
@every_table
def test_token_that_names_no_user(db: Connection, mine: Rows, table: str, command: Command) -> None:
    readable = (table, command) in USERS and command != "insert"
    assert reach(db, NOBODY, table, command, mine) == ("nothing" if readable else "refused")


@every_command
@every_table
def test_service(db: Connection, mine: Rows, table: str, command: Command) -> None:
    assert reach(db, SERVICE, table, command, mine) == "the row"


def test_counts_of_passages_are_read_by_their_owner(db: Connection, mine: Rows, theirs: Rows) -> None:
    """What a search chooses its plan by; a stranger's would tell how much they have."""
    for caller, seen in ((mine.user, [mine.user.id]), (theirs.user, [theirs.user.id]), (NOBODY, [])):
        with acting(db, caller):
            assert [row[0] for row in db.execute("select user_id from private.passage_counts").fetchall()] == seen


@pytest.mark.parametrize("column", ["id", "user_id", "position", "created_at", "updated_at"])
def test_owner_changes_no_other_column_of_a_conversation(db: Connection, mine: Rows, column: str) -> None:
    with pytest.raises(InsufficientPrivilege), acting(db, mine.user):
        db.execute(f"update public.conversations set {column} = default where id = %(conversations)s", mine.keys)


@pytest.mark.parametrize("column", ["position", "created_at", "updated_at"])
def test_owner_sets_no_other_column_of_a_new_conversation(db: Connection, mine: Rows, column: str) -> None:
    with pytest.raises(InsufficientPrivilege), acting(db, mine.user):
        db.execute(f"insert into public.conversations ({column}) values (default)")
