"""Measures what users do with 100,000 and with many more messages and passages in the tables: `make bench-scale`,
`ARGS="--rows 10000000"` for 10 million of each (an hour, 40 GB of disk).

The same owners, of 40 to 100,000 rows, are measured before and after everybody else's rows are loaded, in one run, in
the database, under row level security. What they do should take as long as before: at most 1.5 times. This is judged by
processor time, which other work on the machine disturbs least; the times are printed beside it.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
import psycopg

from scripts.bench.scale_rows import Connection, Stage, load, prepare, timed
from scripts.local_supabase import LocalSupabase

BASE = 100_000
MEASURED = (("40", 40, 40), ("1,000", 10, 1_000), ("10,000", 4, 10_000))
"""(kind, owners, rows of each)"""
HUGE = ("100,000", 1, 100_000)
DELETED = (("deleted", 4, 1_000), ("deleted", 1, 10_000))
DELETED_LATER = (("deleted later", 4, 1_000), ("deleted later", 1, 10_000))
"""Deleted once the tables have partitions."""
CALLS = 60
ALLOWED, NOISE_MS = 1.5, 0.2
"""More is too much; but a call of less than a tenth of a millisecond varies by more than its half."""
SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "4GB", "max_parallel_maintenance_workers": "1"}

LIST = """
select id, user_id, title, model, position, created_at, updated_at, head_id, last_message_at, preview, message_count,
  cost_micro_usd, tokens
