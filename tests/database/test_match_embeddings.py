"""match_embeddings: the caller's passages of one model that are similar enough, best first, and never another's."""

from __future__ import annotations

from typing import Any

import pytest
from psycopg.errors import InsufficientPrivilege
from psycopg.types.json import Jsonb

from tests.database.passages import contents, index
from tests.support.callers import ANON, NOBODY, SERVICE, Caller, Connection, acting, one, vector


def match(db: Connection, caller: Caller, query: str = vector(1), **arguments: Any) -> list[dict[str, Any]]:
    named = "".join(f", {name} => %({name})s" for name in arguments)
    with acting(db, caller):
        rows = db.execute(
            f"select to_jsonb(m) from public.match_embeddings(query_embedding => %(query)s{named}) as m",
            {"query": query, **arguments},
        ).fetchall()
    return [row for (row,) in rows]


def test_returns_the_passage_and_its_document(db: Connection, owner: Caller) -> None:
    document = index(db, owner, "a", vector(2), metadata={"page": 1})
    passage = one(db, "select id from public.embeddings where document_id = %s", [document])
    assert match(db, owner) == [
        {
            "id": str(passage),
            "document_id": str(document),
            "title": "a",
            "content": "a 0",
            "metadata": {"page": 1},
            "similarity": 1,
        }
    ]


def test_best_first_and_at_least_as_similar_as_asked(db: Connection, owner: Caller) -> None:
    # cosines with the query: 0.6, 1, 0.8, 0, -1
    index(db, owner, "a", vector(3, 4), vector(1), vector(4, 3), vector(0, 1), vector(-1))
    assert contents(match(db, owner)) == ["a 1", "a 2"]
    passages = match(db, owner, match_threshold=-1)
    assert contents(passages) == ["a 1", "a 2", "a 0", "a 3", "a 4"]
    assert [passage["similarity"] for passage in passages] == pytest.approx([1, 0.8, 0.6, 0, -1])
    assert contents(match(db, owner, match_threshold=0.59)) == ["a 1", "a 2", "a 0"]


def test_equally_similar_passages_keep_one_order(db: Connection, owner: Caller) -> None:
    index(db, owner, "a", *[vector(1)] * 10)
    ids = [passage["id"] for passage in match(db, owner, match_count=10)]
    assert ids == sorted(ids)
    assert [passage["id"] for passage in match(db, owner, match_count=3)] == ids[:3]


@pytest.mark.parametrize(("count", "found"), [(None, 5), (1, 1), (200, 200), (201, 200), (2**31 - 1, 200)])
def test_count_is_limited(db: Connection, owner: Caller, count: int | None, found: int) -> None:
    index(db, owner, "a", *[vector(1)] * 205)
    assert len(match(db, owner, match_count=count)) == found


def test_five_unless_told_otherwise(db: Connection, owner: Caller) -> None:
    index(db, owner, "a", *[vector(1)] * 6)
    assert len(match(db, owner)) == 5


def test_filter_is_contained_in_the_metadata(db: Connection, owner: Caller) -> None:
    index(db, owner, "a", vector(1), metadata={"lang": "en", "tags": ["x", "y"]})
    index(db, owner, "b", vector(1), metadata={"lang": "de"})
    for wanted, found in (
        ({"lang": "en"}, ["a 0"]),
        ({"tags": ["y"]}, ["a 0"]),
        ({"lang": "fr"}, []),
        ({"lang": "en", "tags": ["z"]}, []),
    ):
        assert contents(match(db, owner, filter=Jsonb(wanted))) == found
    assert len(match(db, owner, filter=None)) == 2


def test_passages_without_direction_match_nothing(db: Connection, owner: Caller) -> None:
    """The cosine with a zero vector is no number, which must not count as similar."""
    index(db, owner, "a", vector(0))
    assert match(db, owner, match_threshold=-1) == []


def test_only_the_caller_s(db: Connection, owner: Caller, stranger: Caller) -> None:
    index(db, owner, "secret", vector(1), metadata={"user_id": str(owner.id)})
    index(db, stranger, "own", vector(1))
    assert contents(match(db, stranger, match_threshold=-1, match_count=200)) == ["own 0"]
    assert match(db, NOBODY, match_threshold=-1) == []


@pytest.mark.parametrize("forged", [{"user_id": "{owner}"}, {"document_id": "{document}"}, {}], ids=str)
def test_forged_filter_reaches_nobody_else(
    db: Connection, owner: Caller, stranger: Caller, forged: dict[str, str]
) -> None:
    document = index(db, owner, "secret", vector(1), metadata={"user_id": str(owner.id)})
    claims = {key: value.format(owner=owner.id, document=document) for key, value in forged.items()}
    assert match(db, stranger, filter=Jsonb(claims), match_threshold=-1) == []


def test_does_not_lean_on_row_level_security(db: Connection, owner: Caller, stranger: Caller) -> None:
    index(db, owner, "secret", vector(1))
    for table, policy in (
        ("embeddings", "Owners read their passages"),
        ("documents", "Owners read their documents"),
    ):
        db.execute(f'alter policy "{policy}" on public.{table} using (true)')
    assert match(db, stranger, match_threshold=-1) == []


def test_row_level_security_alone_would_do(db: Connection, owner: Caller, stranger: Caller) -> None:
    """The function runs with the caller's rights, so that its own filter is the second lock, not the only one."""
    document = index(db, owner, "secret", vector(1))
    with acting(db, stranger):
        assert one(db, "select count(*) from public.embeddings where document_id = %s", [document]) == 0
    assert one(db, "select not prosecdef from pg_catalog.pg_proc where proname = 'match_embeddings'")


@pytest.mark.parametrize("caller", [ANON, SERVICE], ids=lambda caller: caller.role)
def test_only_users_search(db: Connection, caller: Caller) -> None:
    with pytest.raises(InsufficientPrivilege):
        match(db, caller)
