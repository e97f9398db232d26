"""Who is given documents to index: two of one owner at a time, so that others do not wait for all of theirs."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

import psycopg
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


def queue(db: Connection) -> dict[str, float]:
    with acting(db, SERVICE):
        told: dict[str, float] = rpc(db, "index_queue")
    return told


def test_what_waits_is_counted_by_its_state(db: Connection, owner: Caller, stranger: Caller) -> None:
    assert queue(db) | {"failed": 0} == {"queued": 0, "running": 0, "retrying": 0, "failed": 0, "oldest_seconds": 0}
    failed = queue(db)["failed"]
    waiting = put_in(db, owner, 3)
    put_in(db, stranger, 2)
    taken = claim(db, 4)
    assert len(taken) == 4
    postponed, given_up, *running = taken
    with acting(db, SERVICE):
        for document, final in ((postponed, False), (given_up, True)):
            rpc(db, "postpone_index_job", p_worker=WORKER, p_document_id=document, p_error="no", p_final=final)
    db.execute(
        "update private.index_jobs set created_at = now() - interval '1 hour' where document_id = any(%s)",
        [[document for document in waiting if document != given_up][:1]],
    )
    told = queue(db)
    assert told == {
        "queued": 1,
        "running": len(running),
        "retrying": 1,
        "failed": failed + 1,
        "oldest_seconds": told["oldest_seconds"],
    }
    assert 3600 <= told["oldest_seconds"] < 3700


def test_a_lease_that_has_run_out_is_not_running(db: Connection, owner: Caller) -> None:
    put_in(db, owner, 1)
    claim(db, 1)
    assert queue(db)["running"] == 1
    db.execute("update private.index_jobs set due_at = now() - interval '1 second'")
    assert (queue(db)["running"], queue(db)["queued"]) == (0, 1)


def test_users_do_not_learn_of_the_queue(db: Connection, owner: Caller) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(db, owner):
        rpc(db, "index_queue")
