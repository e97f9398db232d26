"""The plan follows the owner's size: small ones are ranked exactly, large ones walk the index, nobody gets too few."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import numpy as np
import psycopg
import pytest
from psycopg.types.json import Jsonb

from scripts.bench.passages import PER_DOCUMENT, RANKED, Corpus, Owner, Vectors, vector_bytes
from scripts.local_supabase import LocalSupabase
from tests.support.service import Person, sign_up

MODEL = "text-embedding-3-small"
LARGE, SMALL = 10_000, 5
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass
class Library:
    """B with 10,000 passages and A with 5, all about the same few topics; and what the planner did."""

    db: Connection
    notices: list[str]
    small: Person
    large: Person
    queries: list[str]

    def call(self, person: Person, statement: str, **arguments: object) -> list[tuple[Any, ...]]:
        """A statement as this person; `notices` then hold the plans of all statements inside."""
        claims = json.dumps({"role": "authenticated", "sub": person.id})
        with self.db.transaction():
            self.db.execute(
                "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)", [claims]
            )
            self.notices.clear()
            return self.db.execute(statement, arguments).fetchall()

    def match(self, person: Person, query: str, count: int, **more: object) -> list[tuple[UUID, float]]:
        named = "".join(f", {name} => %({name})s" for name in more)
        return [
            (row[0], row[1])
            for row in self.call(
                person,
                f"select id, similarity from public.match_embeddings(%(query)s, -1, %(count)s{named})",  # noqa: S608
                query=query,
                count=count,
                **more,
            )
        ]

    def ranked(self, person: Person, query: str, count: int) -> list[UUID]:
        """The truth: all of the person's passages, sorted."""
        rows = self.db.execute(
            "select id from public.embeddings where user_id = %s and embedding_model = %s "
            "order by (embedding operator(extensions.<=>) %s::extensions.vector) + 0, id limit %s",
            [person.id, MODEL, query, count],
        )
        return [row[0] for row in rows.fetchall()]

    @property
    def plans(self) -> str:
        return "\n".join(self.notices)


def copy_passages(db: Connection, documents: Sequence[tuple[Owner, UUID, Vectors]], number: int) -> None:
    """Store the documents' passages; the first document is the one with this number."""
    columns = "document_id, user_id, passage, content, metadata, embedding, embedding_model"
    with db.cursor().copy(f"copy public.embeddings ({columns}) from stdin (format binary)") as copy:
        copy.set_types(["uuid", "uuid", "int4", "text", "jsonb", "bytea", "text"])
        for at, (owner, document_id, vectors) in enumerate(documents, number):
            for place, vector in enumerate(vectors):
                metadata = Jsonb({"rare": place == 0 and at % 100 == 0})
                copy.write_row(
                    (document_id, owner.id, place, f"passage {place}", metadata, vector_bytes(vector), MODEL)
                )


@pytest.fixture(scope="module")
async def people(stack: LocalSupabase) -> tuple[Person, Person]:
    return await sign_up(stack), await sign_up(stack)


@pytest.fixture(scope="module")
def library(stack: LocalSupabase, people: tuple[Person, Person]) -> Iterator[Library]:
    small, large = people
    corpus = Corpus(60_000, seed=11)
    topics = corpus.owners[0].topics
    corpus.owners = [Owner(UUID(small.id), SMALL, topics), Owner(UUID(large.id), LARGE, topics)]
    notices: list[str] = []
    with psycopg.connect(stack.superuser_url, autocommit=True) as db:
        db.execute("set maintenance_work_mem = '512MB'")
        index = db.execute("select pg_get_indexdef('public.embeddings_large_owner_idx'::regclass)").fetchone()
        assert index is not None
        db.execute("drop index public.embeddings_large_owner_idx")  # made again at once: quicker than 10,000 insertions
        documents = list(corpus.documents())
        with db.cursor().copy("copy public.documents (id, user_id, title, status) from stdin") as copy:
            for owner, document_id, _ in documents:
                copy.write_row((document_id, owner.id, "Seeded", "ready"))
        # an owner who grows: the first passages are put into the index afterwards, all others at once
        first = RANKED // PER_DOCUMENT + 2
        copy_passages(db, documents[:first], 0)
        while db.execute("select private.index_large_owners()").fetchone() == (True,):
            pass
        copy_passages(db, documents[first:], first)
        db.execute(index[0])
        db.execute("analyze public.embeddings")
        queries = [
            json.dumps([round(float(x), 6) for x in corpus.question(vectors[0])])
            for _, _, vectors in documents[:200:20]
        ]
        db.add_notice_handler(lambda notice: notices.append(notice.message_primary or ""))
        db.execute(
            "load 'auto_explain'; set auto_explain.log_min_duration = 0; set auto_explain.log_nested_statements = on; "
            "set auto_explain.log_level = 'notice'"
        )
        yield Library(db, notices, small, large, queries)
        db.execute("delete from auth.users where id = any(%s)", [[small.id, large.id]])


