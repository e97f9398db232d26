"""Whose passages are in the HNSW index: those of owners who have more than are ranked, and nobody else's."""

from __future__ import annotations

import time
from uuid import UUID

import psycopg

from scripts.bench.passages import RANKED
from scripts.local_supabase import LocalSupabase
from tests.database.passages import MODEL, index
from tests.database.tables import vector
from tests.support.callers import SERVICE, Caller, Connection, acting, one, rpc


def counts(db: Connection, owner: Caller) -> tuple[int, int]:
    """The owner's passages, and those of them in the index."""
    [row] = db.execute(
        "select passages, in_index from private.passage_counts where user_id = %s", [owner.id]
    ).fetchall()
    return (row[0], row[1])


def in_index(db: Connection, document: UUID) -> int:
    found: int = one(db, "select count(*) from public.embeddings where document_id = %s and large_owner", [document])
    return found


def grow(db: Connection, owner: Caller) -> None:
    """As if the owner had so many passages more, all of which are in the index."""
    db.execute(
        "update private.passage_counts set passages = passages + %(many)s, in_index = in_index + %(many)s "
        "where user_id = %(owner)s",
        {"many": RANKED, "owner": owner.id},
    )


def prefers_index(db: Connection, owner: Caller) -> bool:
    with acting(db, owner):
        preferred: bool = one(db, "select private.prefers_index(%s, %s, 5)", [owner.id, MODEL])
    return preferred


def work(db: Connection) -> None:
    """Until nothing is left to be put into the index: what the service does every few seconds."""
    with acting(db, SERVICE):
        while rpc(db, "index_waiting_texts"):
            pass


def reached(db: Connection, owner: Caller, expected: tuple[int, int]) -> bool:
    """Whether the owner's counts come to this. An API of other tests may do the same work at the same time."""
    deadline = time.monotonic() + 20
    while counts(db, owner) != expected and time.monotonic() < deadline:
        work(db)
    return counts(db, owner) == expected


def test_passages_of_small_owners_are_not_in_the_index(db: Connection, owner: Caller) -> None:
    document = index(db, owner, "small", vector(1), vector(2))
    work(db)
    assert in_index(db, document) == 0
    assert counts(db, owner) == (2, 0)


def test_passages_of_an_owner_who_has_grown_are_put_into_the_index(db: Connection, owner: Caller) -> None:
    before = index(db, owner, "before", vector(1), vector(2))
    grow(db, owner)
    assert not prefers_index(db, owner)  # which would not find them
    work(db)
    assert in_index(db, before) == 2
    assert counts(db, owner) == (RANKED + 2, RANKED + 2)
    assert prefers_index(db, owner)


def test_new_passages_of_a_large_owner_are_in_the_index_at_once(db: Connection, owner: Caller) -> None:
    index(db, owner, "before", vector(1))
    grow(db, owner)
    work(db)
    after = index(db, owner, "after", vector(2), vector(3))
    assert in_index(db, after) == 2
    assert counts(db, owner) == (RANKED + 3, RANKED + 3)
    assert prefers_index(db, owner)


def test_vectors_of_another_model_are_counted_for_themselves(db: Connection, owner: Caller) -> None:
    index(db, owner, "before", vector(1))
    grow(db, owner)
    work(db)
    other = index(db, owner, "other", vector(2), model="another")
    assert in_index(db, other) == 0


def test_deleted_passages_are_no_longer_counted(db: Connection, owner: Caller) -> None:
    document = index(db, owner, "before", vector(1), vector(2))
    grow(db, owner)
    work(db)
    db.execute("delete from public.documents where id = %s", [document])
    assert counts(db, owner) == (RANKED, RANKED)
    assert not prefers_index(db, owner)


def test_passages_that_others_hold_are_not_waited_for(
    connection: Connection, stack: LocalSupabase, user: Caller
) -> None:
    """A document that is being replaced holds its passages, and waits for their owner's count."""
    index(connection, user, "held", vector(1))
    index(connection, user, "free", vector(2))
    grow(connection, user)
    with psycopg.connect(stack.database_url) as other:
        other.execute("select from public.embeddings where user_id = %s and content = 'held 0' for update", [user.id])
        connection.execute("set lock_timeout = '2s'")
        try:
            assert reached(connection, user, (RANKED + 2, RANKED + 1))
        finally:
            connection.execute("reset lock_timeout")
        other.rollback()
    assert reached(connection, user, (RANKED + 2, RANKED + 2))


def test_counts_that_were_wrong_are_right_when_nothing_is_left(db: Connection, owner: Caller) -> None:
    index(db, owner, "before", vector(1))
    grow(db, owner)
    db.execute("update private.passage_counts set in_index = in_index - 7 where user_id = %s", [owner.id])
    work(db)
    assert counts(db, owner) == (RANKED + 1, RANKED + 1)
    assert prefers_index(db, owner)


def test_the_index_has_large_owners_alone(db: Connection) -> None:
    definition = one(db, "select pg_get_indexdef('public.embeddings_large_owner_idx'::regclass)")
    assert definition.endswith("WHERE large_owner")
    assert one(db, "select to_regclass('public.embeddings_embedding_idx')") is None
