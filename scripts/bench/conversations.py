"""Measures search over conversations under row level security, as users' calls run it: `make bench-conversations`,
`--full` for 10,000,000 messages.

One user has 100,000 of the messages. Each question is asked for its first page, and one also for the page after that.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from typing import Any

import numpy as np
import psycopg

from scripts.local_supabase import LocalSupabase

MEASURED = 100_000
"""Messages of the user who searches; each of the others has `OTHERS`."""
OTHERS = 2_000
PER_CONVERSATION = 100
STRETCH = 2048
TEXTS, WORDS, VOCABULARY = 20_000, 60, 20_000
"""So many different texts of so many words, out of so many. The most frequent words are in most texts."""
PAGE = 20
ROUNDS = 40
SEARCHER = uuid.UUID(int=1 << 96)

LOAD = """
create unlogged table bench_owners as
select %(searcher)s::uuid as user_id, 0::bigint as first, %(measured)s::bigint as messages
union all
select gen_random_uuid(), %(measured)s + (o - 1) * %(others)s, %(others)s::bigint
from generate_series(1::bigint, (%(total)s - %(measured)s) / %(others)s) as o;

insert into auth.users (id, email, aud, role)
select user_id, user_id || '@bench.example', 'authenticated', 'authenticated' from bench_owners;

create unlogged table bench_conversations as
select gen_random_uuid() as id, o.user_id, n.nth, o.first
from bench_owners as o
cross join lateral generate_series(0, o.messages / %(per)s - 1) as n (nth);
create index on bench_conversations (user_id, nth);

insert into public.conversations (id, user_id, title) select id, user_id, 'Untitled' from bench_conversations;

-- the owners write in turn, so that one's messages lie among everybody's
create unlogged table bench_messages as
select
  gen_random_uuid() as id, c.user_id, c.id as conversation_id, c.nth * %(per)s + n.nth as ordinal,
  (random() * (%(texts)s - 1))::integer as text
from bench_conversations as c
cross join lateral generate_series(0, %(per)s - 1) as n (nth)
order by random();

insert into public.messages (id, conversation_id, user_id, role, content, created_at)
select
  m.id, m.conversation_id, m.user_id, 'user', t.content,
  now() - make_interval(mins => (%(measured)s - m.ordinal)::integer * 5)
from bench_messages as m
join bench_texts as t on t.id = m.text;

insert into private.searched_texts (user_id, ordinal, message_id, written_at, words)
select
  m.user_id, m.ordinal, m.id, now() - make_interval(mins => (%(measured)s - m.ordinal)::integer * 5),
  array_to_tsvector(array(
    select private.stretch_of(m.user_id, m.ordinal / %(stretch)s) || w.word from unnest(t.words) as w (word)
  ))
