"""The history that begin_turn returns: whose text, in which order, and how much of it."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.support.callers import Caller, Connection, new_conversation, one
from tests.support.turn_functions import answered, final, finish, journal, piece, regenerate, send


@pytest.fixture
def conversation(db: Connection, owner: Caller) -> UUID:
    return new_conversation(db, owner)


def said(db: Connection, owner: Caller, conversation: UUID) -> list[tuple[str, str]]:
    """The history of the next turn."""
    history = send(db, owner, conversation, "next")["history"]
    return [(message["role"], message["content"]) for message in history]


def test_oldest_first(db: Connection, owner: Caller, conversation: UUID) -> None:
    answered(db, owner, conversation, "one", "first")
    answered(db, owner, conversation, "two", "second")
    assert said(db, owner, conversation) == [
        ("user", "one"),
        ("assistant", "first"),
        ("user", "two"),
        ("assistant", "second"),
    ]


def test_only_of_this_conversation(db: Connection, owner: Caller, conversation: UUID) -> None:
    answered(db, owner, new_conversation(db, owner), "elsewhere", "yes")
    assert said(db, owner, conversation) == []


def test_system_messages_are_part_of_it(db: Connection, owner: Caller, conversation: UUID) -> None:
    db.execute(
        "insert into public.messages (conversation_id, user_id, role, content) values (%s, %s, 'system', 'be kind')",
        [conversation, owner.id],
    )
    answered(db, owner, conversation, "one", "first")
    assert said(db, owner, conversation) == [("system", "be kind"), ("user", "one"), ("assistant", "first")]


def test_an_answer_goes_with_its_question(db: Connection, owner: Caller, conversation: UUID) -> None:
    """A message that was let pass, and answered, may be flagged when it is answered again."""
    begun = answered(db, owner, conversation, "one", "first")
    again = regenerate(db, owner, begun["message"]["id"])
    finish(db, final(again["message"]["id"], "", "filtered", flagged=["violence"], flagged_part="input"))
    unchecked = answered(db, owner, conversation, "two", "second")
    db.execute("update public.messages set screened = false where id = %s", [unchecked["user_message"]["id"]])
    assert said(db, owner, conversation) == []


def test_the_branch_and_nothing_else(db: Connection, owner: Caller, conversation: UUID) -> None:
    begun = answered(db, owner, conversation, "one", "first")
    again = regenerate(db, owner, begun["message"]["id"])
    finish(db, final(again["message"]["id"], "second", "stopped"))
    assert said(db, owner, conversation) == [("user", "one"), ("assistant", "second")]
    beside = send(db, owner, conversation, "two", p_parent_id=begun["message"]["id"])
    assert [message["content"] for message in beside["history"]] == ["one", "first"]
    assert send(db, owner, conversation, "three", p_new_beginning=True)["history"] == []


def test_reply_without_text_is_left_out(db: Connection, owner: Caller, conversation: UUID) -> None:
    begun = send(db, owner, conversation, "one")
    finish(db, final(begun["message"]["id"], "", "failed"))
    assert said(db, owner, conversation) == [("user", "one")]


def test_reply_that_streams_is_left_out(db: Connection, owner: Caller, conversation: UUID) -> None:
    answered(db, owner, conversation, "one", "first")
    streaming = send(db, owner, conversation, "two")
    journal(db, piece(streaming["message"]["id"], 1, "half a"))
    assert said(db, owner, conversation) == [("user", "one"), ("assistant", "first"), ("user", "two")]


def test_regenerate_sees_only_what_came_before(db: Connection, owner: Caller, conversation: UUID) -> None:
    answered(db, owner, conversation, "one", "first")
    second = answered(db, owner, conversation, "two", "second")
    answered(db, owner, conversation, "three", "third")
    history = regenerate(db, owner, second["message"]["id"])["history"]
    assert [message["content"] for message in history] == ["one", "first"]


def fill(db: Connection, owner: Caller, conversation: UUID, turns: int, content: str) -> None:
    """Turns that are over, numbered from 1; `content` is a format of the number."""
    last: UUID | None = None
    for number in range(1, turns + 1):
        for role in ("user", "assistant"):
            last = one(
                db,
                "insert into public.messages (conversation_id, user_id, role, content, parent_id) "
                "values (%s, %s, %s, %s, %s) returning id",
                [conversation, owner.id, role, content.format(number), last],
            )


def test_the_newest_hundred_messages(db: Connection, owner: Caller, conversation: UUID) -> None:
    fill(db, owner, conversation, 51, "{}")
    expected = [(role, str(number)) for number in range(2, 52) for role in ("user", "assistant")]
    assert said(db, owner, conversation) == expected


def test_the_newest_400_000_characters(db: Connection, owner: Caller, conversation: UUID) -> None:
    fill(db, owner, conversation, 3, "{}" + "\u00e9" * 79_999)
    # five of 80,000 fill the limit exactly
    heads = [(role, content[0]) for role, content in said(db, owner, conversation)]
    assert heads == [("assistant", "1"), ("user", "2"), ("assistant", "2"), ("user", "3"), ("assistant", "3")]


def test_one_message_beyond_the_limit_ends_it(db: Connection, owner: Caller, conversation: UUID) -> None:
    """What is older than a message that does not fit is left out too: no gap in what the model reads."""
    answered(db, owner, conversation, "one", "first")
    answered(db, owner, conversation, "two", "x" * 400_001)
    answered(db, owner, conversation, "three", "third")
    assert said(db, owner, conversation) == [("user", "three"), ("assistant", "third")]
