"""Fills a database with messages and passages of long-tailed owners, in SQL, for `scripts.bench.scale`.

Conversations have 40 messages and documents 20 passages. All conversations grow at the same time, so neighbours in a
conversation lie on different pages, as in production.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import psycopg

from scripts.bench.conversations import VOCABULARY, vocabulary

MESSAGES, PASSAGES = 40, 20
"""Of a conversation; of a document."""
TEXTS, WORDS = 5_000, 24
"""So many different texts, of so many words, are repeated."""
STRETCH = 2_048
TOPICS, NOISES = 2_000, 5_000
TOPICS_OF_AN_OWNER = 8

Connection = psycopg.Connection[tuple[Any, ...]]


class Stage(NamedTuple):
    """Owners that are loaded together: (kind, how many, rows of each), and a tail that fills up `tail_rows`. The
    largest owner of the tail has `largest`, the k-th of them `largest` / k^0.7, and none fewer than 40."""

    number: int
    owners: Sequence[tuple[str, int, int]]
    tail_rows: int = 0
    largest: int = 0


TABLES = """
create schema bench;
create unlogged table bench.owners (
  n bigint generated always as identity primary key, stage integer not null,
  kind text not null, user_id uuid not null default gen_random_uuid(), amount integer not null
);
create unlogged table bench.threads (
  n bigint not null, stage integer not null, user_id uuid not null, local bigint not null, total bigint not null
);
create unlogged table bench.texts (n integer primary key, content text not null, words text[], passage tsvector);
create unlogged table bench.topics (n integer primary key, direction extensions.vector not null);
create unlogged table bench.noises (n integer primary key, direction extensions.vector not null)
"""
OWNERS = """
insert into bench.owners (stage, kind, amount)
select %(stage)s::integer, %(kind)s, %(rows)s::integer from generate_series(1, %(owners)s::integer)
"""
TAIL = """
insert into bench.owners (stage, kind, amount)
select %(stage)s::integer, 'tail', t.amount
from (
  select s.amount, sum(s.amount) over (order by s.k) as up_to
  from (
    select k, greatest(40, 40 * (%(largest)s::float * power(k, -0.7) / 40)::integer) as amount
    from generate_series(1, %(rows)s::integer / 40) as k
  ) as s
) as t
where t.up_to <= %(rows)s
"""
# in the order in which they are written: mixed
THREADS = """
insert into bench.threads (n, stage, user_id, local, total)
select
  (select coalesce(max(p.n), 0) from bench.threads as p) + row_number() over (order by md5(o.n || '-' || l)),
  o.stage, o.user_id, l, o.amount / 40
from bench.owners as o, generate_series(0, o.amount / 40 - 1) as l
where o.stage = %(stage)s
"""
PEOPLE = """
insert into auth.users (id, email, aud, role)
select o.user_id, o.user_id || '@bench.example', 'authenticated', 'authenticated' from bench.owners as o
where o.stage = %(stage)s;
insert into public.entitlements (user_id, plan)
select o.user_id, 'premium' from bench.owners as o where o.stage = %(stage)s;
insert into private.stored (user_id, kind, amount)
select o.user_id, k.kind, o.amount / k.per
from bench.owners as o, (
  values ('conversations', 40), ('messages', 1), ('documents', 20), ('passages', 1)
) as k (kind, per)
where o.stage = %(stage)s;
insert into private.passage_counts (user_id, embedding_model, passages, in_index)
select o.user_id, 'bench', o.amount, case when o.amount > 2000 then o.amount else 0 end
from bench.owners as o where o.stage = %(stage)s;
insert into public.conversations (id, user_id, title, head_id, last_message_at, preview, message_count)
select
  md5('c' || t.n)::uuid, t.user_id, 'Conversation ' || t.local, md5('m' || t.n || '-39')::uuid,
  now() - (t.total - t.local) * interval '1 minute', 'as it ended', 40
