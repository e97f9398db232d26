"""Who is given documents to index: two of one owner at a time, so that others do not wait for all of theirs."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from tests.support.callers import SERVICE, Caller, Connection, acting, rpc

WORKER = uuid.uuid4()


@pytest.fixture(autouse=True)
def nothing_else_waits(db: Connection) -> None:
    db.execute("delete from private.index_jobs")


def put_in(db: Connection, owner: Caller, number: int) -> list[UUID]:
    """Documents that wait for indexing."""
    with acting(db, owner):
        made = [
            rpc(
                db,
                "create_document",
                p_title="x",
                p_passages=Jsonb([{"content": "x"}]),
                p_content_hash=uuid.uuid4().hex,
            )
            for _ in range(number)
        ]
    return [UUID(document["document"]["id"]) for document in made]


def claim(db: Connection, limit: int, worker: UUID = WORKER) -> set[UUID]:
    with acting(db, SERVICE):
        jobs: list[dict[str, Any]] = rpc(
            db, "claim_index_jobs", p_worker=worker, p_embedding_model="a-model", p_limit=limit
        )
    return {UUID(job["document_id"]) for job in jobs}


def test_one_owner_has_two_places_and_leaves_the_third(db: Connection, owner: Caller, stranger: Caller) -> None:
    mine = put_in(db, owner, 5)
    assert len(claim(db, 3)) == 2
    assert claim(db, 1) == set()
    theirs = put_in(db, stranger, 1)
    assert claim(db, 1) == set(theirs)
    # another process has places of its own
    assert len(claim(db, 3, uuid.uuid4()) & set(mine)) == 2


def test_next_one_comes_when_one_is_indexed_or_postponed(db: Connection, owner: Caller) -> None:
    put_in(db, owner, 4)
    first, second = claim(db, 3)
    db.execute("delete from private.index_jobs where document_id = %s", [first])
    assert len(claim(db, 3)) == 1
    with acting(db, SERVICE):
        rpc(db, "postpone_index_job", p_worker=WORKER, p_document_id=second, p_error="later", p_final=False)
    assert len(claim(db, 3)) == 1
