"""Whose rows an import writes: the ids of imported rows, and whom a message may follow."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.support.callers import SERVICE, Caller, Connection, acting, new_conversation, one
from tests.support.imports import Import, said
from tests.support.turn_functions import answered, branch, final, finish, send, switch, told


def imported(db: Connection, user: Caller, *source: str) -> UUID:
    """The id of what the user imports, which only the owner of the database can ask for."""
    found: UUID = one(db, "select private.imported_id(%s, variadic %s)", [user.id, list(source)])
    return found


def contents(db: Connection, user: Caller, conversation: UUID) -> list[str]:
    return [message["content"] for message in branch(db, user, conversation)]


def test_ids_of_imported_rows_depend_on_a_secret(db: Connection, owner: Caller) -> None:
    before = imported(db, owner, "message", "X", "m1")
    assert imported(db, owner, "message", "X", "m1") == before
    db.execute("update private.import_secret set secret = gen_random_uuid()")
    assert imported(db, owner, "message", "X", "m1") != before


@pytest.mark.parametrize("role", ["anon", "authenticated", "service_role"])
def test_nobody_reads_the_secret(db: Connection, owner: Caller, role: Any) -> None:
    for asked in ("select secret from private.import_secret", "select private.imported_id(null, 'message')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(db, Caller(role, owner.id)):
            db.execute(asked)


def test_message_of_another_user_is_never_part_of_an_import(db: Connection, owner: Caller, stranger: Caller) -> None:
    """Even of one who knows what id a message of the file will have, and has taken it."""
    bait = new_conversation(db, stranger)
    taken = imported(db, owner, "message", "X", "m1")
    begun = send(db, stranger, bait, "bait", p_reply_id=taken)
    finish(db, final(begun["message"]["id"], "text of a stranger"))
    with pytest.raises(psycopg.errors.UniqueViolation):
        Import(db, owner, "X", "r1").write(said("m1"), said("r1", "m1", "assistant"))
    switch(db, stranger, bait, taken)
    assert contents(db, stranger, bait) == ["bait", "text of a stranger"]


def test_message_follows_one_of_its_own_conversation(db: Connection, owner: Caller, stranger: Caller) -> None:
    own, foreign = new_conversation(db, owner), new_conversation(db, stranger)
    begun, other = answered(db, owner, own, "one", "two"), answered(db, stranger, foreign, "three", "four")
    insert = (
        "insert into public.messages (conversation_id, user_id, role, content, parent_id) "
        "values (%s, %s, 'user', 'five', %s)"
    )
    with pytest.raises(psycopg.Error, match="invalid_request"), acting(db, SERVICE):
        db.execute(insert, [own, owner.id, other["message"]["id"]])
    with pytest.raises(psycopg.Error, match="invalid_request"), acting(db, SERVICE):
        db.execute(
            "update public.messages set parent_id = %s where id = %s",
            [other["message"]["id"], begun["user_message"]["id"]],
        )
    with acting(db, SERVICE):
        db.execute(insert, [own, owner.id, begun["message"]["id"]])
    assert contents(db, owner, own) == ["one", "two", "five"]


def test_ids_of_a_file_that_read_the_same_when_joined_are_two_messages(db: Connection, owner: Caller) -> None:
    assert Import(db, owner, "a b", "c").write(said("c")) == 1
    assert Import(db, owner, "a", "b c").write(said("b c")) == 1
    assert contents(db, owner, imported(db, owner, "conversation", "a b")) == ["content of c"]
    assert contents(db, owner, imported(db, owner, "conversation", "a")) == ["content of b c"]


def test_what_is_sent_during_an_import_stays_shown(db: Connection, owner: Caller) -> None:
    file = Import(db, owner, "S", "u2")
    file.write(said("u1"), said("r1", "u1", "assistant"), said("r1b", "u1", "assistant"), last=False)
    conversation = imported(db, owner, "conversation", "S")
    answered(db, owner, conversation, "sent meanwhile", "answered meanwhile")
    shown = told(db, conversation)["head_id"]
    assert file.write(said("u2", "r1")) == 1
    assert told(db, conversation)["head_id"] == shown
    assert contents(db, owner, conversation)[-2:] == ["sent meanwhile", "answered meanwhile"]


def test_nothing_sent_meanwhile_the_branch_of_the_file_is_shown(db: Connection, owner: Caller) -> None:
    file = Import(db, owner, "S", "u2")
    file.write(said("u1"), said("r1", "u1", "assistant"), said("r1b", "u1", "assistant"), last=False)
    file.write(said("u2", "r1"), said("u3", "r1b"))
    conversation = imported(db, owner, "conversation", "S")
    assert contents(db, owner, conversation) == [f"content of {id}" for id in ("u1", "r1", "u2")]
