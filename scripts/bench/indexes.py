"""Measures ways to index the passages' vectors in one run: `make bench-indexes`, `ARGS=--full` for 200,000 passages.

Each candidate is built on the same table, alone, then walked by owners of different sizes under row level security, and
written to. CPU is of all Postgres processes that build, so that other work on the machine matters less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import psutil
import psycopg

from scripts.bench.passages import Corpus, Owner
from scripts.bench.search import ANSWER, Connection, load, questions, timed
from scripts.local_supabase import LocalSupabase

INDEX = "public.embeddings_candidate_idx"
CURRENT = "public.embeddings_large_owner_idx"
ROUNDS = 3
WANTED = 20
BATCH = 64
"""Passages that the indexer stores with one call."""

HALF = "(embedding::extensions.halfvec(1536)) extensions.halfvec_cosine_ops"
BITS = "(extensions.binary_quantize(embedding)::bit(1536)) extensions.bit_hamming_ops"
OF_LARGE = "where large_owner"
WALK = """
create or replace function bench.walk(
  p_user_id uuid, p_query extensions.vector, p_count integer, p_filter jsonb, p_model text, p_hidden bigint[]
) returns uuid[]
language plpgsql stable set search_path = ''
set hnsw.iterative_scan = 'strict_order' set hnsw.ef_search = {search} set hnsw.max_scan_tuples = 20000
set hnsw.scan_mem_multiplier = 4 set enable_sort = {sort}
as $$
declare
  v_ids uuid[];
begin
  {body}
  return v_ids;
end
$$
"""
NEAREST = """
  select e.id, e.embedding from public.embeddings as e
  where
    e.user_id = p_user_id and e.embedding_model = p_model and e.revision <> all(p_hidden) {part}
    and (p_filter = '{{}}' or e.metadata @> p_filter)
  order by {distance} limit {limit}
