"""Tables that were divided at an earlier release take the migrations of this one.

Run by `make test-partitions`, whose stack was divided after all migrations: that is how the tables have to become.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest
from psycopg.errors import LockNotAvailable

from scripts.local_supabase import LocalSupabase, StackError
from scripts.local_supabase.migrations import applied, migrate
from scripts.push_divided import push, read
from tests.database.tables import plant
from tests.support.callers import new_conversation, new_user
from tests.support.partitions import SHAPE, divide, shape
from tests.support.sources import ROOT
from tests.support.turn_functions import answered

with_partitions = pytest.mark.skipif(
    "PARLEY_TEST_PARTITIONS" not in os.environ, reason="make test-partitions: the CLI is run a dozen times"
)
MIGRATIONS = sorted((ROOT / "supabase" / "migrations").glob("*.sql"))
DIVIDED_BEFORE = "20261129160000"
"""It makes an index of messages, and those after it make and drop others."""
INDEXES = [path for path in MIGRATIONS if path.name >= DIVIDED_BEFORE and " concurrently " in path.read_text()]
INDEXES_OF_PARTS = """
    select p.relname, regexp_replace(pg_get_indexdef(i.indexrelid), 'INDEX \\S+', 'INDEX'), i.indisvalid,
      exists (select from pg_inherits as h where h.inhrelid = i.indexrelid)
    from pg_index as i
    join pg_class as p on p.oid = i.indrelid
    where p.relnamespace = 'private'::regnamespace and p.relname ~ '^(messages|embeddings)_[0-9]{2}$'
    order by 1, 2
"""


class Pushed(NamedTuple):
    url: str
    refusal: str
    """What is said by `supabase db push`."""


@pytest.fixture(scope="module")
def pushed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pushed]:
    older = tmp_path_factory.mktemp("older") / "supabase"
    (older / "migrations").mkdir(parents=True)
    shutil.copy(ROOT / "supabase" / "config.toml", older)
    for path in MIGRATIONS:
        if path.name < DIVIDED_BEFORE:
            shutil.copy(path, older / "migrations")
    with LocalSupabase.throwaway(workdir=older.parent) as stack:
        url = f"{stack.database_url}?sslmode=disable"
        with psycopg.connect(url, autocommit=True) as db:
            plant(db, new_user(db))
        divide(url)
        with pytest.raises(StackError) as refused:
            migrate(stack.database_url)
        # what an interrupted run leaves: the index of one part, and half of another's
        with psycopg.connect(stack.superuser_url) as db:
            db.execute("set local role postgres")
            for part in ("00", "01"):
                db.execute(
                    f"create index messages_first_idx_{part} on private.messages_{part} (conversation_id, user_id) "
                    "where parent_id is null".encode()
                )
            db.execute("reset role")
            db.execute(
                "update pg_index set indisvalid = false where indexrelid = 'private.messages_first_idx_01'::regclass"
            )
        with psycopg.connect(url) as reading:
            # of this part nothing has to be cleaned away, which would wait for whoever reads
            reading.execute("select from private.messages_02")
            with pytest.raises(LockNotAvailable):  # an index of the table is not dropped under them
                push(url)
        # and of one that did what it had not recorded yet
        with psycopg.connect(url) as db:
            db.execute("drop index public.messages_beginnings_idx")
            db.execute("delete from supabase_migrations.schema_migrations where version = %s", [DIVIDED_BEFORE])
        push(url)
        divide(url)
        yield Pushed(url, str(refused.value))


@with_partitions
def test_cli_stops_at_the_first_index(pushed: Pushed) -> None:
    assert 'cannot create index on partitioned table "messages" concurrently' in pushed.refusal
    assert DIVIDED_BEFORE in pushed.refusal


@with_partitions
def test_all_migrations_are_applied(pushed: Pushed) -> None:
    assert applied(pushed.url) == {path.name.partition("_")[0] for path in MIGRATIONS}


@with_partitions
@pytest.mark.parametrize("what", SHAPE)
def test_tables_are_as_those_divided_afterwards(pushed: Pushed, stack: LocalSupabase, what: str) -> None:
    with psycopg.connect(pushed.url) as before, psycopg.connect(stack.database_url) as afterwards:
        assert shape(before)[what] == shape(afterwards)[what]


@with_partitions
def test_each_part_has_each_index_once_and_finished(pushed: Pushed, stack: LocalSupabase) -> None:
    with psycopg.connect(pushed.url) as before, psycopg.connect(stack.database_url) as afterwards:
        indexes = before.execute(INDEXES_OF_PARTS).fetchall()
        assert indexes == afterwards.execute(INDEXES_OF_PARTS).fetchall()
    assert {index[2:] for index in indexes} == {(True, True)}


@with_partitions
def test_turns_go_on(pushed: Pushed) -> None:
    with psycopg.connect(pushed.url) as db:
        db.execute("update private.settings set require_premium = false")
        owner = new_user(db)
        conversation = new_conversation(db, owner)
        answered(db, owner, conversation, "one", "answer to one")
        reply = answered(db, owner, conversation, "two", "answer to two")
        db.rollback()
    assert [message["content"] for message in reply["history"]] == ["one", "answer to one"]


@pytest.mark.parametrize("path", INDEXES, ids=lambda path: path.stem)
def test_each_index_that_is_made_or_dropped_concurrently_is_read(path: Path) -> None:
    assert read(path.read_text()) is not None, f"{path.name}: write it in a form that scripts/push_divided.py reads"
