"""Conversations of release 0.1.0, in which only replies had a parent, become trees without anybody waiting."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.support.callers import SERVICE, Caller, Connection, acting, new_conversation, one, rpc
from tests.support.turn_functions import Answer, branch, delete, final, finish, recover, regenerate, send, switch, told


def old_turn(
    db: Connection, owner: Caller, conversation: UUID, asked: str, *replies: tuple[str, str]
) -> tuple[UUID, list[UUID]]:
    """A turn as release 0.1.0 stored it."""
    question, position = db.execute(
        "insert into public.messages (conversation_id, user_id, role, content) values (%s, %s, 'user', %s) "
        "returning id, position",
        [conversation, owner.id, asked],
    ).fetchall()[0]
    return question, [old_reply(db, owner, conversation, question, position, *reply) for reply in replies]


def old_reply(
    db: Connection, owner: Caller, conversation: UUID, question: UUID, position: int, content: str, status: str
) -> UUID:
    reply: UUID = one(
        db,
        "insert into public.messages "
        "(conversation_id, user_id, role, content, status, parent_id, parent_position, version) "
        "values (%(c)s, %(u)s, 'assistant', %(content)s, %(status)s, %(q)s, %(position)s, "
        "1 + (select count(*) from public.messages where parent_id = %(q)s)) returning id",
        {"c": conversation, "u": owner.id, "content": content, "status": status, "q": question, "position": position},
    )
    return reply


@pytest.fixture
def conversation(db: Connection, owner: Caller) -> UUID:
    """One that was created before there were trees."""
    created = new_conversation(db, owner)
    db.execute(
        "update public.conversations set message_count = null, last_message_at = '-infinity' where id = %s", [created]
    )
    return created


@pytest.fixture
def turns(db: Connection, owner: Caller, conversation: UUID) -> list[tuple[UUID, list[UUID]]]:
    """Three turns: the first answered twice before the second, and once more after it; the last one failed twice."""
    first = old_turn(db, owner, conversation, "one", ("first", "complete"), ("first again", "complete"))
    second = old_turn(db, owner, conversation, "two", ("second", "stopped"), ("", "failed"))
    position = one(db, "select position from public.messages where id = %s", [first[0]])
    first[1].append(old_reply(db, owner, conversation, first[0], position, "first, later", "complete"))
    third = old_turn(db, owner, conversation, "three", ("third", "complete"), ("", "failed"))
    return [first, second, third]


def texts(page: list[Answer]) -> list[str]:
    return [message["content"] for message in page]


def test_shown_as_it_was_said(
    db: Connection, owner: Caller, conversation: UUID, turns: list[tuple[UUID, list[UUID]]]
) -> None:
    """What was said next follows the reply that its history held; later and failed replies are its siblings."""
    page = branch(db, owner, conversation)
    assert texts(page) == ["one", "first again", "two", "second", "three", "third"]
    assert [message["siblings"] and message["siblings"]["count"] for message in page] == [None, 3, None, 2, None, 2]
    row = told(db, conversation)
    assert (row["head_id"], row["preview"], row["message_count"]) == (str(turns[2][1][0]), "third", 10)
    newest = one(db, "select to_jsonb(max(created_at)) from public.messages where conversation_id = %s", [conversation])
    assert row["last_message_at"] == newest


@pytest.mark.parametrize("use", ["send", "regenerate", "switch", "delete", "recover"])
def test_any_use_plants_it(
    db: Connection, owner: Caller, conversation: UUID, turns: list[tuple[UUID, list[UUID]]], use: str
) -> None:
    [_, (_, [second, *_]), (third, _)] = turns
    match use:
        case "send":
            begun = send(db, owner, conversation, "next")
            expected = ["one", "first again", "two", "second", "three", "third"]
            assert texts(begun["history"]) == expected
            finish(db, final(begun["message"]["id"], "reply"))
            expected = [*expected, "next", "reply"]
        case "regenerate":
            begun = regenerate(db, owner, second)
            assert texts(begun["history"]) == ["one", "first again"]
            expected = ["one", "first again", "two", ""]
        case "switch":
            switch(db, owner, conversation, turns[0][1][2])
            expected = ["one", "first, later"]
        case "delete":
            delete(db, owner, third)
            expected = ["one", "first again", "two", "second"]
        case _:
            recover(db)
            assert told(db, conversation)["message_count"] == 10
            expected = ["one", "first again", "two", "second", "three", "third"]
    assert texts(branch(db, owner, conversation)) == expected


def test_the_job_leaves_one_that_is_being_answered(db: Connection, owner: Caller, conversation: UUID) -> None:
    question, [reply] = old_turn(db, owner, conversation, "one", ("so far", "streaming"))
    db.execute(
        "insert into private.live_replies (message_id, user_id, writer, lease_expires_at) "
        "values (%s, %s, gen_random_uuid(), now() + interval '1 minute')",
        [reply, owner.id],
    )
    recover(db)
    assert told(db, conversation)["message_count"] is None
    assert [message["id"] for message in branch(db, owner, conversation)] == [str(question), str(reply)]


def test_nothing_is_told_of_it(db: Connection, owner: Caller, conversation: UUID) -> None:
    old_turn(db, owner, conversation, "one", ("first", "complete"))
    count = "select count(*) from realtime.messages where topic = %s"
    before = one(db, count, [f"user:{owner.id}"])
    with acting(db, SERVICE):
        rpc(db, "recover_replies")
    assert told(db, conversation)["message_count"] == 2
    assert one(db, count, [f"user:{owner.id}"]) == before


def test_one_without_messages(db: Connection, owner: Caller, conversation: UUID) -> None:
    recover(db)
    row = told(db, conversation)
    assert (row["head_id"], row["message_count"], row["last_message_at"]) == (None, 0, row["created_at"])
