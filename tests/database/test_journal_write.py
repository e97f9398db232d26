"""journal_write: text is appended once, leases are renewed, and only to replies that stream."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

import pytest

from tests.support.callers import Caller, Connection, acting, new_conversation, rpc
from tests.support.turn_functions import expire, final, finish, journal, live, piece, recover, row, send

NOTHING: dict[str, list[str]] = {"stop": [], "gone": []}


@pytest.fixture
def conversation(db: Connection, owner: Caller) -> UUID:
    return new_conversation(db, owner)


@pytest.fixture
def reply(db: Connection, owner: Caller, conversation: UUID) -> str:
    """A streaming reply without text."""
    reply_id: str = send(db, owner, conversation)["message"]["id"]
    return reply_id


def written(db: Connection, reply: str) -> tuple[Any, ...]:
    found = row(db, reply)
    return found["content"], found["seq"], found["provider"], found["model"]


def test_appends_pieces_in_order(db: Connection, reply: str) -> None:
    assert journal(db, piece(reply, 1, "Hel")) == NOTHING
    assert written(db, reply) == ("Hel", 1, "demo", "demo-1")
    assert journal(db, piece(reply, 2, "lo", provider="openai", model="gpt-5-mini")) == NOTHING
    assert written(db, reply) == ("Hello", 2, "openai", "gpt-5-mini")
    assert row(db, reply)["status"] == "streaming"


def test_text_is_kept_as_it_is(db: Connection, reply: str) -> None:
    text = "\u00e9\U0001f642 'quotes' \"double\" \\ \\n {json} \t\r\n  "
    journal(db, piece(reply, 1, text))
    assert written(db, reply)[0] == text


def test_sources_come_with_the_first_piece_and_outlive_the_writer(db: Connection, reply: str) -> None:
    sources = [{"id": "p", "document_id": "d", "title": "t", "similarity": 0.9, "excerpt": "e"}]
    journal(db, piece(reply, 1, "As [1] ", sources=sources))
    journal(db, piece(reply, 2, "says"))
    assert row(db, reply)["sources"] == sources
    expire(db, reply)
    recover(db)
    assert (row(db, reply)["status"], row(db, reply)["sources"]) == ("interrupted", sources)


def test_repeated_write_appends_nothing(db: Connection, reply: str) -> None:
    for _ in range(2):
        assert journal(db, piece(reply, 1, "one")) == NOTHING
    journal(db, piece(reply, 2, " two"))
    journal(db, piece(reply, 1, "one"))
    assert written(db, reply)[:2] == ("one two", 2)


def test_piece_after_a_gap_is_not_appended(db: Connection, reply: str) -> None:
    journal(db, piece(reply, 2, "two"))
    assert written(db, reply)[:2] == ("", 0)


def test_writes_many_replies_at_once(db: Connection, owner: Caller, stranger: Caller, conversation: UUID) -> None:
    replies = [send(db, owner, conversation)["message"]["id"] for _ in range(3)]
    replies.append(send(db, stranger, new_conversation(db, stranger))["message"]["id"])
    assert journal(db, *(piece(reply, 1, f"of {reply}") for reply in replies)) == NOTHING
    assert [written(db, reply)[0] for reply in replies] == [f"of {reply}" for reply in replies]


def test_renews_the_leases_it_is_told(db: Connection, owner: Caller, conversation: UUID) -> None:
    named, unnamed = (send(db, owner, conversation)["message"]["id"] for _ in range(2))
    for reply in (named, unnamed):
        expire(db, reply)
    assert journal(db, alive=[named]) == NOTHING
    leases = db.execute(
        "select message_id::text, extract(epoch from lease_expires_at - now())::integer "
        "from private.live_replies where user_id = %s",
        [owner.id],
    ).fetchall()
    assert dict(leases) == {named: 15, unnamed: -1}


def test_tells_which_to_stop_and_which_are_gone(db: Connection, owner: Caller, conversation: UUID) -> None:
    elsewhere = new_conversation(db, owner)
    kept, stopped = (send(db, owner, conversation)["message"]["id"] for _ in range(2))
    deleted = send(db, owner, elsewhere)["message"]["id"]
    never = str(uuid.uuid4())
    with acting(db, owner):
        rpc(db, "stop_reply", p_message_id=stopped)
    db.execute("delete from public.conversations where id = %s", [elsewhere])
    for _ in range(2):  # it says so again, should the answer be lost
        answer = journal(db, piece(stopped, 1, "a"), piece(deleted, 1, "b"), alive=[kept, stopped, deleted, never])
        assert (answer["stop"], set(answer["gone"])) == ([stopped], {deleted, never})
    assert written(db, stopped)[0] == "a"


@pytest.mark.parametrize("status", ["complete", "stopped", "failed", "interrupted", "filtered"])
def test_leaves_finished_replies_alone(db: Connection, reply: str, status: str) -> None:
    finish(db, final(reply, "over", status))
    before = row(db, reply)
    assert journal(db, piece(reply, before["seq"] + 1, " more")) == NOTHING
    assert row(db, reply) == before
    assert not live(db, reply)


def test_writer_that_was_taken_for_dead_is_not_told_to_end(db: Connection, reply: str) -> None:
    """What it still streams is stored when it finishes."""
    journal(db, piece(reply, 1, "one"))
    expire(db, reply)
    recover(db)
    assert journal(db, piece(reply, 2, " two")) == NOTHING
    assert (row(db, reply)["content"], row(db, reply)["status"]) == ("one", "interrupted")


def test_writes_no_user_message(db: Connection, owner: Caller, conversation: UUID) -> None:
    asked = send(db, owner, conversation)["user_message"]
    journal(db, piece(asked["id"], 1, "forged"))
    assert row(db, asked["id"]) == asked


def test_empty_write(db: Connection) -> None:
    assert journal(db) == NOTHING