from bench.threads as t where t.stage = %(stage)s;
insert into public.documents (
  id, user_id, title, status, passages, indexed, embedding_model, revision
)
select md5('d' || t.n || '-' || h)::uuid, t.user_id, 'Document ' || t.local, 'ready', 20, 20, 'bench', 1
from bench.threads as t, generate_series(0, 1) as h
where t.stage = %(stage)s
"""
MESSAGE = """
insert into public.messages (
  id, conversation_id, user_id, role, content, parent_id, model, provider, prompt_tokens, completion_tokens, created_at
)
select
  md5('m' || t.n || '-' || r.n)::uuid, md5('c' || t.n)::uuid, t.user_id,
  case r.n %% 2 when 0 then 'user' else 'assistant' end, x.content,
  case when r.n > 0 then md5('m' || t.n || '-' || r.n - 1)::uuid end,
  case r.n %% 2 when 1 then 'demo' end, case r.n %% 2 when 1 then 'demo' end,
  case r.n %% 2 when 1 then 100 end, case r.n %% 2 when 1 then 50 end,
  now() - (40 - r.n) * interval '1 day'
from (values (%(round)s::bigint)) as r (n), bench.threads as t
join bench.texts as x on x.n = (t.n * 40 + %(round)s) * 7919 %% %(texts)s
where t.stage = %(stage)s
"""
SEARCHED = """
insert into private.searched_texts (user_id, ordinal, message_id, written_at, words)
select
  t.user_id, %(round)s * t.total + t.local, md5('m' || t.n || '-' || %(round)s)::uuid,
  now() - (40 - %(round)s) * interval '1 day',
  array_to_tsvector(array(
    select private.stretch_of(t.user_id, (%(round)s * t.total + t.local) / %(stretch)s) || w from unnest(x.words) as w
  ))
from bench.threads as t
join bench.texts as x on x.n = (t.n * 40 + %(round)s) * 7919 %% %(texts)s
where t.stage = %(stage)s
"""
PASSAGE = """
insert into public.embeddings (
  document_id, user_id, revision, passage, content, embedding, embedding_model, fts, large_owner
)
select
  md5('d' || t.n || '-' || %(half)s)::uuid, t.user_id, 1, p, x.content,
  c.direction operator(extensions.+) s.direction, 'bench', x.passage, t.total * 40 > 2000
from bench.threads as t, generate_series(0, 19) as p
join bench.texts as x on true
join bench.topics as c on true
join bench.noises as s on true
where
  t.stage = %(stage)s and t.n %% %(parts)s = %(part)s
  and x.n = (t.n * 40 + %(half)s * 20 + p) * 7919 %% %(texts)s
  and c.n = (hashtext(t.user_id::text)::bigint + 2147483648 + (t.local * 2 + %(half)s) %% %(own)s) %% %(topics)s
  and s.n = (t.n * 40 + %(half)s * 20 + p) * 104729 %% %(noises)s
"""
INDEXES = """
select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
from pg_index as i
join pg_class as c on c.oid = i.indrelid
where
  i.indrelid in ('public.messages'::regclass, 'private.searched_texts'::regclass, 'public.embeddings'::regclass)
  and not exists (select from pg_constraint as k where k.conindid = i.indexrelid)
