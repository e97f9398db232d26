"""The optional partitions: rows, rights, triggers and all calls of the service are as before.

The stack is the module's own: what the tests look at is how its tables were before and how they are after that.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege, UniqueViolation

from scripts.calls.__main__ import record
from scripts.calls.recorder import sign_up
from scripts.calls.replay import broken
from scripts.calls.tape import Recording
from scripts.local_supabase import LocalSupabase
from tests.database.tables import plant
from tests.support.callers import ANON, Caller, Connection, acting, new_conversation, new_user, one, rpc
from tests.support.documented import block
from tests.support.partitions import SCRIPT, SHAPE, divide, shape
from tests.support.sources import ROOT
from tests.support.turn_functions import answered

pytestmark = pytest.mark.stack


class Divided(NamedTuple):
    stack: LocalSupabase
    before: dict[str, list[tuple[Any, ...]]]
    after: dict[str, list[tuple[Any, ...]]]
    rows: list[tuple[Any, ...]]
    session: Connection
    """It had begun turns before."""
    owner: Caller
    conversation: uuid.UUID


def content(db: Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "select to_jsonb(m)::text from public.messages as m union all "
        "select to_jsonb(e)::text from public.embeddings as e order by 1"
    ).fetchall()


@pytest.fixture(scope="module")
def divided() -> Iterator[Divided]:
    with LocalSupabase.throwaway() as stack, psycopg.connect(stack.database_url, autocommit=True) as db:
        db.execute("update private.settings set require_premium = false")
        owner = new_user(db)
        conversation = new_conversation(db, owner)
        for said in ("one", "two"):
            answered(db, owner, conversation, said, f"answer to {said}")
        for _ in range(3):
            plant(db, new_user(db))
        before, rows = shape(db), content(db)
        said = divide(stack.database_url)
        assert [line for line in said if line.endswith("64 partitions") or "16 partitions after" in line]
        yield Divided(stack, before, shape(db), rows, db, owner, conversation)


@pytest.fixture
def db(divided: Divided) -> Iterator[Connection]:
    with psycopg.connect(divided.stack.database_url) as opened:
        # the tour of all calls has set it
        opened.execute("update private.settings set require_premium = false")
        yield opened
        opened.rollback()


@pytest.mark.parametrize("what", SHAPE)
def test_all_but_the_keys_is_as_before(divided: Divided, what: str) -> None:
    assert divided.after[what] == divided.before[what]


def test_rows_are_all_there(divided: Divided, db: Connection) -> None:
    assert len(divided.rows) > 8
    assert content(db)[: len(divided.rows)] == divided.rows


def test_session_from_before_goes_on(divided: Divided) -> None:
    """It has plans and row types of tables that are gone."""
    reply = answered(divided.session, divided.owner, divided.conversation, "three", "answer to three")
    assert [message["content"] for message in reply["history"]] == ["one", "answer to one", "two", "answer to two"]
    positions = divided.session.execute(
        "select position from public.messages where conversation_id = %s order by created_at, position",
        [divided.conversation],
    ).fetchall()
    assert positions == sorted(positions)
    assert (
        one(divided.session, "select message_count from public.conversations where id = %s", [divided.conversation])
        == 6
    )


async def test_every_call_of_the_service_is_answered(divided: Divided) -> None:
    recording = Recording("divided", await record(divided.stack, sign_up(divided.stack)))
    assert list(broken(recording.calls, divided.stack, sign_up(divided.stack))) == []


def test_turn_is_told_on_realtime(db: Connection) -> None:
    owner = new_user(db)
    conversation = new_conversation(db, owner)
    answered(db, owner, conversation, "Hello", "An answer")
    told = db.execute(
        "select event from realtime.messages where topic = %s", [f"conversation:{conversation}"]
    ).fetchall()
    assert {"message.created", "message.started", "message.completed"} <= {event for (event,) in told}


def test_owner_is_gone_with_everything(db: Connection) -> None:
    owner, other = new_user(db), new_user(db)
    for user in (owner, other):
        answered(db, user, new_conversation(db, user), "Hello", "An answer")
        plant(db, user)
    db.execute("delete from auth.users where id = %s", [owner.id])
    for table in ("public.messages", "public.embeddings", "private.searched_texts"):
        counted = "select count(*) filter (where user_id = %s), count(*) filter (where user_id = %s) > 0 from "
        assert db.execute((counted + table).encode(), [owner.id, other.id]).fetchall() == [(0, True)]


def test_long_text_is_found_by_its_owner(db: Connection) -> None:
    owner = new_user(db)
    answered(db, owner, new_conversation(db, owner), "Hello", "word " * 5000)
    assert db.execute("select user_id from private.long_texts").fetchall() == [(owner.id,)]
    db.execute("delete from public.conversations where user_id = %s", [owner.id])
    assert one(db, "select count(*) from private.long_texts") == 0


def test_id_of_another_users_message_is_taken(divided: Divided, db: Connection) -> None:
    """The key has the owner in it, and the journal finds replies by their id alone."""
    taken = one(
        db,
        "select id from public.messages where conversation_id = %s and role = 'assistant' limit 1",
        [divided.conversation],
    )
    for _ in range(16):  # owners of many partitions
        stranger = new_user(db)
        conversation = new_conversation(db, stranger)
        with pytest.raises(UniqueViolation), acting(db, stranger):
            rpc(
                db,
                "begin_turn",
                p_writer=stranger.id,
                p_reply_id=taken,
                p_conversation_id=conversation,
                p_content="Mine",
            )


def test_partitions_are_behind_their_table(divided: Divided, db: Connection) -> None:
    parts = db.execute(
        "select i.inhrelid::regclass::text, c.relrowsecurity and c.relforcerowsecurity from pg_inherits as i "
        "join pg_class as c on c.oid = i.inhrelid and c.relkind = 'r' "
        "where i.inhparent in ('public.messages'::regclass, 'public.embeddings'::regclass)"
    ).fetchall()
    assert len(parts) == 80
    assert {(name.split(".")[0], secured) for name, secured in parts} == {("private", True)}
    for caller in (divided.owner, ANON, Caller("service_role")):
        with pytest.raises(InsufficientPrivilege), acting(db, caller):
            db.execute("select from private.messages_00")
    stranger = new_user(db)
    with acting(db, stranger):
        assert db.execute("select from public.messages").fetchall() == []
        assert rpc(db, "read_branch", p_conversation_id=divided.conversation) is None


# ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
def test_search_reads_the_partition_of_its_owner_alone(divided: Divided, db: Connection, mode: str) -> None:
    owner = new_user(db)
    plant(db, owner)
    db.execute("select set_config('plan_cache_mode', %s, true)", [mode])
    db.execute(
        "prepare ranked (uuid, extensions.vector) as select id from public.embeddings as e "
        "where e.user_id = $1 and e.embedding_model = 'local' order by e.embedding operator(extensions.<=>) $2 limit 5"
    )
    with acting(db, owner):
        [query] = db.execute("select embedding::text from public.embeddings").fetchall()
        plan = "\n".join(
            row[0]
            for row in db.execute(f"explain (analyze, costs off) execute ranked('{owner.id}', '{query[0]}')").fetchall()
        )
    assert len(set(re.findall(r"embeddings_\d\d", plan))) == 1, plan


def test_calls_are_not_planned_anew_each_time(divided: Divided, db: Connection) -> None:
    """Planning over all parts took 30 ms for a page of 40 messages. A function that is replaced loses its setting, and
    has it again after the next run."""
    unset = (
        "select proname from pg_proc where pronamespace in ('public'::regnamespace, 'private'::regnamespace) "
        "and prosrc ~ 'public[.](messages|embeddings)' "
        "and not coalesce(proconfig, '{}') @> '{plan_cache_mode=force_generic_plan}'"
    )
    assert db.execute(unset).fetchall() == []
    with psycopg.connect(divided.stack.database_url, autocommit=True) as owner:
        owner.execute("alter function private.leaf(uuid) reset plan_cache_mode")
        assert owner.execute(unset).fetchall() == [("leaf",)]
        divide(divided.stack.database_url)
        assert owner.execute(unset).fetchall() == []


def test_plan_follows_the_size_of_the_partition(divided: Divided) -> None:
    """Not that of the table, which has none, nor that of others' partitions."""
    with psycopg.connect(divided.stack.superuser_url) as db:
        owner = new_user(db)
        plant(db, owner)
        [(home, model)] = db.execute(
            "select tableoid, embedding_model from public.embeddings where user_id = %s", [owner.id]
        ).fetchall()
        db.execute("update private.passage_counts set passages = 5000, in_index = 5000 where user_id = %s", [owner.id])
        preferred = {}
        for rows in (20_000, 10_000_000):
            db.execute("reset role")
            db.execute(
                "update pg_class set reltuples = %s where oid in (select indexrelid from pg_index where indrelid = %s) "
                "and relam = (select oid from pg_am where amname = 'hnsw')",
                [rows, home],
            )
            with acting(db, owner):
                preferred[rows] = one(db, "select private.prefers_index(%s, %s, 5)", [owner.id, model])
        db.rollback()
    assert preferred == {20_000: True, 10_000_000: False}


def test_running_it_again_changes_nothing(divided: Divided, db: Connection) -> None:
    said = divide(divided.stack.database_url)
    assert [line for line in said if line.endswith("partitions already")] == [
        "public.messages has partitions already",
        "public.embeddings has partitions already",
    ]
    assert not [line for line in said if "copied" in line]
    assert shape(db) == divided.after


def test_documented_file_is_the_one_that_is_tested() -> None:
    assert f"-f {SCRIPT.relative_to(ROOT)}" in block("docs/scaling.md", "supabase/optional/partitions.sql").text
