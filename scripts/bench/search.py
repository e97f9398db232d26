"""Measures search under row level security, as users' calls run it: `make bench-search`, `--full` for 200,000 passages.

For owners with different numbers of passages in one table, it compares the time and the recall of match_embeddings with
those of the two plans from which it chooses, and with the usual way: an IVFFlat index whose rows are filtered
afterwards.
"""

from __future__ import annotations

import argparse
import json
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import psycopg

from scripts.bench import passages as made
from scripts.bench.passages import Corpus, Owner
from scripts.local_supabase import LocalSupabase

MODEL = "bench"
QUESTIONS = 40
ROUNDS = 2
COUNTS = (5, 20)
USUAL = """
create schema original;
create table original.embeddings (
  id uuid primary key, user_id uuid not null, embedding extensions.vector(1536) not null
);
alter table original.embeddings enable row level security;
create policy own on original.embeddings for select to authenticated using ((select auth.uid()) = user_id);
grant usage on schema original to authenticated;
grant select on original.embeddings to authenticated;
"""
# what match_embeddings does with the ids that a plan has found
ANSWER = """
select p.*, d.title
from unnest(private.{plan}(
  auth.uid(), %(query)s::extensions.vector, %(count)s::integer, '{{}}', 'bench',
  private.unfinished_revisions(auth.uid())
)) as n (id)
cross join lateral (
  select
    e.id, e.document_id, e.content, e.metadata,
    e.embedding operator(extensions.<=>) %(query)s::extensions.vector as distance
  from public.embeddings as e
  where e.id = n.id and e.user_id = (select auth.uid())
  offset 0
) as p
cross join lateral (select t.title from public.documents as t where t.id = p.document_id offset 0) as d
order by p.distance, p.id
limit %(count)s
"""
PLANS = {
    "exact": ANSWER.format(plan="nearest_by_rank"),
    "hnsw": ANSWER.format(plan="nearest_by_index"),
    "chosen": """
        select id from public.match_embeddings(%(query)s::extensions.vector, -1, %(count)s::integer, '{}', 'bench')
    """,
    "original": """
        select id from original.embeddings
        order by embedding operator(extensions.<=>) %(query)s::extensions.vector limit %(count)s
    """,
}

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass
class Figures:
    """Milliseconds and recall of one plan, for owners of one size and one number of wanted passages."""

    times: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)

    @property
    def p50(self) -> float:
        return float(np.quantile(self.times, 0.5))

    @property
    def p99(self) -> float:
        return float(np.quantile(self.times, 0.99))

    @property
    def recall(self) -> float:
        return float(np.mean(self.recalls))


def load(db: Connection, corpus: Corpus) -> None:
    """Fill the tables as the indexer would, but faster: the index and the counts are made afterwards."""
    with db.cursor().copy("copy auth.users (id, email, aud, role) from stdin") as copy:
        for owner in corpus.owners:
            copy.write_row((owner.id, f"{owner.id}@example.com", "authenticated", "authenticated"))
    documents: list[tuple[UUID, UUID]] = []
    columns = "document_id, user_id, passage, content, embedding, embedding_model, large_owner"
    with db.cursor().copy(f"copy public.embeddings ({columns}) from stdin (format binary)") as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0))
        for owner, document_id, vectors in corpus.documents():
            documents.append((document_id, owner.id))
            for place, vector in enumerate(vectors):
                values = (
                    document_id.bytes,
                    owner.id.bytes,
                    struct.pack("!i", place),
                    corpus.words().encode(),
                    made.vector_bytes(vector),
                    MODEL.encode(),
                    struct.pack("!?", owner.passages > made.RANKED),
                )
                copy.write(struct.pack("!h", len(values)) + b"".join(map(made.field, values)))
        copy.write(struct.pack("!h", -1))
    with db.cursor().copy("copy public.documents (id, user_id, title, status) from stdin") as copy:
        for document_id, owner_id in documents:
            copy.write_row((document_id, owner_id, str(document_id), "ready"))
    db.execute(
        "insert into private.passage_counts (user_id, embedding_model, passages, in_index) "
        "select user_id, embedding_model, count(*), count(*) filter (where large_owner) "
        "from public.embeddings group by 1, 2"
    )


def timed(what: str, do: Callable[[], object]) -> None:
    started = time.perf_counter()
    do()
    print(f"{what:<55}{time.perf_counter() - started:8.1f} s", flush=True)


def size(db: Connection, relation: str) -> str:
    """The size of a table with its TOAST data, or of an index."""
    row = db.execute(
        "select pg_size_pretty(case when relkind = 'r' then pg_table_size(oid) else pg_relation_size(oid) end) "
        "from pg_class where oid = %s::regclass",
        [relation],
    ).fetchone()
    assert row is not None
    return str(row[0])