from bench_messages as m
join bench_texts as t on t.id = m.text;
"""
SEARCH = "select message_id, cursor from public.search_conversations(%s, %s, %s)"

Connection = psycopg.Connection[tuple[Any, ...]]


def vocabulary() -> list[str]:
    """Words that can be said, so that many begin alike."""
    syllables = [first + second for first in "bdfgklmnprstv" for second in "aeiou"]
    chosen = np.random.default_rng(7)
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(chosen.choice(syllables, chosen.integers(2, 5)))] = None
    return list(words)


def load(db: Connection, words: list[str], total: int) -> None:
    """Fill the tables as the triggers would, but faster: the index is built afterwards."""
    index = "private.searched_texts_words_idx"
    definition = db.execute("select pg_get_indexdef(%s::regclass)", [index]).fetchone()
    assert definition is not None
    db.execute(f"drop index {index}")
    db.execute("set session_replication_role = replica")
    db.execute("set maintenance_work_mem = '1GB'")
    db.execute("create unlogged table bench_texts (id integer primary key, content text, words text[])")
    chosen = np.random.default_rng(7)
    with db.cursor().copy("copy bench_texts from stdin") as copy:
        for number in range(TEXTS):
            # the n-th word is as frequent as 1 / n
            ranks = np.exp(chosen.random(WORDS) * np.log(VOCABULARY)).astype(int)
            text = [words[rank % VOCABULARY] for rank in ranks]
            copy.write_row((number, " ".join(text), sorted(set(text))))
    started = time.perf_counter()
    parameters = {
        "searcher": SEARCHER,
        "measured": MEASURED,
        "others": OTHERS,
        "total": total,
        "per": PER_CONVERSATION,
        "texts": TEXTS,
        "stretch": STRETCH,
    }
    for statement in LOAD.split(";\n"):
        if statement.strip():
            db.execute(statement, parameters, prepare=False)
    print(f"load {time.perf_counter() - started:.0f} s", flush=True)
    started = time.perf_counter()
    db.execute(definition[0])
    db.execute("set session_replication_role = origin")
    db.execute("vacuum (analyze) public.messages, public.conversations, private.searched_texts")
    print(f"index and vacuum {time.perf_counter() - started:.0f} s", flush=True)
    for relation in ("public.messages", "private.searched_texts", index):
        [size] = db.execute(
            "select pg_size_pretty(case when relkind = 'r' then pg_table_size(oid) else pg_relation_size(oid) end) "
            "from pg_class where oid = %s::regclass",
            [relation],
        ).fetchall()
        print(f"{relation} {size[0]}")


def ask(db: Connection, query: str, after: str | None = None) -> tuple[list[float], int, str | None]:
    """Milliseconds of each round, the number of hits, and the next page's cursor. The first round fills the caches."""
    times, rows = [], []
    for _ in range(1 + ROUNDS):
        with db.transaction():
            claims = json.dumps({"role": "authenticated", "sub": str(SEARCHER)})
            db.execute("select set_config('role', 'authenticated', true)")
            db.execute("select set_config('request.jwt.claims', %s, true)", [claims])
            started = time.perf_counter()
            rows = db.execute(SEARCH, [query, PAGE + 1, after]).fetchall()
            times.append((time.perf_counter() - started) * 1000)
    return times[1:], len(rows), rows[PAGE - 1][1] if len(rows) > PAGE else None


def report(db: Connection, words: list[str]) -> None:
    print("\n| question | hits on the page | p50 ms | p95 ms | p99 ms |\n|---|---|---|---|---|")
    rare, middle = words[19_000], words[2_000]
    questions = {
        "the most frequent word": words[1],
        "a frequent word": words[50],
        "a word of one text in 400": middle,
        "a rare word": rare,
        "a frequent and a rare word": f"{words[1]} {rare}",
        "three frequent words": " ".join(words[1:4]),
        "two letters that many words begin with": words[1][:2],
        "three letters": rare[:3],
        "a word that nobody has": "zzz",
    }
    everything = []
    for name, query in questions.items():
        times, hits, cursor = ask(db, query)
        everything += times
        pages = [(name, times, hits)]
        if cursor is not None and query == words[1]:
            times, hits, _ = ask(db, query, cursor)
            pages.append(("its second page", times, hits))
        for page, taken, found in pages:
            p50, p95, p99 = np.quantile(taken, (0.5, 0.95, 0.99))
            print(f"| {page} | {min(found, PAGE)} | {p50:.1f} | {p95:.1f} | {p99:.1f} |", flush=True)
    p50, p95, p99 = np.quantile(everything, (0.5, 0.95, 0.99))
    print(f"| **all first pages** | | {p50:.1f} | {p95:.1f} | {p99:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-conversations", description=__doc__)
    parser.add_argument("--full", action="store_true", help="10,000,000 messages instead of 300,000")
    parser.add_argument("--messages", type=int, help="another number of messages, at least 100,000")
    options = parser.parse_args()
    total = options.messages or (10_000_000 if options.full else 300_000)
    print(f"{total:,} messages, {MEASURED:,} of them the searcher's")
    words = vocabulary()
    with LocalSupabase.throwaway() as stack, psycopg.connect(stack.superuser_url, autocommit=True) as db:
        load(db, words, total)
        report(db, words)


if __name__ == "__main__":
    main()
