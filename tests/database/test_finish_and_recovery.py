"""finish_replies and recover_replies: how replies end, once and for all."""

from __future__ import annotations

import uuid
from uuid import UUID

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Caller, Connection, new_conversation, one
from tests.support.turn_functions import Answer, expire, final, finish, journal, live, piece, recover, row, send


@pytest.fixture
def conversation(db: Connection, owner: Caller) -> UUID:
    return new_conversation(db, owner)


@pytest.fixture
def reply(db: Connection, owner: Caller, conversation: UUID) -> str:
    """A streaming reply with some text."""
    reply_id: str = send(db, owner, conversation)["message"]["id"]
    journal(db, piece(reply_id, 1, "Hel"))
    return reply_id


FINAL: Answer = {
    "content": "Hello",
    "status": "complete",
    "finish_reason": "stop",
    "error_code": None,
    "provider": "openai",
    "model": "gpt-5-mini",
    "sources": [{"id": "p", "document_id": "d", "title": "t", "similarity": 0.9, "excerpt": "e"}],
    "prompt_tokens": 10,
    "completion_tokens": 2,
    "cached_tokens": 0,
}


def test_finish_writes_everything(db: Connection, reply: str) -> None:
    before = row(db, reply)
    assert finish(db, {"id": reply, **FINAL}) == [reply]
    after = row(db, reply)
    assert after == {**before, **FINAL, "tokens_used": 12, "seq": 2, "updated_at": after["updated_at"]}
    assert not live(db, reply)


def test_finish_without_new_text_counts_no_piece(db: Connection, reply: str) -> None:
    finish(db, final(reply, "Hel"))
    assert row(db, reply)["seq"] == 1


def test_finish_many(db: Connection, owner: Caller, conversation: UUID) -> None:
    replies = [send(db, owner, conversation)["message"]["id"] for _ in range(3)]
    statuses = ["complete", "stopped", "failed"]
    done = finish(db, *(final(reply, status, status) for reply, status in zip(replies, statuses, strict=True)))
    assert sorted(done) == sorted(replies)
    assert [row(db, reply)["status"] for reply in replies] == statuses
    assert [row(db, reply)["content"] for reply in replies] == statuses


def test_repeated_finish_changes_nothing_and_answers_the_same(db: Connection, reply: str) -> None:
    finish(db, {"id": reply, **FINAL})
    after = row(db, reply)
    assert finish(db, {"id": reply, **FINAL}) == [reply]
    assert row(db, reply) == after


@pytest.mark.parametrize("status", ["complete", "stopped", "failed", "filtered"])
def test_finished_reply_cannot_be_changed(db: Connection, reply: str, status: str) -> None:
    finish(db, final(reply, "over", status))
    after = row(db, reply)
    finish(db, final(reply, "forged", "complete"))
    assert row(db, reply) == after


def test_interrupted_reply_can_be_finished(db: Connection, reply: str) -> None:
    expire(db, reply)
    recover(db)
    assert row(db, reply)["status"] == "interrupted"
    finish(db, final(reply, "Hello"))
    assert (row(db, reply)["status"], row(db, reply)["content"]) == ("complete", "Hello")


def test_finish_leaves_out_what_was_deleted(db: Connection, owner: Caller, conversation: UUID, reply: str) -> None:
    elsewhere = send(db, owner, new_conversation(db, owner))["message"]["id"]
    db.execute("delete from public.conversations where id = %s", [conversation])
    assert finish(db, final(reply, "a"), final(elsewhere, "b"), final(str(uuid.uuid4()), "c")) == [elsewhere]


def test_finish_changes_no_user_message(db: Connection, owner: Caller, conversation: UUID) -> None:
    asked = send(db, owner, conversation)["user_message"]
    finish(db, final(asked["id"], "forged"))
    assert row(db, asked["id"]) == asked


# ── recovery ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_recovery_interrupts_and_keeps_the_text(db: Connection, reply: str) -> None:
    before = row(db, reply)
    expire(db, reply)
    assert reply in recover(db)
    after = row(db, reply)
    estimated = {"prompt_tokens": 2, "completion_tokens": 1, "tokens_used": 3}
    # told as a writer tells it that ends its replies itself
    ended = {"status": "interrupted", "error_code": "interrupted", "updated_at": after["updated_at"]}
    assert after == {**before, **estimated, **ended}
    assert not live(db, reply)
    assert reply not in recover(db)


def test_recovery_counts_what_was_thought(db: Connection, owner: Caller, conversation: UUID) -> None:
    reply = send(db, owner, conversation)["message"]["id"]
    journal(db, {**piece(reply, 1, ""), "reasoning": "Eight ch"})
    expire(db, reply)
    assert reply in recover(db)
    after = row(db, reply)
    assert (after["status"], after["content"], after["reasoning"]) == ("interrupted", "", "Eight ch")
    assert (after["prompt_tokens"], after["completion_tokens"], after["reasoning_tokens"]) == (2, 2, 2)
    entries = db.execute(
        "select prompt_tokens, completion_tokens from private.usage_ledger where reply_id = %s", [reply]
    )
    assert entries.fetchall() == [(2, 2)]


def test_recovery_of_what_nobody_got_to_read_costs_nothing(db: Connection, owner: Caller, conversation: UUID) -> None:
    reply = send(db, owner, conversation)["message"]["id"]
    expire(db, reply)
    assert reply in recover(db)
    after = row(db, reply)
    assert (after["prompt_tokens"], after["completion_tokens"], after["reasoning_tokens"]) == (None, None, None)


def test_recovery_leaves_live_replies_alone(db: Connection, reply: str) -> None:
    before = row(db, reply)
    assert reply not in recover(db)
    assert row(db, reply) == before
    assert live(db, reply)


def test_recovery_forgets_old_keys(db: Connection, owner: Caller, conversation: UUID) -> None:
    for key, age in (("old", "24 hours 1 second"), ("young", "23 hours 59 minutes")):
        send(db, owner, conversation, p_idempotency_key=key)
        db.execute(
            "update private.idempotency_keys set created_at = now() - %s::interval where user_id = %s and key = %s",
            [age, owner.id, key],
        )
    recover(db)
    assert db.execute("select key from private.idempotency_keys where user_id = %s", [owner.id]).fetchall() == [
        ("young",)
    ]


def test_two_recoveries_share_the_work(connection: Connection, stack: LocalSupabase, user: Caller) -> None:
    """Neither waits for the other, and no reply is ended twice."""
    conversation = new_conversation(connection, user)
    replies = {send(connection, user, conversation)["message"]["id"] for _ in range(3)}
    with (
        psycopg.connect(stack.database_url, autocommit=True) as one_replica,
        psycopg.connect(stack.database_url, autocommit=True) as another,
    ):
        another.execute("set lock_timeout = '200ms'")
        with connection.transaction():
            for reply in replies:
                expire(connection, reply)
        with one_replica.transaction(), another.transaction():
            first = recover(one_replica)
            second = recover(another)
    assert not set(first) & set(second)
    assert {row(connection, reply)["status"] for reply in replies} == {"interrupted"}
    assert one(connection, "select count(*) from private.live_replies where user_id = %s", [user.id]) == 0
