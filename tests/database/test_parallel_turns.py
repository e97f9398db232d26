"""begin_turn under concurrency: the same call from twenty connections at once."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.callers import Caller, Connection, new_conversation, new_user, one
from tests.support.turn_functions import Answer, answered, regenerate, send

CALLS = 20


@pytest.fixture
def conversation(connection: Connection, user: Caller) -> UUID:
    return new_conversation(connection, user)


def at_once(stack: LocalSupabase, call: Callable[[Connection], Answer]) -> list[Answer | str]:
    """Make the call from twenty connections at the same moment; the answers, and the codes of the refusals."""
    ready = threading.Barrier(CALLS)

    def run(_: int) -> Answer | str:
        with psycopg.connect(stack.database_url, autocommit=True) as db:
            ready.wait(timeout=30)
            try:
                return call(db)
            except psycopg.DatabaseError as error:
                return error.sqlstate or ""

    with ThreadPoolExecutor(CALLS) as threads:
        return list(threads.map(run, range(CALLS)))


def begun_by(answers: list[Answer | str]) -> list[Answer]:
    return [answer for answer in answers if not isinstance(answer, str) and not answer["replayed"]]


def roles_of(connection: Connection, user: Caller) -> list[str]:
    """The roles of all of the user's messages."""
    rows = connection.execute("select role from public.messages where user_id = %s order by role", [user.id])
    return [role for (role,) in rows]


def test_one_key_begins_one_turn(
    stack: LocalSupabase, connection: Connection, user: Caller, conversation: UUID
) -> None:
    answers = at_once(stack, lambda db: send(db, user, conversation, p_idempotency_key="once", p_request_hash="same"))
    [first] = begun_by(answers)
    replayed = [answer for answer in answers if answer is not first]
    expected = {"replayed": True, "user_message": first["user_message"], "message": first["message"]}
    assert replayed == [expected] * (CALLS - 1)
    assert roles_of(connection, user) == ["assistant", "user"]


def test_one_reply_id_begins_one_turn(
    stack: LocalSupabase, connection: Connection, user: Caller, conversation: UUID
) -> None:
    """A client that lost its answer may ask again while the first call is still running."""
    writer, reply_id = uuid.uuid4(), uuid.uuid4()
    answers = at_once(stack, lambda db: send(db, user, conversation, p_writer=writer, p_reply_id=reply_id))
    assert answers == [answers[0]] * CALLS
    assert roles_of(connection, user) == ["assistant", "user"]


def test_parallel_regenerates_begin_one_reply(
    stack: LocalSupabase, connection: Connection, user: Caller, conversation: UUID
) -> None:
    first = answered(connection, user, conversation, "Hello", "Hi")["message"]
    answers = at_once(stack, lambda db: regenerate(db, user, first["id"]))
    [begun] = begun_by(answers)
    assert begun["message"]["version"] == 2
    assert answers.count("PT409") == CALLS - 1
    assert roles_of(connection, user) == ["assistant", "assistant", "user"]


def test_limit_of_live_replies_holds(
    stack: LocalSupabase, connection: Connection, user: Caller, conversation: UUID
) -> None:
    for _ in range(90):
        send(connection, user, conversation)
    # what other tests' services recover in the meantime must not make room
    connection.execute("update private.live_replies set lease_expires_at = 'infinity' where user_id = %s", [user.id])
    answers = at_once(stack, lambda db: send(db, user, conversation))
    assert len(begun_by(answers)) == 10
    assert answers.count("PT429") == 10
    assert one(connection, "select count(*) from private.live_replies where user_id = %s", [user.id]) == 100


def test_users_do_not_wait_for_each_other(
    connection: Connection, stack: LocalSupabase, user: Caller, conversation: UUID
) -> None:
    other = new_user(connection)
    elsewhere = new_conversation(connection, other)
    with psycopg.connect(stack.database_url, autocommit=True) as slow, slow.transaction():
        send(slow, user, conversation)
        with connection.transaction(force_rollback=True):
            connection.execute("set local lock_timeout = '200ms'")
            assert not send(connection, other, elsewhere)["replayed"]
    connection.execute("delete from auth.users where id = %s", [other.id])


@pytest.mark.parametrize("what", ["send", "regenerate"])
def test_turn_that_meets_a_deletion_finds_nothing(
    connection: Connection, stack: LocalSupabase, user: Caller, conversation: UUID, what: str
) -> None:
    """It waits for the deletion, and is then told what it would be told a moment later."""
    reply = answered(connection, user, conversation, "Hello", "Hi")["message"]["id"]

    def turn() -> str | None:
        with (
            psycopg.connect(stack.database_url, autocommit=True, application_name="turn") as db,
            pytest.raises(psycopg.DatabaseError) as refused,
        ):
            send(db, user, conversation) if what == "send" else regenerate(db, user, reply)
        return refused.value.sqlstate

    with (
        ThreadPoolExecutor(1) as thread,
        psycopg.connect(stack.database_url, autocommit=True) as slow,
        slow.transaction(),
    ):
        slow.execute("delete from public.conversations where id = %s", [conversation])
        answer = thread.submit(turn)
        while not answer.done() and not one(
            connection,
            "select exists (select from pg_catalog.pg_stat_activity where application_name = 'turn' "
            "and wait_event_type = 'Lock')",
        ):
            pass
        assert not answer.done()
    assert answer.result(timeout=30) == "PT404"