from public.conversations
order by last_message_at desc, position desc
limit 21
"""
PAGE = "select public.read_branch(%(conversation)s, p_backward => true, p_limit => 51)"
SEARCH = "select message_id, cursor from public.search_conversations(%(words)s, 21, null)"
RETRIEVE = "select id from public.match_embeddings(%(vector)s::extensions.vector, -1, 5, '{}', 'bench')"
HYBRID = "select id from public.search_passages(%(words)s, %(vector)s::extensions.vector, -1, 5, '{}', 'bench')"
BEGIN = """
select public.begin_turn(
  %(writer)s, %(reply)s, p_conversation_id => %(conversation)s, p_content => 'And what is that?', p_max_tokens => 100
)
"""
WRITE = "select public.journal_write(%(pieces)s, array[%(reply)s]::uuid[])"
FINISH = "select public.finish_replies(%(replies)s)"
INDEX = """
insert into public.embeddings (document_id, user_id, revision, passage, content, embedding, embedding_model)
select %(document)s, %(user)s, 2, p, 'added', %(vector)s::extensions.vector, 'bench'
from generate_series(%(first)s::integer, %(first)s::integer + 19) as p
"""
SIZES = """
select t.name, sum(pg_table_size(p.relid))::bigint, sum(pg_indexes_size(p.relid))::bigint
from unnest(array['public.messages', 'private.searched_texts', 'public.embeddings', 'public.conversations']) as t (name)
cross join lateral (
  select relid from pg_partition_tree(t.name::regclass) union select t.name::regclass
) as p
group by t.name
"""
PARTITIONS = Path(__file__).parents[2] / "supabase" / "optional" / "partitions.sql"
HOMES = """
select distinct e.tableoid::regclass::text
from bench.owners as o
cross join lateral (select tableoid from public.embeddings as e where e.user_id = o.user_id limit 1) as e
where o.kind <> 'tail' and o.amount > 2000
"""


HNSW = """
create index on {table} using hnsw ((embedding::extensions.halfvec({width})) extensions.halfvec_cosine_ops)
with (ef_construction = 128) where large_owner
"""
WIDTH = {"width": 1536}


class Figures(NamedTuple):
    """Milliseconds of each call after an owner's first one and of the first ones, milliseconds of processor time in the
    server for one call, and the pages that one reads."""

    times: list[float]
    first: list[float]
    cpu: float
    pages: float

    @property
    def p50(self) -> float:
        return float(np.quantile(self.times, 0.5))

    @property
    def p95(self) -> float:
        return float(np.quantile(self.times, 0.95))


class Part(NamedTuple):
    """What was measured with one number of rows: each operation of each kind of owner, milliseconds of processor time
    that the deletion of an owner takes by their rows, and seconds that the vacuum of a table takes."""

    figures: dict[tuple[str, str], Figures]
    deleted: dict[str, float]
    vacuumed: dict[str, float]


class Owner(NamedTuple):
    id: uuid.UUID
    conversations: list[uuid.UUID]
    documents: list[uuid.UUID]
    questions: list[str]


def cpu_seconds(process: psutil.Process) -> float:
    """Processor time of a server process, exact where the system tells it."""
    exact = Path(f"/proc/{process.pid}/schedstat")
    if exact.exists():
        return int(exact.read_text().split()[0]) / 1e9
    return float(sum(process.cpu_times()[:2]))


class Session:
    """One connection that acts as users and as the service."""

    def __init__(self, db: Connection) -> None:
        self.db = db
        self._server = psutil.Process(db.info.backend_pid)

    def act(self, user: uuid.UUID | None, statement: str, values: Mapping[str, object]) -> tuple[float, float]:
        """Run a statement as a user, or as the service: (milliseconds, milliseconds of processor time)."""
        role = "service_role" if user is None else "authenticated"
        claims = json.dumps({"role": role} | ({} if user is None else {"sub": str(user)}))
        with self.db.transaction():
            self.db.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)", [role, claims]
            )
            before, started = cpu_seconds(self._server), time.perf_counter()
            self.db.execute(statement.encode(), values, prepare=True)
            wall = (time.perf_counter() - started) * 1000
            return wall, (cpu_seconds(self._server) - before) * 1000

    def pages(self, user: uuid.UUID | None, statement: str, values: Mapping[str, object]) -> float:
        """Pages that the statement reads, found in memory or not; what it writes is undone."""
        role = "service_role" if user is None else "authenticated"
        claims = json.dumps({"role": role} | ({} if user is None else {"sub": str(user)}))
        with self.db.transaction(force_rollback=True):
            self.db.execute(
                "select set_config('role', %s, true), set_config('request.jwt.claims', %s, true)", [role, claims]
            )
            (plan,) = self.db.execute(
                b"explain (analyze, buffers, format json) " + statement.encode(), values
            ).fetchone() or ([],)
            top = plan[0]["Plan"]
            return float(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


def owners_of(db: Connection, kind: str) -> list[Owner]:
    found = []
    for (user,) in db.execute("select user_id from bench.owners where kind = %s order by n", [kind]).fetchall():
        threads = db.execute(
            "select md5('c' || n)::uuid, md5('d' || n || '-0')::uuid from bench.threads where user_id = %s "
            "order by md5(n::text) limit 30",
            [user],
        ).fetchall()
        # near a passage of the owner's
        questions = [
            str(vector)
            for document in threads[:6]
            for (vector,) in db.execute(
                "select (e.embedding operator(extensions.+) s.direction)::text from public.embeddings as e, "
                "bench.noises as s where e.document_id = %s and e.user_id = %s and e.passage = 3 and s.n = 17",
                [document[1], user],
            ).fetchall()
        ]
        found.append(Owner(user, [row[0] for row in threads], [row[1] for row in threads], questions))
    return found


Step = tuple[uuid.UUID | None, str, dict[str, object]]


def send(owner: Owner, call: int) -> Iterator[Step]:
    reply = uuid.uuid4()
    conversation = owner.conversations[call % len(owner.conversations)]
    yield owner.id, BEGIN, {"writer": uuid.UUID(int=1), "reply": reply, "conversation": conversation}
    piece = {"id": str(reply), "seq": 1, "text": "It is what ", "provider": "demo", "model": "demo"}
    yield None, WRITE, {"pieces": json.dumps([piece]), "reply": reply}
    final = {
        "id": str(reply), "content": "It is what they say of it in the street.", "status": "complete",
        "provider": "demo", "model": "demo", "finish_reason": "stop", "prompt_tokens": 100, "completion_tokens": 10,
        "user_id": str(owner.id), "screened": True,
    }  # fmt: skip
    yield None, FINISH, {"replies": json.dumps([final])}


def operations(words: list[str], numbers: Iterator[int]) -> dict[str, Callable[[Owner, int], Iterator[Step]]]:
    def one(statement: str, **fixed: object) -> Callable[[Owner, int], Iterator[Step]]:
        def steps(owner: Owner, call: int) -> Iterator[Step]:
            values: dict[str, object] = {
                "conversation": owner.conversations[call % len(owner.conversations)],
                "vector": owner.questions[call % len(owner.questions)],
            }
            yield owner.id, statement, values | fixed

        return steps

    def index(owner: Owner, call: int) -> Iterator[Step]:
        yield (
            None,
            INDEX,
            {
                "document": owner.documents[call % len(owner.documents)], "user": owner.id, "first": 20 * next(numbers),
                "vector": owner.questions[call % len(owner.questions)],
            },
        )  # fmt: skip

    return {
        "send": send,
        "list conversations": one(LIST),
        "page of messages": one(PAGE),
        "search, frequent word": one(SEARCH, words=words[3]),
        "search, rare word": one(SEARCH, words=words[4_000]),
        "retrieve": one(RETRIEVE),
        "retrieve, hybrid": one(HYBRID, words=f"{words[30]} {words[300]} {words[900]}"),
        "index 20 passages": index,
    }


def measure(
    session: Session, words: list[str], kinds: list[str], numbers: Iterator[int]
) -> dict[tuple[str, str], Figures]:
    """Every operation, of the owners of each kind. `numbers` are those of the batches of passages that are added."""
    figures = {}
    for kind in kinds:
        owners = owners_of(session.db, kind)
        for name, steps in operations(words, numbers).items():
            times, first, cpu = [], [], 0.0
            for call in range(CALLS + len(owners)):
                wall = spent = 0.0
                for step in steps(owners[call % len(owners)], call // len(owners)):
                    one_wall, one_cpu = session.act(*step)
                    wall, spent = wall + one_wall, spent + one_cpu
                if call < len(owners):
                    first.append(wall)
                else:
                    times.append(wall)
                    cpu += spent
            pages = 0.0
            if name != "send":
                asked = owners[:5]
                pages = sum(session.pages(*next(steps(owner, 1))) for owner in asked) / len(asked)
            else:
                pages = session.pages(*next(steps(owners[0], 1)))
            figures[name, kind] = Figures(times, first, cpu / CALLS, pages)
    return figures


def delete(session: Session, stage: int, kind: str = "deleted") -> dict[str, float]:
    """Delete all of the data of the stage's owners that are there for this: milliseconds of processor time by rows."""
    spent: dict[str, list[float]] = {}
    for user, amount in session.db.execute(
        "select user_id, amount from bench.owners where kind = %s and stage = %s order by n", [kind, stage]
    ).fetchall():
        spent.setdefault(f"{amount:,}", []).append(delete_all(session, user)[1])
    return {rows: float(np.mean(each)) for rows, each in spent.items()}


