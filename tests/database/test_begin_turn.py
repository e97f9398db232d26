"""begin_turn: what it stores, what it answers, and what it refuses."""

from __future__ import annotations

import uuid
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from tests.support.callers import ANON, NOBODY, SERVICE, Caller, Connection, acting, new_conversation, one, rpc
from tests.support.turn_functions import answered, begin, expire, final, finish, live, regenerate, row, send


@pytest.fixture
def conversation(db: Connection, owner: Caller) -> UUID:
    return new_conversation(db, owner, model="gpt-5-mini")


def problem(code: str, status: int) -> AbstractContextManager[Any]:
    """The block fails with one of our problem codes; its SQLSTATE carries the HTTP status."""
    return pytest.raises(psycopg.DatabaseError, match=f"^{code}\n", check=lambda error: error.sqlstate == f"PT{status}")


def messages_of(db: Connection, user: Caller) -> int:
    count: int = one(db, "select count(*) from public.messages where user_id = %s", [user.id])
    return count


# ── what is stored ───────────────────────────────────────────────────────────────────────────────────────────────


def test_stores_the_message_and_a_streaming_reply(db: Connection, owner: Caller, conversation: UUID) -> None:
    reply_id, writer = uuid.uuid4(), uuid.uuid4()
    begun = send(db, owner, conversation, "Hello", p_writer=writer, p_reply_id=reply_id)

    asked, reply = begun["user_message"], begun["message"]
    assert asked == row(db, asked["id"])
    assert reply == row(db, reply["id"])
    assert (asked["role"], asked["content"], asked["status"]) == ("user", "Hello", "complete")
    assert (reply["role"], reply["content"], reply["status"]) == ("assistant", "", "streaming")
    assert reply["id"] == str(reply_id)
    assert (reply["parent_id"], reply["version"], reply["seq"]) == (asked["id"], 1, 0)
    assert reply["turn"] == asked["turn"] == asked["position"]
    for message in (asked, reply):
        assert (message["conversation_id"], message["user_id"]) == (str(conversation), str(owner.id))
    assert (begun["replayed"], begun["history"], begun["model"]) == (False, [], "gpt-5-mini")

    assert db.execute(
        "select user_id, writer, lease_expires_at = now() + interval '15 seconds', stop_requested "
        "from private.live_replies where message_id = %s",
        [reply_id],
    ).fetchall() == [(owner.id, writer, True, False)]


def test_content_is_kept_as_it_is(db: Connection, owner: Caller, conversation: UUID) -> None:
    content = "  \n\u00e9\U0001f642 'quotes' \\ and \t tabs\r\n "
    assert send(db, owner, conversation, content)["user_message"]["content"] == content


@pytest.mark.parametrize("content", [None, "", "  ", " \n\t\r\n "])
def test_refuses_an_empty_message(db: Connection, owner: Caller, conversation: UUID, content: str | None) -> None:
    with problem("invalid_request", 400):
        begin(db, owner, p_conversation_id=conversation, p_content=content)


def test_content_limit(db: Connection, owner: Caller, conversation: UUID) -> None:
    longest = "\U0001f642" * 100_000
    assert send(db, owner, conversation, longest)["user_message"]["content"] == longest
    with problem("payload_too_large", 413):
        send(db, owner, conversation, longest + "x")


# ── whose ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_stranger_cannot_send_into_a_conversation(db: Connection, stranger: Caller, conversation: UUID) -> None:
    with problem("not_found", 404):
        send(db, stranger, conversation)
    assert messages_of(db, stranger) == 0


def test_stranger_cannot_regenerate(db: Connection, owner: Caller, stranger: Caller, conversation: UUID) -> None:
    begun = answered(db, owner, conversation, "Hello", "Hi")
    for message in (begun["user_message"], begun["message"]):
        with problem("not_found", 404):
            regenerate(db, stranger, message["id"])


def test_unknown_conversation_and_message(db: Connection, owner: Caller) -> None:
    with problem("not_found", 404):
        send(db, owner, uuid.uuid4())
    with problem("not_found", 404):
        regenerate(db, owner, uuid.uuid4())
    with problem("not_found", 404):
        begin(db, owner, p_content="nowhere")


