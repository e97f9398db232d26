"""The tree of a conversation's messages: who may change it, what its row tells, and devices at once."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psycopg
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.callers import SERVICE, Caller, Connection, acting, new_conversation, one, rpc
from tests.support.turn_functions import (
    Answer,
    answered,
    branch,
    delete,
    expire,
    final,
    finish,
    live,
    recover,
    regenerate,
    send,
    switch,
    told,
)


@pytest.fixture
def conversation(db: Connection, owner: Caller) -> UUID:
    return new_conversation(db, owner)


# ── whose it is ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_strangers_find_nothing(db: Connection, owner: Caller, stranger: Caller, conversation: UUID) -> None:
    reply = answered(db, owner, conversation, "one", "first")["message"]["id"]
    assert branch(db, stranger, conversation) is None
    with acting(db, stranger):
        assert rpc(db, "read_message", p_message_id=reply) is None
    with pytest.raises(psycopg.DatabaseError) as refused:
        switch(db, stranger, conversation, reply)
    assert refused.value.sqlstate == "PT404"
    with pytest.raises(psycopg.DatabaseError) as refused:
        delete(db, stranger, reply)
    assert refused.value.sqlstate == "PT404"
    assert len(branch(db, owner, conversation)) == 2


@pytest.mark.parametrize("limit", [-1, 0, 201, 1_000_000])
@pytest.mark.parametrize("function", ["read_branch", "read_chat"])
def test_page_that_is_too_long_or_too_short(
    db: Connection, owner: Caller, conversation: UUID, function: str, limit: int
) -> None:
    """The limit is named, also where there is no such conversation."""
    place = {"p_conversation_id": conversation} if function == "read_branch" else {"p_chat_id": "none"}
    with pytest.raises(psycopg.DatabaseError) as refused, acting(db, owner):
        rpc(db, function, **place, p_limit=limit)
    assert (refused.value.sqlstate, refused.value.diag.message_primary) == ("PT422", "invalid_request")
    assert refused.value.diag.message_detail == f"p_limit: expected 1 to 200, not {limit}."


@pytest.mark.parametrize("column", ["head_id", "last_message_at", "preview", "message_count"])
def test_what_a_row_tells_is_the_databases(db: Connection, owner: Caller, conversation: UUID, column: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(db, owner):
        db.execute(f"update public.conversations set {column} = null where id = %s", [conversation])
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(db, owner):
        db.execute(f"insert into public.conversations ({column}) values (null)")


def test_parent_of_another_conversation(db: Connection, owner: Caller, conversation: UUID) -> None:
    elsewhere = answered(db, owner, new_conversation(db, owner), "elsewhere", "yes")["message"]["id"]
    with pytest.raises(psycopg.DatabaseError) as refused:
        send(db, owner, conversation, "next", p_parent_id=elsewhere)
    assert (refused.value.sqlstate, refused.value.diag.message_primary) == ("PT422", "invalid_request")


def test_strangers_find_no_siblings(db: Connection, owner: Caller, stranger: Caller, conversation: UUID) -> None:
    """Also of a message that they make up."""
    reply = answered(db, owner, conversation, "one", "first")["message"]["id"]
    regenerate(db, owner, reply)
    query = (
        "select private.siblings(jsonb_populate_record(null::public.messages, %s::jsonb)), "
        "private.siblings(jsonb_populate_record(null::public.messages, %s::jsonb))"
    )
    row = db.execute("select to_jsonb(m) from public.messages as m where id = %s", [reply]).fetchall()[0][0]
    first = {**row, "parent_id": None}
    send(db, owner, conversation, "another beginning", p_new_beginning=True)
    made_up = [json.dumps(message) for message in (row, first)]
    with acting(db, owner):
        [found] = db.execute(query, made_up).fetchall()
        assert [siblings["count"] for siblings in found] == [2, 2]
    with acting(db, stranger):
        assert db.execute(query, made_up).fetchall() == [(None, None)]


# ── what its row tells, whoever writes ───────────────────────────────────────────────────────────────────────────


def test_messages_of_sql_are_counted_and_shown(db: Connection, owner: Caller, conversation: UUID) -> None:
    with acting(db, SERVICE):
        db.execute(
            "insert into public.messages (conversation_id, user_id, role, content) "
            "values (%(c)s, %(u)s, 'system', 'be kind'), (%(c)s, %(u)s, 'user', 'hello')",
            {"c": conversation, "u": owner.id},
        )
    row = told(db, conversation)
    assert (row["preview"], row["message_count"]) == ("hello", 2)
    with acting(db, SERVICE):
        db.execute("delete from public.messages where id = %s", [row["head_id"]])
    assert (told(db, conversation)["preview"], told(db, conversation)["message_count"]) == ("be kind", 1)


def test_recovered_reply_is_the_preview(db: Connection, owner: Caller, conversation: UUID) -> None:
    reply = send(db, owner, conversation, "one")["message"]["id"]
    db.execute("update public.messages set content = 'as far as', seq = 1 where id = %s", [reply])
    assert told(db, conversation)["preview"] == "one"
    expire(db, reply)
    recover(db)
    assert told(db, conversation)["preview"] == "as far as"


def test_deleted_reply_loses_its_lease(db: Connection, owner: Caller, conversation: UUID) -> None:
    reply = send(db, owner, conversation, "one")["message"]["id"]
    assert delete(db, owner, reply)["ended"] == [reply]
    assert not live(db, reply)
    assert finish(db, final(reply, "too late")) == []
    assert told(db, conversation)["preview"] == "one"


def test_versions_are_not_given_twice_to_what_is_there(db: Connection, owner: Caller, conversation: UUID) -> None:
    first = answered(db, owner, conversation, "one", "first")
    replies = [first["message"]["id"]]
    for _ in range(2):
        replies.append(regenerate(db, owner, replies[0])["message"]["id"])
        finish(db, final(replies[-1], "again"))
    delete(db, owner, replies[1])
    last = regenerate(db, owner, replies[0])["message"]
    assert last["version"] == 4
    [_, shown] = branch(db, owner, conversation)
    assert shown["siblings"] == {"index": 3, "count": 3, "previous_id": replies[2], "next_id": None}


# ── devices at once ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def kept(connection: Connection, user: Caller) -> UUID:
    """A conversation that other connections see."""
    return new_conversation(connection, user)


def test_two_that_continue_the_same_head(
    stack: LocalSupabase, connection: Connection, user: Caller, kept: UUID
) -> None:
    """The one that has to wait for the other continues what it has seen, though it names no parent."""
    first = answered(connection, user, kept, "one", "first")["message"]["id"]
    with ThreadPoolExecutor(1) as thread, psycopg.connect(stack.database_url, autocommit=True) as fast:

        def later() -> Answer:
            with psycopg.connect(stack.database_url, autocommit=True, application_name="later") as slow:
                return send(slow, user, kept, "beside")

        with fast.transaction():
            sooner = send(fast, user, kept, "two")
            answer = thread.submit(later)
            while not answer.done() and not one(
                connection,
                "select exists (select from pg_catalog.pg_stat_activity where application_name = 'later' "
                "and wait_event_type = 'Lock')",
            ):
                pass
        beside = answer.result(timeout=30)
    assert {sooner["user_message"]["parent_id"], beside["user_message"]["parent_id"]} == {first}
    assert told(connection, kept)["head_id"] == beside["message"]["id"]
    assert told(connection, kept)["message_count"] == 6


def test_many_at_once_lose_nothing(stack: LocalSupabase, connection: Connection, user: Caller, kept: UUID) -> None:
    """Sends, ends, deletions and switches of one conversation: nobody dies of a deadlock, and the row is true."""
    begun = [answered(connection, user, kept, f"message {number}", "reply") for number in range(8)]
    writing = [send(connection, user, kept, f"written {number}", p_new_beginning=True) for number in range(8)]
    ready = threading.Barrier(16)

    def run(number: int) -> None:
        with psycopg.connect(stack.database_url, autocommit=True) as db:
            ready.wait(timeout=30)
            for step in range(4):
                match (number + step) % 4:
                    case 0:
                        send(db, user, kept, f"sent {number}", p_new_beginning=number % 2 == 0)
                    case 1:
                        finish(db, *(final(each["message"]["id"], f"end {number}") for each in writing))
                    case 2:
                        switch(db, user, kept, begun[0]["message"]["id"])
                    case _:
                        try:
                            delete(db, user, begun[-1 - number % 4]["message"]["id"])
                        except psycopg.DatabaseError as error:
                            if error.sqlstate != "PT404":
                                raise

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(run, range(16)))
    row = told(connection, kept)
    left = one(connection, "select count(*) from public.messages where conversation_id = %s", [kept])
    assert row["message_count"] == left
    path = branch(connection, user, kept, p_limit=100)
    assert path[-1]["id"] == row["head_id"]
    text = path[-1]["content"] or path[-2]["content"]
    assert row["preview"] == text