def delete_all(session: Session, user: uuid.UUID) -> tuple[float, float]:
    """Milliseconds, and of processor time, of deleting an owner's data in as many calls as it takes."""
    wall = cpu = 0.0
    more = True
    while more:
        one = session.act(user, "select set_config('bench.more', public.delete_my_data() ->> 'more', false)", {})
        wall, cpu = wall + one[0], cpu + one[1]
        more = session.db.execute("select current_setting('bench.more')").fetchone() == ("true",)
    return wall, cpu


def vacuum(session: Session) -> dict[str, float]:
    """Seconds that each table takes."""
    took = {}
    for table in ("public.messages", "private.searched_texts", "public.embeddings"):
        started = time.perf_counter()
        session.db.execute(f"vacuum {table}".encode())
        took[table] = time.perf_counter() - started
    return took


def report(small: dict[tuple[str, str], Figures], large: dict[tuple[str, str], Figures]) -> list[str]:
    """Print both, and return what takes more than is allowed."""
    print(
        "\n| what | rows of the owner | p50 / p95 ms | CPU ms | pages "
        "| then p50 / p95 ms | first ms | CPU ms | pages | CPU ratio | p50 ratio |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    over = []
    for (name, kind), before in small.items():
        after = large[name, kind]
        ratio = after.cpu / before.cpu
        if ratio > ALLOWED and after.cpu - before.cpu > NOISE_MS:
            over.append(f"{name}, {kind}: {ratio:.2f}")
        print(
            f"| {name} | {kind} | {before.p50:.1f} / {before.p95:.1f} | {before.cpu:.2f} | {before.pages:.0f} "
            f"| {after.p50:.1f} / {after.p95:.1f} | {np.median(after.first):.1f} | {after.cpu:.2f} | {after.pages:.0f} "
            f"| {ratio:.2f} | {after.p50 / before.p50:.2f} |",
            flush=True,
        )
    return over


def divide(url: str) -> None:
    """Give the tables their partitions, as docs/scaling.md says, and the index of those that large measured owners
    have: the index of all would take hours here."""
    with psycopg.connect(url, autocommit=True) as db:
        db.add_notice_handler(lambda notice: print(notice.message_primary, flush=True))
        # no parameters, so that the statements are sent as they stand
        db.execute(PARTITIONS.read_bytes())
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("set maintenance_work_mem = '1500MB'")
        for (home,) in db.execute(HOMES).fetchall():
            timed(f"HNSW index of {home}", partial(db.execute, HNSW.format(table=home, **WIDTH).encode()))
        db.execute("vacuum (analyze) public.messages, public.embeddings")


def stored(db: Connection) -> None:
    for name, table, indexes in db.execute(SIZES).fetchall():
        print(f"{name}: {table / 1e9:.2f} GB, indexes {indexes / 1e9:.2f} GB", flush=True)


def finish(session: Session, small: Part, large: Part) -> None:
    """Print what two measurements found."""
    over = report(small.figures, large.figures)
    for rows, spent in small.deleted.items():
        print(f"delete an owner of {rows}: {spent:.0f} ms CPU, then {large.deleted[rows]:.0f}")
    for table, took in small.vacuumed.items():
        print(f"vacuum {table}: {took:.2f} s, then {large.vacuumed[table]:.2f} s")
    stored(session.db)
    print("more than 1.5 times: " + ("; ".join(over) or "nothing"), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-scale", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="messages, and passages, at the end (1,000,000)")
    parser.add_argument("--dimensions", type=int, default=64, help="of the vectors (64; 1,536 need 12 KB a passage)")
    parser.add_argument(
        "--approximate", choices=("all", "none"), default="all", help="whether there is an HNSW index at the end"
    )
    parser.add_argument(
        "--partitions", action="store_true", help="afterwards divide both tables into partitions, and measure again"
    )
    options = parser.parse_args()
    if options.rows < LEAST:
        parser.error(f"--rows is at least {LEAST:,}, as the owners that are measured have that many")
    WIDTH["width"] = options.dimensions
    with LocalSupabase.throwaway(postgres_settings=SETTINGS) as stack:
        url = stack.superuser_url
        # it would read all that is loaded from the log
        next(child for child in stack.children if child.name == "realtime").stop()
        with psycopg.connect(url, autocommit=True) as db:
            session = Session(db)
            words = prepare(db, options.dimensions)
            db.execute(
                "update private.plans set requests_per_minute = 100000000, tokens_per_minute = 1000000000, "
                "max_messages = 10000000, max_passages = 10000000 where plan = 'premium'"
            )
            numbers, kinds = count(1), [kind for kind, _, _ in MEASURED]
            first = Stage(1, (*MEASURED, *DELETED), BASE - rows_of(MEASURED, DELETED), 2_000)
            timed(f"{BASE:,}", lambda: load(url, first))
            figures = measure(session, words, kinds, numbers)
            deleted, vacuumed = delete(session, 1), vacuum(session)
            stored(db)
            timed("an owner of 100,000", lambda: load(url, Stage(2, (HUGE,))))
            small = Part(figures | measure(session, words, [HUGE[0]], numbers), deleted, vacuumed)
            kinds.append(HUGE[0])

            left = options.rows - BASE - HUGE[2] - rows_of(DELETED, DELETED_LATER)
            rest = Stage(3, (*DELETED, *DELETED_LATER), left, 50_000)
            timed(f"{options.rows:,}", lambda: load(url, rest, approximate=options.approximate == "all"))
            large = Part(measure(session, words, kinds, numbers), delete(session, 3), vacuum(session))
            finish(session, small, large)
            if options.partitions:
                timed("partitions", lambda: divide(url))
        if options.partitions:
            with psycopg.connect(url, autocommit=True) as db:
                session = Session(db)
                figures = measure(session, words, kinds, numbers)
                finish(session, small, Part(figures, delete(session, 3, "deleted later"), vacuum(session)))


def rows_of(*kinds: Sequence[tuple[str, int, int]]) -> int:
    return sum(owners * rows for kind in kinds for _, owners, rows in kind)


LEAST = BASE + HUGE[2] + rows_of(DELETED, DELETED_LATER) + 10_000


if __name__ == "__main__":
    main()