def test_token_that_names_no_user(db: Connection, conversation: UUID) -> None:
    with problem("unauthenticated", 401):
        send(db, NOBODY, conversation)


@pytest.mark.parametrize("caller", [ANON, SERVICE], ids=lambda caller: caller.role)
def test_only_users_begin_turns(db: Connection, conversation: UUID, caller: Caller) -> None:
    with pytest.raises(InsufficientPrivilege):
        send(db, caller, conversation)
    with pytest.raises(InsufficientPrivilege), acting(db, caller):
        db.execute("select private.begin_turn(null, null, null, null, null, null, null, null, null, null, null)")


def test_reply_id_of_another_user_is_no_way_in(
    db: Connection, owner: Caller, stranger: Caller, conversation: UUID
) -> None:
    """Naming a reply that exists neither returns it nor writes to it."""
    writer = uuid.uuid4()
    theirs = send(db, owner, conversation, "secret", p_writer=writer)
    own = new_conversation(db, stranger)
    for reply_id in (theirs["message"]["id"], theirs["user_message"]["id"]):
        with pytest.raises(psycopg.errors.UniqueViolation):
            send(db, stranger, own, "Hello", p_reply_id=reply_id, p_writer=writer)
    assert row(db, theirs["message"]["id"]) == theirs["message"]


# ── once more ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_same_writer_and_reply_is_the_same_turn(db: Connection, owner: Caller, conversation: UUID) -> None:
    answered(db, owner, conversation, "Earlier", "Yes")
    writer, reply_id = uuid.uuid4(), uuid.uuid4()
    first = send(db, owner, conversation, p_writer=writer, p_reply_id=reply_id)
    assert send(db, owner, conversation, p_writer=writer, p_reply_id=reply_id) == first
    assert first["history"]
    assert messages_of(db, owner) == 4


def test_same_reply_of_another_writer_is_refused(db: Connection, owner: Caller, conversation: UUID) -> None:
    reply_id = uuid.uuid4()
    send(db, owner, conversation, p_reply_id=reply_id)
    with pytest.raises(psycopg.errors.UniqueViolation):
        send(db, owner, conversation, p_reply_id=reply_id)
    assert messages_of(db, owner) == 2


def test_same_key_and_request_replays_the_turn(db: Connection, owner: Caller, conversation: UUID) -> None:
    call = {"p_idempotency_key": "k", "p_request_hash": "h"}
    first = send(db, owner, conversation, **call)
    again = send(db, owner, conversation, **call)
    assert again == {"replayed": True, "user_message": first["user_message"], "message": first["message"]}
    finish(db, final(first["message"]["id"], "Hi"))
    assert send(db, owner, conversation, **call)["message"]["content"] == "Hi"
    assert messages_of(db, owner) == 2


def test_same_key_and_another_request_is_refused(db: Connection, owner: Caller, conversation: UUID) -> None:
    send(db, owner, conversation, p_idempotency_key="k", p_request_hash="h")
    for other in ("other", "", None):
        with problem("idempotency_mismatch", 422):
            send(db, owner, conversation, p_idempotency_key="k", p_request_hash=other)
    assert messages_of(db, owner) == 2


def test_keys_of_two_users_are_independent(db: Connection, owner: Caller, stranger: Caller, conversation: UUID) -> None:
    call = {"p_idempotency_key": "k", "p_request_hash": "h"}
    mine = send(db, owner, conversation, **call)
    theirs = send(db, stranger, new_conversation(db, stranger), **call)
    assert not theirs["replayed"]
    assert theirs["message"]["id"] != mine["message"]["id"]


def test_a_turn_is_replayed_by_its_key_to_its_owner_alone(
    db: Connection, owner: Caller, stranger: Caller, conversation: UUID
) -> None:
    call = {"p_idempotency_key": "k", "p_request_hash": "h"}
    begun = send(db, owner, conversation, **call)
    with acting(db, owner):
        replayed = rpc(db, "replay_turn", **call)
    assert (replayed["replayed"], replayed["message"]) == (True, begun["message"])
    with problem("idempotency_mismatch", 422), acting(db, owner):
        rpc(db, "replay_turn", **call | {"p_request_hash": "other"})
    for caller in (stranger, NOBODY):
        with acting(db, caller):
            assert rpc(db, "replay_turn", **call) is None


