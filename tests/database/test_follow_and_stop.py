"""read_reply and stop_reply: what an owner may do with a reply that another replica writes."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.support.callers import ANON, NOBODY, SERVICE, Caller, Connection, acting, new_conversation, one, rpc
from tests.support.turn_functions import Answer, final, finish, journal, piece, row, send

TEXT = "a\u00e9\U0001f642z"


@pytest.fixture
def begun(db: Connection, owner: Caller) -> Answer:
    """A turn whose reply has four code points so far."""
    answer = send(db, owner, new_conversation(db, owner))
    journal(db, piece(answer["message"]["id"], 1, TEXT))
    return answer


def read(db: Connection, caller: Caller, message: str | UUID, after: int = 0) -> Any:
    with acting(db, caller):
        return rpc(db, "read_reply", p_message_id=message, p_after=after)


def stop(db: Connection, caller: Caller, message: str | UUID) -> Any:
    with acting(db, caller):
        return rpc(db, "stop_reply", p_message_id=message)


def asked_to_stop(db: Connection, reply: str) -> bool:
    asked: bool = one(db, "select stop_requested from private.live_replies where message_id = %s", [reply])
    return asked


@pytest.mark.parametrize("after", range(6))
def test_read_counts_code_points(db: Connection, owner: Caller, begun: Answer, after: int) -> None:
    reply = begun["message"]["id"]
    expected = row(db, reply)
    assert (expected.pop("content"), expected.pop("reasoning")) == (TEXT, "")
    part = {"text": TEXT[after:], "message": expected, "length": None, "reasoning": "", "reasoned": None}
    assert read(db, owner, reply, after) == part


@pytest.mark.parametrize("reasoned", range(6))
def test_reasoning_is_read_apart_from_the_text(db: Connection, owner: Caller, begun: Answer, reasoned: int) -> None:
    reply = begun["message"]["id"]
    journal(db, {**piece(reply, 2, ""), "reasoning": "Hä?"})
    journal(db, {**piece(reply, 3, "!"), "reasoning": " So"})
    with acting(db, owner):
        part = rpc(db, "read_reply", p_message_id=reply, p_after=4, p_reasoned=reasoned)
    assert (part["text"], part["reasoning"], part["reasoned"]) == (TEXT[4:] + "!", "Hä? So"[reasoned:], None)


def test_reasoning_is_kept_when_a_release_that_knows_none_ends_the_reply(
    db: Connection, owner: Caller, begun: Answer
) -> None:
    reply = begun["message"]["id"]
    journal(db, {**piece(reply, 2, ""), "reasoning": "Hm."})
    finish(db, final(reply, content=TEXT))
    assert (row(db, reply)["reasoning"], row(db, reply)["seq"]) == ("Hm.", 2)


def test_reasoning_that_is_taken_back_is_a_piece_for_devices(db: Connection, owner: Caller, begun: Answer) -> None:
    reply = begun["message"]["id"]
    journal(db, {**piece(reply, 2, ""), "reasoning": "Hm."})
    finish(db, final(reply, content=TEXT, reasoning="", status="filtered"))
    assert (row(db, reply)["reasoning"], row(db, reply)["seq"]) == ("", 3)


def test_read_finds_only_the_caller_s_replies(db: Connection, owner: Caller, stranger: Caller, begun: Answer) -> None:
    reply = begun["message"]["id"]
    assert read(db, stranger, reply) is None
    assert read(db, NOBODY, reply) is None
    assert read(db, owner, begun["user_message"]["id"]) is None
    assert read(db, owner, uuid.uuid4()) is None


def test_read_does_not_lean_on_row_level_security(db: Connection, stranger: Caller, begun: Answer) -> None:
    db.execute('alter policy "Owners read their messages" on public.messages using (true)')
    assert read(db, stranger, begun["message"]["id"]) is None


def test_stop_asks_the_writer(db: Connection, owner: Caller, begun: Answer) -> None:
    reply = begun["message"]["id"]
    for _ in range(2):
        assert stop(db, owner, reply) == row(db, reply)
    assert asked_to_stop(db, reply)
    assert row(db, reply)["status"] == "streaming"


def test_stop_of_a_finished_reply_returns_it(db: Connection, owner: Caller, begun: Answer) -> None:
    reply = begun["message"]["id"]
    finish(db, final(reply, "over"))
    assert stop(db, owner, reply) == row(db, reply)


def test_stop_finds_only_the_caller_s_replies(db: Connection, owner: Caller, stranger: Caller, begun: Answer) -> None:
    reply = begun["message"]["id"]
    for caller, message in (
        (stranger, reply),
        (NOBODY, reply),
        (owner, begun["user_message"]["id"]),
        (owner, uuid.uuid4()),
    ):
        with pytest.raises(psycopg.DatabaseError, match=r"^not_found\n") as refused:
            stop(db, caller, message)
        assert refused.value.sqlstate == "PT404"
    assert not asked_to_stop(db, reply)


@pytest.mark.parametrize("caller", [ANON, SERVICE], ids=lambda caller: caller.role)
def test_only_users_follow_and_stop(db: Connection, begun: Answer, caller: Caller) -> None:
    for call in (read, stop):
        with pytest.raises(InsufficientPrivilege):
            call(db, caller, begun["message"]["id"])
    with pytest.raises(InsufficientPrivilege), acting(db, caller):
        db.execute("select private.stop_reply(%s)", [begun["message"]["id"]])