"""
HALF_DISTANCE = "e.embedding::extensions.halfvec(1536) operator(extensions.<=>) p_query::extensions.halfvec(1536)"
BIT_DISTANCE = (
    "extensions.binary_quantize(e.embedding)::bit(1536) operator(extensions.<~>) "
    "extensions.binary_quantize(p_query)::bit(1536)"
)


class Candidate(NamedTuple):
    name: str
    columns: str
    """What is indexed."""
    links: int = 16
    construction: int = 128
    of_large: bool = False
    """Only owners of more than 2,000 passages are in the index."""
    workers: int = 2
    memory: str = "1GB"
    search: int = 200

    @property
    def definition(self) -> str:
        return (
            f"create index embeddings_candidate_idx on public.embeddings using hnsw ({self.columns}) "
            f"with (m = {self.links}, ef_construction = {self.construction}) {OF_LARGE if self.of_large else ''}"
        )

    @property
    def walk(self) -> str:
        part = "and e.large_owner" if self.of_large else ""
        if self.columns == HALF:
            inner = NEAREST.format(part=part, distance=HALF_DISTANCE, limit="p_count + p_count / 2 + 5")
            body = f"select array_agg(n.id) into v_ids from ({inner}) as n;"  # noqa: S608
            return WALK.format(search=self.search, sort="off", body=body)
        # what the bits find is ranked by the vectors: ten times as many as are wanted, or recall is lost
        inner = NEAREST.format(part=part, distance=BIT_DISTANCE, limit="p_count * 10")
        body = (
            f"select array_agg(r.id) into v_ids from (select n.id from ({inner} offset 0) as n "  # noqa: S608
            "order by n.embedding operator(extensions.<=>) p_query limit p_count) as r;"
        )
        return WALK.format(search=self.search, sort="on", body=body)


CANDIDATES = (
    Candidate("halfvec, large owners", HALF, of_large=True),
    Candidate("halfvec, large owners, ef_construction 64", HALF, construction=64, of_large=True),
    Candidate("bits, ranked again, large owners", BITS, of_large=True),
    Candidate("halfvec, all owners", HALF),
    Candidate("the same, ef_construction 64", HALF, construction=64),
    Candidate("the same, m 12, ef_construction 64", HALF, links=12, construction=64),
    Candidate("bits, ranked again, all owners", BITS),
    Candidate("halfvec, all owners, built by one process", HALF, workers=0),
    Candidate("halfvec, all owners, built in 128 MB", HALF, memory="128MB"),
)


@dataclass
class Built:
    seconds: float
    cpu: float
    megabytes: float


def cpu_seconds(db: Connection) -> float:
    """Of this session, and of all processes that Postgres has started and ended."""
    backend = psutil.Process(db.info.backend_pid)
    server = backend.parent()
    assert server is not None
    own, ended = backend.cpu_times(), server.cpu_times()
    return float(own.user + own.system + ended.children_user + ended.children_system)


def build(db: Connection, candidate: Candidate) -> Built:
    db.execute(f"drop index if exists {INDEX}")
    db.execute(f"set maintenance_work_mem = '{candidate.memory}'")
    db.execute(f"set max_parallel_maintenance_workers = {candidate.workers}")
    cpu, started = cpu_seconds(db), time.perf_counter()
    db.execute(candidate.definition)
    seconds = time.perf_counter() - started
    row = db.execute(f"select pg_relation_size('{INDEX}')").fetchone()
    assert row is not None
    return Built(seconds, cpu_seconds(db) - cpu, row[0] / 1_048_576)


def answers(db: Connection, plan: str, asked: Sequence[dict[str, str]]) -> tuple[list[set[UUID]], list[float]]:
    """What the plan finds for each question, and its milliseconds without the first round."""
    statement = ANSWER.replace("private.{plan}", plan).replace("{{}}", "{}")
    times: list[float] = []
    for number in range(1 + ROUNDS):
        found = []
        for question in asked:
            with db.transaction():
                db.execute(
                    "select set_config('role', 'authenticated', true), set_config('request.jwt.claims', %s, true)",
                    [question["claims"]],
                )
                started = time.perf_counter()
                rows = db.execute(statement, {"query": question["query"], "count": WANTED}, prepare=True).fetchall()
                if number > 0:
                    times.append((time.perf_counter() - started) * 1000)
            found.append({row[0] for row in rows})
    return found, times


def writing(db: Connection, owner: Owner, rows: Sequence[str]) -> float:
    """Milliseconds of CPU for a passage that is stored in a batch; the median of five."""
    samples = []
    document = db.execute("select id from public.documents where user_id = %s limit 1", [owner.id]).fetchone()
    assert document is not None
    for number in range(5):
        before = cpu_seconds(db)
        with db.transaction(force_rollback=True), db.cursor() as cursor:
            cursor.executemany(
                "insert into public.embeddings "
                "(document_id, user_id, revision, passage, content, embedding, embedding_model) "
                "values (%s, %s, %s, %s, 'text', %s, 'bench')",
                [(document[0], owner.id, number + 1, place, vector) for place, vector in enumerate(rows)],
            )
        samples.append((cpu_seconds(db) - before) * 1000 / len(rows))
    return statistics.median(samples)


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure(db: Connection, corpus: Corpus, candidates: Sequence[Candidate]) -> None:
    sizes = [size for size in (5000, 50_000) if any(owner.passages == size for owner in corpus.owners)]
    owners = {size: [owner for owner in corpus.owners if owner.passages == size] for size in (10, *sizes)}
    asked = {size: questions(db, corpus, owners[size]) for size in sizes}
    batch = [question["query"] for size in sizes for question in asked[size]][:BATCH]
    true = {size: answers(db, "private.nearest_by_rank", asked[size]) for size in sizes}
    ranking = ", ".join(
        f"{size:,}: {quantile(times, 0.5):.1f} / {quantile(times, 0.95):.1f}" for size, (_, times) in true.items()
    )
    print(f"ranking, p50 / p95 in ms: {ranking}\n")
    head = [
        "index",
        "built, s",
        "CPU, s",
        "MB",
        *(f"{size:,}: p50 / p95 ms (recall)" for size in sizes),
        "stored, small owner: ms",
        "large owner",
    ]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    for candidate in candidates:
        built = build(db, candidate)
        db.execute(candidate.walk)
        cells = [candidate.name, f"{built.seconds:.0f}", f"{built.cpu:.0f}", f"{built.megabytes:.0f}"]
        for size in sizes:
            found, times = answers(db, "bench.walk", asked[size])
            recall = statistics.mean(
                len(ids & right) / len(right) for ids, right in zip(found, true[size][0], strict=True)
            )
            cells.append(f"{quantile(times, 0.5):.1f} / {quantile(times, 0.95):.1f} ({recall:.3f})")
        cells += [f"{writing(db, owners[size][0], batch):.1f}" for size in (10, sizes[-1])]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-indexes", description=__doc__)
    parser.add_argument("--full", action="store_true", help="200,000 passages instead of 60,000")
    parser.add_argument("--only", default="", help="the candidates whose names have this in them")
    options = parser.parse_args()
    corpus = Corpus(200_000 if options.full else 60_000)
    total = sum(owner.passages for owner in corpus.owners)
    print(f"{total:,} passages of {len(corpus.owners):,} owners, 1,536 dimensions, {WANTED} wanted")
    with LocalSupabase.throwaway() as stack, psycopg.connect(stack.superuser_url, autocommit=True) as db:
        db.execute(f"drop index {CURRENT}")
        db.execute("create schema bench; grant usage on schema bench to authenticated")
        db.execute("alter table public.embeddings set (autovacuum_enabled = off)")
        db.execute("set session_replication_role = replica")
        timed("load", lambda: load(db, corpus))
        db.execute("set session_replication_role = origin")
        db.execute("vacuum (analyze) public.embeddings, public.documents")
        measure(db, corpus, [candidate for candidate in CANDIDATES if options.only in candidate.name])


if __name__ == "__main__":
    main()
