"""What no caller can write, not even the service, and the times that rows carry."""

from __future__ import annotations

from uuid import UUID

import psycopg
import pytest
from psycopg.errors import CheckViolation, ForeignKeyViolation, GeneratedAlways, UniqueViolation

from tests.database.tables import CHANGES, KEYS, plant
from tests.support.callers import SERVICE, Caller, Connection, acting, new_conversation, one, vector
from tests.support.turn_functions import answered, expire, final, finish, journal, piece, recover, regenerate, send

MESSAGE = "insert into public.messages (conversation_id, user_id, role) values (%s, %s, 'user')"


@pytest.fixture
def conversation(db: Connection, owner: Caller) -> UUID:
    return new_conversation(db, owner)


# ── whose rows belong together ───────────────────────────────────────────────────────────────────────────────────


def test_message_has_the_owner_of_its_conversation(
    db: Connection, owner: Caller, stranger: Caller, conversation: UUID
) -> None:
    with acting(db, SERVICE):
        db.execute(MESSAGE, [conversation, owner.id])
    with pytest.raises(ForeignKeyViolation), acting(db, SERVICE):
        db.execute(MESSAGE, [conversation, stranger.id])
    with pytest.raises(ForeignKeyViolation), acting(db, SERVICE):
        db.execute("update public.messages set user_id = %s where user_id = %s", [stranger.id, owner.id])


def test_message_cannot_move_to_another_user_s_conversation(
    db: Connection, stranger: Caller, owner: Caller, conversation: UUID
) -> None:
    elsewhere = new_conversation(db, stranger)
    db.execute(MESSAGE, [conversation, owner.id])
    with pytest.raises(ForeignKeyViolation), acting(db, SERVICE):
        db.execute("update public.messages set conversation_id = %s where user_id = %s", [elsewhere, owner.id])


def test_conversation_with_messages_cannot_change_hands(
    db: Connection, owner: Caller, stranger: Caller, conversation: UUID
) -> None:
    db.execute(MESSAGE, [conversation, owner.id])
    with pytest.raises(ForeignKeyViolation), acting(db, SERVICE):
        db.execute("update public.conversations set user_id = %s where id = %s", [stranger.id, conversation])


def test_passage_has_the_owner_of_its_document(db: Connection, owner: Caller, stranger: Caller) -> None:
    document = plant(db, owner).keys["documents"]
    insert = (
        "insert into public.embeddings (document_id, user_id, passage, content, embedding, embedding_model) "
        "values (%s, %s, 2, 'x', %s, 'model')"
    )
    with pytest.raises(ForeignKeyViolation), acting(db, SERVICE):
        db.execute(insert, [document, stranger.id, vector(1)])
    with acting(db, SERVICE):
        db.execute(insert, [document, owner.id, vector(1)])


# ── values ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "change",
    [
        "role = 'tool'",
        "status = 'done'",
        "role = 'user', status = 'streaming'",
        "role = 'user', parent_id = id",
        "version = 0",
        "seq = -1",
        "sources = '{}'",
        "prompt_tokens = -1",
        "content = repeat('x', 1000001)",
    ],
)
def test_message_holds_only_what_it_may(db: Connection, owner: Caller, conversation: UUID, change: str) -> None:
    answered(db, owner, conversation, "Hello", "Hi")
    with pytest.raises(CheckViolation), acting(db, SERVICE):
        db.execute(f"update public.messages set {change} where user_id = %s", [owner.id])


def test_two_replies_cannot_be_the_same_version(db: Connection, owner: Caller, conversation: UUID) -> None:
    first = answered(db, owner, conversation, "Hello", "Hi")["message"]["id"]
    second = regenerate(db, owner, first)["message"]["id"]
    with pytest.raises(UniqueViolation), acting(db, SERVICE):
        db.execute("update public.messages set version = 1 where id = %s", [second])


@pytest.mark.parametrize("table", ["conversations", "messages", "documents"])
def test_position_is_the_database_s(db: Connection, owner: Caller, table: str) -> None:
    rows = plant(db, owner)
    with pytest.raises(GeneratedAlways), acting(db, SERVICE):
        db.execute(f"update public.{table} set position = 1 where id = %s", [rows.keys[table]])


@pytest.mark.parametrize(
    ("column", "value", "most"),
    [("title", "", 200), ("title", "x" * 201, 200), ("model", "", 100), ("model", "x" * 101, 100)],
)
def test_conversation_s_words_are_bounded(
    db: Connection, owner: Caller, conversation: UUID, column: str, value: str, most: int
) -> None:
    words = f"invalid_request\n.*{column}: expected 1 to {most} characters"
    with pytest.raises(psycopg.DatabaseError, match=words), acting(db, owner):
        db.execute(f"update public.conversations set {column} = %s where id = %s", [value, conversation])


# ── times ────────────────────────────────────────────────────────────────────────────────────────────────────────


def is_now(db: Connection, table: str, key: object) -> bool:
    """Whether the row says it was updated in this transaction."""
    now: bool = one(db, f"select updated_at = now() from public.{table} where {KEYS[table]} = %s", [key])
    return now


@pytest.mark.parametrize("table", ["conversations", "documents", "entitlements"])
def test_updated_at_follows_every_change(db: Connection, owner: Caller, table: str) -> None:
    key = plant(db, owner).keys[table]
    db.execute(f"alter table public.{table} disable trigger user")
    db.execute(f"update public.{table} set updated_at = now() - interval '1 day' where {KEYS[table]} = %s", [key])
    db.execute(f"alter table public.{table} enable trigger user")
    assert not is_now(db, table, key)
    with acting(db, SERVICE):
        db.execute(f"update public.{table} set {CHANGES[table]} where {KEYS[table]} = %s", [key])
    assert is_now(db, table, key)


@pytest.mark.parametrize("step", ["journal", "finish", "recover"])
def test_updated_at_follows_every_step_of_a_reply(db: Connection, owner: Caller, conversation: UUID, step: str) -> None:
    reply = send(db, owner, conversation)["message"]["id"]
    db.execute("update public.messages set updated_at = now() - interval '1 day' where id = %s", [reply])
    if step == "journal":
        journal(db, piece(reply, 1, "Hi"))
    elif step == "finish":
        finish(db, final(reply, "Hi"))
    else:
        expire(db, reply)
        recover(db)
    assert is_now(db, "messages", reply)