def prepare(db: Connection, corpus: Corpus) -> None:
    """Load everything, and print sizes and times."""
    index = "public.embeddings_large_owner_idx"
    definition = db.execute("select pg_get_indexdef(%s::regclass)", [index]).fetchone()
    assert definition is not None
    db.execute(f"drop index {index}")
    db.execute("set session_replication_role = replica")
    db.execute("set maintenance_work_mem = '1GB'")
    timed("load", lambda: load(db, corpus))
    db.execute("set session_replication_role = origin")
    timed("build the HNSW index of large owners (halfvec)", lambda: db.execute(definition[0]))
    db.execute(USUAL)
    timed(
        "copy for the original",
        lambda: db.execute("insert into original.embeddings select id, user_id, embedding from public.embeddings"),
    )
    timed(
        "build its IVFFlat index (lists 100)",
        lambda: db.execute(
            "create index original_embedding_idx on original.embeddings "
            "using ivfflat (embedding extensions.vector_cosine_ops) with (lists = 100)"
        ),
    )
    timed("vacuum", lambda: db.execute("vacuum (analyze) public.embeddings, public.documents, original.embeddings"))
    for name, relation in (
        ("passages, vectors in their rows", "public.embeddings"),
        ("HNSW index", index),
        ("full text index", "public.embeddings_user_id_fts_idx"),
        ("the original's table", "original.embeddings"),
        ("its IVFFlat index", "original.original_embedding_idx"),
    ):
        print(f"{name:<55}{size(db, relation):>10}")


def questions(db: Connection, corpus: Corpus, owners: list[Owner]) -> list[dict[str, str]]:
    """Questions near some passage of their owner: the query's vector and the owner's claims."""
    made_up = []
    for number in range(QUESTIONS):
        owner = owners[number % len(owners)]
        row = db.execute(
            "select embedding::text from public.embeddings where id = "
            "(select id from public.embeddings where user_id = %s order by id offset %s limit 1)",
            [owner.id, number * 7919 % owner.passages],
        ).fetchone()
        assert row is not None
        query = json.dumps([round(float(x), 7) for x in corpus.question(np.array(json.loads(row[0]), np.float32))])
        made_up.append({"query": query, "claims": json.dumps({"role": "authenticated", "sub": str(owner.id)})})
    return made_up


def ask(db: Connection, asked: list[dict[str, str]], count: int) -> dict[str, Figures]:
    """Every plan answers all questions as their owners. The plans run one after the other, so that none finds a
    question's pages in memory because another plan has just read them. The first round only fills the caches."""
    figures = {plan: Figures() for plan in PLANS}
    for round in range(1 + ROUNDS):
        answers: dict[str, list[set[UUID]]] = {plan: [] for plan in PLANS}
        for plan in PLANS:
            for question in asked:
                with db.transaction():
                    db.execute(
                        "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)",
                        [question["claims"]],
                    )
                    # otherwise the planner may prefer to read the whole table instead of the index
                    db.execute(f"set local enable_sort = {'off' if plan == 'original' else 'on'}")
                    started = time.perf_counter()
                    arguments = {"query": question["query"], "count": count}
                    found = db.execute(PLANS[plan], arguments, prepare=True).fetchall()
                    if round > 0:
                        figures[plan].times.append((time.perf_counter() - started) * 1000)
                answers[plan].append({row[0] for row in found})
    for plan, found_ids in answers.items():
        pairs = zip(found_ids, answers["exact"], strict=True)
        figures[plan].recalls = [len(ids & true) / len(true) for ids, true in pairs]
    return figures


def report(db: Connection, corpus: Corpus) -> None:
    print("\np50 / p99 in ms (recall against exact)\n")
    head = ("passages of the owner", "wanted", "chosen", "exact", "HNSW", "chosen : faster", "original")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for passages in sorted({owner.passages for owner in corpus.owners} & {*made.MEASURED, made.LARGE}):
        owners = [owner for owner in corpus.owners if owner.passages == passages]
        asked = questions(db, corpus, owners)
        for count in COUNTS:
            got = ask(db, asked, count)
            wanted = 1.0 if passages <= 2000 else 0.98
            good = [got["exact"].p50] + ([got["hnsw"].p50] if got["hnsw"].recall >= wanted else [])
            cells = [f"{got[p].p50:.1f} / {got[p].p99:.1f} ({got[p].recall:.3f})" for p in PLANS]
            ratio = f"{got['chosen'].p50 / min(good):.2f}"
            print(
                f"| {passages:,} | {count} | {cells[2]} | {cells[0]} | {cells[1]} | {ratio} | {cells[3]} |", flush=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-search", description=__doc__)
    parser.add_argument("--full", action="store_true", help="200,000 passages instead of 60,000")
    parser.add_argument("--passages", type=int, help="another number of passages")
    options = parser.parse_args()
    corpus = Corpus(options.passages or (200_000 if options.full else 60_000))
    total = sum(owner.passages for owner in corpus.owners)
    print(f"{total:,} passages of {len(corpus.owners):,} owners, 1,536 dimensions")
    with LocalSupabase.throwaway() as stack, psycopg.connect(stack.superuser_url, autocommit=True) as db:
        prepare(db, corpus)
        report(db, corpus)


if __name__ == "__main__":
    main()
