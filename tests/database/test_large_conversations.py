"""What a long conversation costs to read, export, import and delete, whatever the planner knows of its table. It is
told by rows: time is the machine's."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support.callers import NOBODY, Caller, Connection, acting, new_conversation, one, rpc
from tests.support.imports import Import, said
from tests.support.turn_functions import branch, delete, send, told

MESSAGES, BRANCHES = 10_000, 500
SHAPES = {
    "alone": (0, 0, 0),
    "short ones of many": (2000, 1, 2),
    "long ones of some": (20, 3, 1000),
    "short ones of one": (1, 3000, 2),
}
"""What else is in the table: other users, conversations of each, messages of each."""


@pytest.fixture(scope="module", autouse=True)
def _statistics(connection: Connection) -> Iterator[None]:
    """The statistics are what these tests make of them: autovacuum sees none of their rows, and would tell the planner
    in the middle of a test that the table is empty."""
    connection.execute("alter table public.messages set (autovacuum_enabled = false)")
    yield
    connection.execute("alter table public.messages reset (autovacuum_enabled)")


@pytest.fixture(scope="module", params=SHAPES.values(), ids=SHAPES)
def others(connection: Connection, request: pytest.FixtureRequest) -> Iterator[None]:
    """What else is in the table while the tests with it run."""
    with connection.transaction(force_rollback=True):
        plant_others(connection, *request.param)
        yield


@pytest.fixture
def conversation(db: Connection, owner: Caller) -> UUID:
    return new_conversation(db, owner)


def plant_large(db: Connection, owner: Caller, conversation: UUID, *, known: bool = True) -> list[UUID]:
    """10,000 messages: one chain of 9,000, and 500 branches of two messages, 250 of which begin at one of its messages.
    The chain, oldest first; its end is the head. `known`: to the planner."""
    if not known:
        db.execute("analyze public.messages")
    chain = [uuid.uuid4() for _ in range(MESSAGES - 2 * BRANCHES)]
    insert = (
        "insert into public.messages (id, conversation_id, user_id, role, content, parent_id, version) "
        "values (%s, %s, %s, %s, %s, %s, %s)"
    )
    text = "word " * 100
    rows: list[tuple[Any, ...]] = []
    for place, message in enumerate(chain):
        role = "assistant" if place % 2 else "user"
        rows.append((message, conversation, owner.id, role, text, chain[place - 1] if place else None, 1))
    for number in range(BRANCHES):
        asked, place = uuid.uuid4(), 4001 if number % 2 else 2 * number + 1
        rows.append((asked, conversation, owner.id, "user", text, chain[place], number + 2))
        rows.append((uuid.uuid4(), conversation, owner.id, "assistant", text, asked, 1))
    # as pg_restore does: what the triggers keep is written at the end
    db.execute("alter table public.messages disable trigger user")
    with db.cursor() as cursor:
        cursor.executemany(insert, rows)
    db.execute("alter table public.messages enable trigger user")
    db.execute(
        "update public.conversations set head_id = %s, message_count = %s where id = %s",
        [chain[-1], MESSAGES, conversation],
    )
    if known:
        db.execute("analyze public.messages")
    return chain


def plant_others(db: Connection, users: int, conversations: int, messages: int) -> None:
    """Messages of SQL clients, which follow none until somebody looks. What the planner knows of the table is of
    them."""
    db.execute("alter table public.messages disable trigger user")
    db.execute(
        "with others as ("
        "  insert into auth.users (id, email) select id, id || '@parley.example' "
        "  from (select gen_random_uuid() as id from generate_series(1, %s)) as made returning id"
        "), begun as ("
        "  insert into public.conversations (user_id) select id from others, generate_series(1, %s) "
        "  returning id, user_id"
        ") insert into public.messages (conversation_id, user_id, role, content, version) "
        "select id, user_id, 'user', 'hello', g from begun, generate_series(1, %s) as g",
        [users, conversations, messages],
    )
    db.execute("alter table public.messages enable trigger user")


def reads(db: Connection) -> tuple[int, int]:
    """How often this transaction has read the whole of `messages`, and how many of its rows by an index."""
    found = db.execute(
        "select seq_scan, idx_tup_fetch from pg_catalog.pg_stat_xact_user_tables "
        "where relid = 'public.messages'::regclass"
    ).fetchall()
    return found[0][0], found[0][1]


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_page_of_a_large_conversation(db: Connection, owner: Caller, conversation: UUID, known: bool) -> None:
    """10,000 messages, 500 branches, whatever else is in the table."""
    chain = plant_large(db, owner, conversation, known=known)
    ids = [str(message) for message in chain]

    def cost(**arguments: object) -> tuple[list[str], int]:
        whole, by_index = reads(db)
        page = [message["id"] for message in branch(db, owner, conversation, **arguments)]
        whole_after, by_index_after = reads(db)
        assert whole_after == whole, "a scan of the whole table"
        return page, by_index_after - by_index

    # from the head, and from anywhere further back: no more than the page and its siblings
    page, rows = cost(p_backward=True, p_limit=51)
    assert page == ids[:-52:-1]
    assert len(page) <= rows <= 400
    page, rows = cost(p_backward=True, p_limit=51, p_before_id=chain[2000])
    assert page == ids[1999:1948:-1]
    assert rows <= 400
    # where 251 messages follow one
    page, rows = cost(p_backward=True, p_limit=51, p_before_id=chain[4010])
    assert page == ids[4009:3958:-1]
    assert rows <= 1000
    # from the beginning: each message of the branch once
    page, rows = cost(p_limit=51)
    assert page == ids[:51]
    assert len(chain) <= rows <= len(chain) + 400
    page, rows = cost(p_limit=51, p_after_id=chain[-100])
    assert page == ids[-99:-48]
    assert rows <= 600
    page, _ = cost(p_limit=None)
    assert page == ids[:50]
    # between two, as far as the page goes
    page, rows = cost(p_limit=51, p_after_id=chain[-400], p_before_id=chain[-300])
    assert page == ids[-399:-348]
    assert rows <= 600


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_looking_up_one_message_of_a_large_conversation(
    db: Connection, owner: Caller, conversation: UUID, known: bool
) -> None:
    """By any id of it that a caller may name."""
    chain = plant_large(db, owner, conversation, known=known)
    answer = chain[-51]
    client_id = "message of a client"
    db.execute(
        "insert into private.chat_messages (message_id, conversation_id, user_id, client_id, edited) "
        "values (%s, %s, %s, %s, false)",
        [chain[-50], conversation, owner.id, client_id],
    )
    chat = {"p_writer": uuid.uuid4(), "p_chat_id": str(conversation)}
    offer = Jsonb({"models": [{"provider": "demo", "model": "demo-1", "known": True}], "passage_tokens": 0})
    calls: dict[str, dict[str, object]] = {
        "begin_turn": {
            "p_writer": uuid.uuid4(),
            "p_conversation_id": conversation,
            "p_content": "next",
            "p_parent_id": answer,
        },
        "estimate_turn": {
            "p_conversation_id": conversation,
            "p_content": "next",
            "p_offer": offer,
            "p_parent_id": answer,
        },
        "switch_branch": {"p_conversation_id": conversation, "p_message_id": answer},
        "begin_chat_turn": chat | {"p_message_id": client_id, "p_content": "other words", "p_seen": [str(answer)]},
        "begin_chat_turn ": chat | {"p_message_id": "new", "p_content": "next", "p_seen": [str(answer)]},
        "begin_chat_turn  ": chat | {"p_target_id": str(answer), "p_regenerate": True},
        "delete_message": {"p_message_id": answer},
    }
    costs = {}
    for call, arguments in calls.items():
        whole, by_index = reads(db)
        with db.transaction(force_rollback=True):
            with acting(db, owner):
                rpc(db, call.strip(), **arguments)
            whole_after, by_index_after = reads(db)
        assert whole_after == whole, f"{call}: a scan of the whole table"
        costs[call] = by_index_after - by_index
    # where the statistics take the table for an empty one, all its indexes are alike: once, but not for each message
    again, deleted = costs.pop("begin_chat_turn  "), costs.pop("delete_message")
    assert max(again, deleted) <= 2 * MESSAGES
    assert max(costs.values()) <= 1000, costs


def test_turn_in_a_large_conversation(db: Connection, owner: Caller, conversation: UUID) -> None:
    """The history is its last hundred messages, and what they cost does not grow with the rest."""
    plant_large(db, owner, conversation)
    whole, by_index = reads(db)
    begun = send(db, owner, conversation, "next")
    assert len(begun["history"]) == 100
    whole_after, by_index_after = reads(db)
    assert whole_after == whole
    assert by_index_after - by_index <= 1000


def test_large_branch_is_deleted_at_once(db: Connection, owner: Caller, conversation: UUID) -> None:
    """Deeper than foreign keys can cascade."""
    chain = plant_large(db, owner, conversation)
    changed = delete(db, owner, chain[2])
    left = one(db, "select count(*) from public.messages where conversation_id = %s", [conversation])
    assert 0 < left < MESSAGES
    assert told(db, conversation)["message_count"] == left
    assert branch(db, owner, conversation)[-1]["id"] == changed["head_id"] != str(chain[-1])


# ── exports ──────────────────────────────────────────────────────────────────────────────────────────────────────


def plant_row(db: Connection, owner: Caller, conversation: UUID, messages: int) -> None:
    """So many messages, each of 500 characters."""
    db.execute("alter table public.messages disable trigger user")
    db.execute(
        "insert into public.messages (conversation_id, user_id, role, content) "
        "select %s, %s, 'user', repeat('word ', 100) from generate_series(1, %s)",
        [conversation, owner.id, messages],
    )
    db.execute("alter table public.messages enable trigger user")


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize("known", [True, False], ids=["known", "new"])
def test_export_reads_what_it_shows(db: Connection, owner: Caller, conversation: UUID, known: bool) -> None:
    """Also where somebody else has written in the middle of it."""
    if not known:
        db.execute("analyze public.messages")
    plant_row(db, owner, conversation, 1000)
    plant_others(db, 1, 1, 3000)
    plant_row(db, owner, conversation, 1000)
    if known:
        db.execute("analyze public.messages")
    whole, by_index = reads(db)
    positions: list[int] = []
    more = True
    while more:
        with acting(db, owner):
            part = rpc(db, "export_messages", p_conversation_id=conversation, p_after=max(positions, default=0))
        positions += [item["position"] for item in part["items"]]
        more = part["more"]
    whole_after, by_index_after = reads(db)
    assert len(positions) == 2000
    assert positions == sorted(set(positions))
    assert whole_after == whole, "a scan of the whole table"
    assert by_index_after - by_index <= 3 * 2000


def test_strangers_export_nothing(db: Connection, owner: Caller, stranger: Caller, conversation: UUID) -> None:
    plant_row(db, owner, conversation, 2)
    for caller, found in ((owner, 2), (stranger, 0), (NOBODY, 0)):
        with acting(db, caller):
            part = rpc(db, "export_messages", p_conversation_id=conversation)
        assert len(part["items"]) == found
        assert (part["last"] is not None) == (found > 0)
        assert not part["more"]


# ── imports ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.usefixtures("others")
def test_each_part_of_an_import_costs_the_same(db: Connection, owner: Caller) -> None:
    """However much has been imported before it."""
    db.execute("analyze public.messages")
    ids = [str(uuid.uuid4()) for _ in range(800)]
    file = Import(db, owner, str(uuid.uuid4()), ids[0])
    costs = []
    for start in range(0, len(ids), 100):
        messages = [
            said(ids[place], ids[place - 1] if place else None, "assistant" if place % 2 else "user")
            for place in range(start, start + 100)
        ]
        whole, by_index = reads(db)
        assert file.write(*messages, last=False) == 100
        whole_after, by_index_after = reads(db)
        assert whole_after == whole, "a scan of the whole table"
        costs.append(by_index_after - by_index)
    # a message and its parent are looked up, and whom it follows is checked twice
    assert max(costs) <= 400, costs