order by 1
"""


def loading(url: str) -> Connection:
    """A connection without triggers and foreign keys."""
    db = psycopg.connect(url, autocommit=True)
    db.execute("set session_replication_role = replica")
    db.execute("set maintenance_work_mem = '1500MB'")
    db.execute("set work_mem = '256MB'")
    db.execute("set synchronous_commit = off")
    return db


def timed(what: str, do: Callable[[], object]) -> None:
    started = time.perf_counter()
    do()
    print(f"{what:<60}{time.perf_counter() - started:8.1f} s", flush=True)


def prepare(db: Connection, dimensions: int) -> list[str]:
    """Narrow the vectors to `dimensions`, and make the texts and directions. Returns the words, by how frequent."""
    if dimensions != 1536:
        narrow(db, dimensions)
    # the words of passages are the texts', made once
    db.execute("alter table public.embeddings alter column fts drop expression")
    for statement in TABLES.split(";"):
        db.execute(statement.encode())
    chosen = np.random.default_rng(7)
    words = vocabulary()
    with db.cursor().copy("copy bench.texts (n, content) from stdin") as copy:
        for n in range(TEXTS):
            # the n-th word is as frequent as 1 / n
            ranks = np.exp(chosen.random(WORDS) * np.log(VOCABULARY)).astype(int) % VOCABULARY
            copy.write_row((n, " ".join(words[rank] for rank in ranks)))
    db.execute("update bench.texts set words = private.search_words(content)")
    db.execute("update bench.texts set passage = private.passage_words('{}', content)")
    for table, rows, length in (("topics", TOPICS, 1.0), ("noises", NOISES, 0.6)):
        with db.cursor().copy(f"copy bench.{table} (n, direction) from stdin".encode()) as copy:
            for n in range(rows):
                vector = chosen.standard_normal(dimensions)
                vector *= length / np.linalg.norm(vector)
                copy.write_row((n, "[" + ",".join(f"{x:.5f}" for x in vector) + "]"))
    db.execute("analyze bench.texts, bench.topics, bench.noises")
    return words


def narrow(db: Connection, dimensions: int) -> None:
    """Give the column, its index and the functions this width."""
    (index,) = db.execute("select pg_get_indexdef('public.embeddings_large_owner_idx'::regclass)").fetchone() or ("",)
    db.execute("drop index public.embeddings_large_owner_idx")
    db.execute(f"alter table public.embeddings alter column embedding type extensions.vector({dimensions})".encode())
    db.execute("select '[1]'::extensions.vector")
    for (definition,) in db.execute(
        "select pg_get_functiondef(p.oid) from pg_proc as p where p.oid::regproc::text in "
        "('private.nearest_by_index', 'private.query_vector')"
    ).fetchall():
        db.execute(definition.replace("1536", str(dimensions)))
    db.execute(index.replace("1536", str(dimensions)))


def load(url: str, stage: Stage, *, approximate: bool = True) -> None:
    """Load a stage. The indexes are dropped first and made afterwards, the HNSW index only if `approximate`."""
    with closing(loading(url)) as db:
        for kind, owners, rows in stage.owners:
            db.execute(OWNERS, {"stage": stage.number, "kind": kind, "rows": rows, "owners": owners})
        if stage.tail_rows:
            db.execute(TAIL, {"stage": stage.number, "rows": stage.tail_rows, "largest": stage.largest})
        db.execute(THREADS, {"stage": stage.number})
        for statement in PEOPLE.split(";"):
            db.execute(statement.encode(), {"stage": stage.number})
        db.execute("analyze bench.threads, bench.owners")
        indexes = db.execute(INDEXES).fetchall()
        for name, _ in indexes:
            db.execute(f"drop index if exists {name} cascade".encode())
        with ThreadPoolExecutor(3) as pool:
            for loaded in [pool.submit(part, url, stage.number) for part in (messages, searched, passages)]:
                loaded.result()
        for _, definition in indexes:
            if "hnsw" in definition and not approximate:
                continue
            timed(definition.split(" USING ")[0], partial(db.execute, definition))
        timed(
            "vacuum and analyze",
            lambda: db.execute(
                "vacuum (analyze) public.messages, public.conversations, public.documents, public.embeddings, "
                "private.searched_texts, private.stored, private.passage_counts, auth.users"
            ),
        )


def messages(url: str, stage: int) -> None:
    with closing(loading(url)) as db:
        timed(
            "load messages",
            lambda: [
                db.execute(MESSAGE, {"round": number, "stage": stage, "texts": TEXTS}) for number in range(MESSAGES)
            ],
        )


def searched(url: str, stage: int) -> None:
    with closing(loading(url)) as db:
        timed(
            "load searched texts",
            lambda: [
                db.execute(SEARCHED, {"round": number, "stage": stage, "texts": TEXTS, "stretch": STRETCH})
                for number in range(MESSAGES)
            ],
        )


def passages(url: str, stage: int) -> None:
    asked = {"stage": stage, "texts": TEXTS, "topics": TOPICS, "noises": NOISES, "own": TOPICS_OF_AN_OWNER, "parts": 16}
    with closing(loading(url)) as db:
        timed(
            "load passages",
            lambda: [
                db.execute(PASSAGE, asked | {"half": half, "part": part}) for half in range(2) for part in range(16)
            ],
        )
