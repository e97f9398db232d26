"""What a deletion takes with it, and that a slow one holds up nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.database.tables import plant
from tests.support.callers import Caller, Connection, acting, new_conversation, new_user, one
from tests.support.turn_functions import answered, expire, final, finish, journal, piece, recover, regenerate, row, send

# Where anything of a user is kept.
PLACES = (
    "public.conversations",
    "public.messages",
    "public.documents",
    "public.embeddings",
    "public.entitlements",
    "private.live_replies",
    "private.idempotency_keys",
    "private.index_jobs",
    "private.passage_counts",
    "private.meters",
    "private.stored",
    "private.searched_texts",
    "private.carried_costs",
    "private.imports",
    "private.chats",
    "private.chat_messages",
    "private.personal_keys",
    "public.user_settings",
)
# Where what was used is kept: without text, and with nobody's name once the user is gone.
ACCOUNTS = {"private.reservations", "private.usage_ledger", "private.moderation_audit"}


def kept(db: Connection, user: Caller) -> dict[str, int]:
    """How many rows of the user each table holds, where there are any."""
    counts = {place: one(db, f"select count(*) from {place} where user_id = %s", [user.id]) for place in PLACES}
    return {place: count for place, count in counts.items() if count}


def converse(db: Connection, user: Caller) -> UUID:
    """A conversation with a finished turn, a second version of it, and a live one."""
    conversation = new_conversation(db, user)
    first = answered(db, user, conversation, "one", "first")
    regenerate(db, user, first["message"]["id"])
    send(db, user, conversation, "two", p_idempotency_key="k")
    return conversation


def test_owner_deletes_a_conversation_whole(db: Connection, owner: Caller, stranger: Caller) -> None:
    conversation = converse(db, owner)
    converse(db, stranger)
    before = kept(db, stranger)
    assert kept(db, owner) == before
    with acting(db, owner):
        db.execute("delete from public.conversations where id = %s", [conversation])
    # or deleting would be a way around the limit
    assert kept(db, owner) == {"private.meters": 1, "private.stored": 2}
    assert one(db, "select sum(amount) from private.stored where user_id = %s", [owner.id]) == 0
    assert kept(db, stranger) == before


def test_owner_deletes_a_document_with_its_passages(db: Connection, owner: Caller) -> None:
    rows = plant(db, owner)
    with acting(db, owner):
        db.execute("delete from public.documents where id = %(documents)s", rows.keys)
    assert "public.embeddings" not in kept(db, owner)


def test_deleted_user_leaves_nothing(db: Connection, owner: Caller) -> None:
    document = plant(db, owner).keys["documents"]
    db.execute(
        "insert into private.index_jobs (document_id, user_id, revision) values (%s, %s, 1)", [document, owner.id]
    )
    db.execute("insert into private.carried_costs (user_id, month, cost_micro_usd) values (%s, now(), 1)", [owner.id])
    db.execute("insert into private.imports (user_id, conversations) values (%s, 1)", [owner.id])
    db.execute(
        "insert into private.personal_keys (user_id, name, hash, hint) "
        "values (%s, 'notebook', sha256('a key'), 'parley_aB3d')",
        [owner.id],
    )
    converse(db, owner)
    with acting(db, owner):
        db.execute(
            "select public.begin_chat_turn(gen_random_uuid(), 'chat', p_message_id => 'one', p_content => 'three')"
        )
    assert set(kept(db, owner)) == set(PLACES)
    db.execute("delete from auth.users where id = %s", [owner.id])
    assert kept(db, owner) == {}


def test_key_of_a_deleted_turn_is_free(db: Connection, owner: Caller) -> None:
    conversation = converse(db, owner)
    db.execute("delete from public.conversations where id = %s", [conversation])
    assert not send(db, owner, new_conversation(db, owner), p_idempotency_key="k")["replayed"]


def test_every_table_with_an_owner_is_here(db: Connection) -> None:
    tables = db.execute(
        "select table_schema || '.' || table_name from information_schema.columns "
        "where table_schema in ('public', 'private') and column_name = 'user_id'"
    ).fetchall()
    assert {name for (name,) in tables} == {*PLACES, *ACCOUNTS}


# ── beside a deletion that takes its time ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def other(connection: Connection) -> Iterator[Caller]:
    """Somebody else whose reply is written by the same process."""
    created = new_user(connection)
    yield created
    connection.execute("delete from auth.users where id = %s", [created.id])


@pytest.fixture
def deleting(connection: Connection, stack: LocalSupabase, user: Caller) -> Iterator[str]:
    """A reply of `user` that lost its writer, and whose conversation is being deleted for as long as the test runs."""
    connection.execute("set lock_timeout = '200ms'")
    conversation = new_conversation(connection, user)
    reply = send(connection, user, conversation, p_idempotency_key="old")["message"]["id"]
    connection.execute(
        "update private.idempotency_keys set created_at = now() - interval '2 days' where user_id = %s", [user.id]
    )
    expire(connection, reply)
    with psycopg.connect(stack.database_url, autocommit=True) as slow, slow.transaction(force_rollback=True):
        with acting(slow, user):
            assert slow.execute("delete from public.conversations where id = %s", [conversation]).rowcount == 1
        yield reply
    connection.execute("reset lock_timeout")


def test_journal_goes_on_beside_a_deletion(connection: Connection, deleting: str, other: Caller) -> None:
    reply = send(connection, other, new_conversation(connection, other))["message"]["id"]
    answer = journal(connection, piece(deleting, 1, "void"), piece(reply, 1, "kept"))
    assert answer == {"stop": [], "gone": [deleting]}
    assert row(connection, reply)["content"] == "kept"


def test_replies_finish_beside_a_deletion(connection: Connection, deleting: str, other: Caller) -> None:
    reply = send(connection, other, new_conversation(connection, other))["message"]["id"]
    assert finish(connection, final(deleting, "void"), final(reply, "kept")) == [reply]
    assert row(connection, reply)["status"] == "complete"


def test_recovery_goes_on_beside_a_deletion(connection: Connection, deleting: str, other: Caller) -> None:
    reply = send(connection, other, new_conversation(connection, other))["message"]["id"]
    with connection.transaction(force_rollback=True):
        expire(connection, reply)
        assert reply in recover(connection)


def test_a_write_that_is_running_is_no_deletion(connection: Connection, stack: LocalSupabase, user: Caller) -> None:
    """A repeated call that meets its own first one must not hear that its replies are gone."""
    reply = send(connection, user, new_conversation(connection, user))["message"]["id"]
    with psycopg.connect(stack.database_url, autocommit=True) as first, first.transaction():
        assert journal(first, piece(reply, 1, "one")) == {"stop": [], "gone": []}  # and does not commit
        with connection.transaction(force_rollback=True):
            connection.execute("set local lock_timeout = '200ms'")
            # the lock that journal_write takes to begin with
            with pytest.raises(psycopg.errors.LockNotAvailable):
                journal(connection, piece(reply, 1, "one"))
    assert journal(connection, piece(reply, 1, "one")) == {"stop": [], "gone": []}
    assert row(connection, reply)["content"] == "one"