def test_refused_turn_leaves_its_key_free(db: Connection, owner: Caller, conversation: UUID) -> None:
    begun = send(db, owner, conversation)
    call = {"p_idempotency_key": "k", "p_request_hash": "h"}
    with problem("conflict", 409):
        regenerate(db, owner, begun["message"]["id"], **call)
    finish(db, final(begun["message"]["id"], "Hi"))
    assert not regenerate(db, owner, begun["message"]["id"], **call)["replayed"]


@pytest.mark.parametrize(
    ("call", "allowed"),
    [
        ({"p_idempotency_key": ""}, "p_idempotency_key: expected 1 to 255 characters"),
        ({"p_idempotency_key": "k" * 256}, "p_idempotency_key: expected 1 to 255 characters"),
        ({"p_idempotency_key": "k", "p_request_hash": "h" * 129}, "p_request_hash: expected at most 128 characters"),
    ],
    ids=["empty key", "long key", "long hash"],
)
def test_keys_are_bounded(
    db: Connection, owner: Caller, conversation: UUID, call: dict[str, str], allowed: str
) -> None:
    with pytest.raises(psycopg.DatabaseError, match=f"invalid_request\n.*{allowed}"):
        send(db, owner, conversation, **call)


# ── again ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_regenerate_counts_versions_of_one_message(db: Connection, owner: Caller, conversation: UUID) -> None:
    begun = answered(db, owner, conversation, "Hello", "one")
    asked = begun["user_message"]
    versions = [begun["message"]]
    # by the user message, by its first reply, by its second
    for target in (asked["id"], begun["message"]["id"], None):
        again = regenerate(db, owner, target or versions[-1]["id"])
        assert again["user_message"] == asked
        assert again["model"] == "gpt-5-mini"
        assert again["message"]["parent_id"] == asked["id"]
        assert again["message"]["turn"] == asked["turn"]
        finish(db, final(again["message"]["id"], "another"))
        versions.append(again["message"])
    assert [version["version"] for version in versions] == [1, 2, 3, 4]
    assert row(db, versions[0]["id"])["content"] == "one"
    assert messages_of(db, owner) == 5


def test_regenerate_waits_for_the_reply_that_streams(db: Connection, owner: Caller, conversation: UUID) -> None:
    begun = send(db, owner, conversation)
    # a lease that has run out is not an end yet: recovery will make it one
    expire(db, begun["message"]["id"])
    with problem("conflict", 409):
        regenerate(db, owner, begun["message"]["id"])


def test_regenerate_of_what_answers_nothing(db: Connection, owner: Caller, conversation: UUID) -> None:
    for role in ("system", "assistant"):
        alone = one(
            db,
            "insert into public.messages (conversation_id, user_id, role) values (%s, %s, %s) returning id",
            [conversation, owner.id, role],
        )
        with problem("conflict", 409):
            regenerate(db, owner, alone)


# ── how many ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_at_most_a_hundred_live_replies(db: Connection, owner: Caller, stranger: Caller, conversation: UUID) -> None:
    finished = answered(db, owner, conversation, "Hello", "Hi")
    begun = [send(db, owner, conversation) for _ in range(100)]
    with problem("rate_limited", 429) as refused:
        send(db, owner, conversation)
    assert refused.value.diag.message_hint == "5"
    with problem("rate_limited", 429):
        regenerate(db, owner, finished["message"]["id"])
    assert not send(db, stranger, new_conversation(db, stranger))["replayed"]

    # a finished reply makes room, and so does one whose writer is gone
    finish(db, final(begun[0]["message"]["id"], "Hi"))
    expire(db, begun[1]["message"]["id"])
    assert all(live(db, send(db, owner, conversation)["message"]["id"]) for _ in range(2))
    with problem("rate_limited", 429):
        send(db, owner, conversation)


def test_known_key_is_answered_at_the_limit(db: Connection, owner: Caller, conversation: UUID) -> None:
    first = send(db, owner, conversation, p_idempotency_key="k")
    for _ in range(99):
        send(db, owner, conversation)
    assert send(db, owner, conversation, p_idempotency_key="k")["message"] == first["message"]