def test_a_small_owner_beside_a_large_one_gets_exactly_their_best(library: Library) -> None:
    for query in library.queries:
        found = library.match(library.small, query, 5)
        assert [passage for passage, _ in found] == library.ranked(library.small, query, 5)
        assert len(found) == 5
        assert [similarity for _, similarity in found] == sorted((s for _, s in found), reverse=True)


@pytest.mark.parametrize("filter", ["{}", '{"user_id": "%(large)s"}', '{"rare": true}'])
def test_no_filter_reaches_another_owner(library: Library, filter: str) -> None:
    forged = filter % {"large": library.large.id}
    own = {passage for passage, _ in library.match(library.small, library.queries[0], 200)}
    assert len(own) == SMALL
    assert {passage for passage, _ in library.match(library.small, library.queries[0], 200, filter=forged)} <= own


async def test_nor_does_the_data_api(library: Library, stack: LocalSupabase) -> None:
    headers = {"apikey": stack.publishable_key, **library.small.headers}
    body = {"query_embedding": library.queries[0], "match_threshold": -1, "match_count": 200}
    async with httpx.AsyncClient(base_url=f"{stack.url}/rest/v1", headers=headers, timeout=20) as client:
        answer = await client.post("/rpc/match_embeddings", json=body)
        assert answer.status_code == 200, answer.text
        assert [UUID(row["id"]) for row in answer.json()] == library.ranked(library.small, library.queries[0], 5)
        hybrid = {"query_text": "passage", **body}
        answer = await client.post("/rpc/search_passages", json=hybrid)
        assert answer.status_code == 200, answer.text
        assert {UUID(row["id"]) for row in answer.json()} == set(library.ranked(library.small, library.queries[0], 5))


@pytest.mark.parametrize("count", [5, 20])
def test_recall_of_a_large_owner(library: Library, count: int) -> None:
    recalls = []
    for query in library.queries:
        found = {passage for passage, _ in library.match(library.large, query, count)}
        assert len(found) == count
        recalls.append(len(found & set(library.ranked(library.large, query, count))) / count)
    assert np.mean(recalls) >= 0.98


def test_a_small_owner_is_ranked(library: Library) -> None:
    library.match(library.small, library.queries[0], 5)
    assert "embeddings_user_id_embedding_model_idx" in library.plans
    assert "embeddings_large_owner_idx" not in library.plans


def test_a_large_owner_walks_the_index(library: Library) -> None:
    library.match(library.large, library.queries[0], 5)
    assert "Index Scan using embeddings_large_owner_idx" in library.plans
    assert "Seq Scan on embeddings" not in library.plans


def test_words_are_found_by_their_index(library: Library) -> None:
    found = library.call(
        library.large,
        "select content from public.search_passages('“3”', %(query)s, 1)",
        query=library.queries[0],
    )
    assert {content for (content,) in found} == {"passage 3"}
    assert "embeddings_user_id_fts_idx" in library.plans


def test_a_walk_that_finds_too_few_is_not_the_answer(library: Library) -> None:
    """Of a hundred documents one has it: the walk gives up before it has met enough, and ranking takes over."""
    rare = library.db.execute(
        "select count(*) from public.embeddings where user_id = %s and metadata @> '{\"rare\": true}'",
        [library.large.id],
    ).fetchone()
    assert rare is not None
    assert 0 < rare[0] < 20
    assert len(library.match(library.large, library.queries[0], 20, filter='{"rare": true}')) == rare[0]


def test_the_vectors_of_another_model_are_not_compared(library: Library) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=f"embedding model local; they have {MODEL}"):
        library.match(library.large, library.queries[0], 5, embedding_model="local")


def test_counts_are_true(library: Library) -> None:
    counted = library.db.execute(
        "select user_id::text, passages, in_index from private.passage_counts where user_id = any(%s)",
        [[library.small.id, library.large.id]],
    ).fetchall()
    assert set(counted) == {(library.small.id, SMALL, 0), (library.large.id, LARGE, LARGE)}
