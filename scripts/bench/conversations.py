"""Measures search over conversations under row level security, as users' calls run it: `make bench-conversations`,
`--full` for 10,000,000 messages.

One user has 100,000 of the messages. Each question is asked for its first page, and for the page after that.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from struct import Struct
from typing import Any, NamedTuple

import numpy as np
import psutil
import psycopg

from scripts.local_supabase import LocalSupabase

MEASURED = 100_000
"""Messages of the user who searches; each of the others has `OTHERS`."""
OTHERS = 2_000
PER_CONVERSATION = 10
STRETCH = 2048
TEXTS, WORDS, VOCABULARY = 20_000, 60, 20_000
"""So many different texts of so many words, out of so many. The most frequent words are in most texts. One text in 20
is Chinese, and one is code."""
PAGE = 20
ROUNDS = 40
SEARCHER = uuid.UUID(int=1 << 96)
MINUTE = 60_000_000
"""In the microseconds in which Postgres takes times."""

PEOPLE = """
create unlogged table bench_owners as
select %(searcher)s::uuid as user_id, %(measured)s::integer as messages
union all
select gen_random_uuid(), %(others)s::integer
from generate_series(1, (%(total)s - %(measured)s) / %(others)s) as o;

insert into auth.users (id, email, aud, role)
select user_id, user_id || '@bench.example', 'authenticated', 'authenticated' from bench_owners;

insert into public.conversations (user_id, title)
select o.user_id, 'Untitled' from bench_owners as o, generate_series(1, o.messages / %(per)s);
"""
OWNERS = """
select o.user_id, c.ids, array(
  select private.stretch_of(o.user_id, s.nth) from generate_series(0, (o.messages - 1) / %(stretch)s) as s (nth)
)
from bench_owners as o
join (select user_id, array_agg(id) as ids from public.conversations group by user_id) as c using (user_id)
order by (o.user_id = %(searcher)s) desc, private.stretch_of(o.user_id, 0)
"""
MESSAGES = "copy public.messages (id, conversation_id, user_id, role, created_at, content) from stdin (format binary)"
WORDS_OF_THEM = """
copy private.searched_texts (user_id, ordinal, message_id, written_at, words) from stdin (format binary)
"""
INDEXES = """
select i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
from pg_index as i
where
  i.indrelid in ('public.messages'::regclass, 'private.searched_texts'::regclass)
  and not exists (select from pg_constraint as c where c.conindid = i.indexrelid)
"""
SEARCH = "select message_id, cursor from public.search_conversations(%s, %s, %s)"

Connection = psycopg.Connection[tuple[Any, ...]]


class Owner(NamedTuple):
    """Whose messages they are, their conversations, and what the words of each of their stretches begin with."""

    id: uuid.UUID
    conversations: list[uuid.UUID]
    stretches: list[str]


class Text(NamedTuple):
    """A text, and its words as a tsvector is sent; a 1 stands in the place of what each of them begins with."""

    content: bytes
    words: bytes


def vocabulary() -> list[str]:
    """Words that can be said, so that many begin alike."""
    syllables = [first + second for first in "bdfgklmnprstv" for second in "aeiou"]
    chosen = np.random.default_rng(7)
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(chosen.choice(syllables, chosen.integers(2, 5)))] = None
    return list(words)


def chinese(rank: int) -> str:
    """The Chinese word that is as frequent as the word of this rank."""
    return chr(0x4E00 + rank * 7919 % 1009) + chr(0x4E00 + rank * 7907 % 997)


def contents(words: list[str]) -> Iterator[str]:
    chosen = np.random.default_rng(7)
    for number in range(TEXTS):
        # the n-th word is as frequent as 1 / n
        ranks = np.exp(chosen.random(WORDS) * np.log(VOCABULARY)).astype(int) % VOCABULARY
        said = [words[rank] for rank in ranks]
        if number % 20 == 0:
            yield "".join(map(chinese, ranks.tolist())) + "。"
        elif number % 20 == 1:
            yield "\n".join(f"{a}.{b}({c}_{d}<{e}>) // {a}.py" for a, b, c, d, e in zip(*[iter(said)] * 5, strict=True))
        else:
            yield " ".join(said)


def texts_of(db: Connection, words: list[str]) -> list[Text]:
    """The texts, with their words as the triggers would make them."""
    texts = []
    for content in contents(words):
        [row] = db.execute("select private.search_words(%s)", [content]).fetchall()
        lexemes = sorted(word.encode() for word in row[0])
        sent = len(lexemes).to_bytes(4) + b"".join(b"\1" + word + b"\0\0\0" for word in lexemes)
        texts.append(Text(content.encode(), sent))
    return texts


def written(owners: list[Owner], texts: list[Text]) -> Iterator[tuple[int, Owner, int, Text]]:
    """All messages: a number, whose it is, its place among theirs, and its text. The searcher's lie one by one among
    the others'."""
    searcher, *others = owners
    places = ((owner, ordinal) for owner in others for ordinal in range(OTHERS))
    between = len(others) * OTHERS // MEASURED
    number = 0
    for nth in range(MEASURED):
        for owner, ordinal in ((searcher, nth), *islice(places, between)):
            number += 1
            yield number, owner, ordinal, texts[(number * 2_654_435_761 >> 9) % TEXTS]


def message_rows(owners: list[Owner], texts: list[Text], oldest: int) -> Iterator[bytes]:
    pack = Struct(">hi16si16si16si4siqi").pack
    for number, owner, ordinal, text in written(owners, texts):
        conversation = owner.conversations[ordinal // PER_CONVERSATION]
        at = oldest + ordinal * 5 * MINUTE
        ids = (16, number.to_bytes(16), 16, conversation.bytes, 16, owner.id.bytes)
        yield pack(6, *ids, 4, b"user", 8, at, len(text.content)) + text.content


def word_rows(owners: list[Owner], texts: list[Text], oldest: int) -> Iterator[bytes]:
    pack = Struct(">hi16siqi16siqi").pack
    for number, owner, ordinal, text in written(owners, texts):
        words = text.words.replace(b"\1", owner.stretches[ordinal // STRETCH].encode())
        at = oldest + ordinal * 5 * MINUTE
        yield pack(5, 16, owner.id.bytes, 8, ordinal, 16, number.to_bytes(16), 8, at, len(words)) + words


def copy_rows(url: str, statement: str, rows: Iterator[bytes]) -> None:
    with closing(loading(url)) as db, db.cursor().copy(statement) as copy:
        copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
        while part := b"".join(islice(rows, 1000)):
            copy.write(part)
        copy.write(b"\xff\xff")


def loading(url: str) -> Connection:
    """A connection without triggers and foreign keys."""
    db = psycopg.connect(url, autocommit=True)
    db.execute("set session_replication_role = replica")
    db.execute("set maintenance_work_mem = '1GB'")
    return db


def load(url: str, words: list[str], total: int) -> None:
    """Fill the tables as the triggers would, but faster: the indexes are built afterwards."""
    started = time.perf_counter()
    with closing(loading(url)) as db:
        # of what comes in now, nothing has to survive the server
        db.execute("alter table private.searched_texts set unlogged")
        db.execute("alter system set max_wal_size = '4GB'")
        db.execute("select pg_reload_conf()")
        indexes = db.execute(INDEXES).fetchall()
        for name, _ in indexes:
            db.execute(f"drop index {name}".encode())
        sizes = {"measured": MEASURED, "others": OTHERS, "per": PER_CONVERSATION, "stretch": STRETCH, "total": total}
        for statement in PEOPLE.split(";\n\n"):
            db.execute(statement.encode(), sizes | {"searcher": SEARCHER}, prepare=False)
        owners = [Owner(*row) for row in db.execute(OWNERS, sizes | {"searcher": SEARCHER}).fetchall()]
        texts = texts_of(db, words)
        since = datetime.now(UTC) - datetime(2000, 1, 1, tzinfo=UTC)
        oldest = int(since.total_seconds() * 1_000_000) - MEASURED * 5 * MINUTE
        with ThreadPoolExecutor(2) as both:
            copies = [
                both.submit(copy_rows, url, MESSAGES, message_rows(owners, texts, oldest)),
                both.submit(copy_rows, url, WORDS_OF_THEM, word_rows(owners, texts, oldest)),
            ]
            for copy in copies:
                copy.result()
        print(f"load {time.perf_counter() - started:.0f} s", flush=True)
        started = time.perf_counter()
        for _, definition in indexes:
            db.execute(definition)
        print(f"indexes {time.perf_counter() - started:.0f} s", flush=True)
        started = time.perf_counter()
        db.execute("vacuum (analyze) public.messages, public.conversations, private.searched_texts")
        print(f"vacuum {time.perf_counter() - started:.0f} s", flush=True)
        for relation in ("public.messages", "private.searched_texts", "private.searched_texts_words_idx"):
            [size] = db.execute(
                "select pg_size_pretty(case when relkind = 'r' then pg_table_size(oid) else pg_relation_size(oid) end) "
                "from pg_class where oid = %s::regclass",
                [relation],
            ).fetchall()
            print(f"{relation} {size[0]}", flush=True)


class Asked(NamedTuple):
    """Milliseconds of each round, of processor time in the server for one, the number of hits, and the next page's
    cursor."""

    times: list[float]
    cpu: float
    hits: int
    cursor: str | None


def ask(db: Connection, query: str, after: str | None = None) -> Asked:
    """Ask so many times, after a first time that fills the caches."""
    server = psutil.Process(db.info.backend_pid)
    times, rows, before = [], [], 0.0
    for round_ in range(1 + ROUNDS):
        if round_ == 1:
            before = sum(server.cpu_times()[:2])
        with db.transaction():
            claims = json.dumps({"role": "authenticated", "sub": str(SEARCHER)})
            db.execute("select set_config('role', 'authenticated', true)")
            db.execute("select set_config('request.jwt.claims', %s, true)", [claims])
            started = time.perf_counter()
            rows = db.execute(SEARCH, [query, PAGE + 1, after]).fetchall()
            times.append((time.perf_counter() - started) * 1000)
    cpu = (sum(server.cpu_times()[:2]) - before) * 1000 / ROUNDS
    return Asked(times[1:], cpu, min(len(rows), PAGE), rows[PAGE - 1][1] if len(rows) > PAGE else None)


def report(db: Connection, words: list[str]) -> None:
    print("\n| question | hits on the page | p50 ms | p95 ms | p99 ms | CPU ms |\n|---|---|---|---|---|---|")
    rare, middle = words[19_000], words[2_000]
    questions = {
        "the most frequent word": words[1],
        "a frequent word": words[50],
        "a word of one text in 400": middle,
        "a rare word": rare,
        "a frequent and a rare word": f"{words[1]} {rare}",
        "three frequent words": " ".join(words[1:4]),
        "a word that nearly all have, and one that nobody has": f"{words[1]} zzz",
        "two frequent words that no text has together": f"{words[1]} {chinese(1)}",
        "two letters that many words begin with": words[1][:2],
        "three letters": rare[:3],
        "three times three letters that few texts have together": " ".join(word[:3] for word in words[11:14]),
        "a word that nobody has": "zzz",
        "two Chinese letters": chinese(3),
        "two Chinese letters that are rare": chinese(18_500),
        "four Chinese letters": chinese(1) + chinese(2),
        "four Chinese letters that no text has in a row": chinese(1) + chinese(19_001),
        "code": f"{words[1]}.{words[2]}({words[3]}",
        "code that is rare": f"{middle}.py",
    }
    first, second = [], []
    for name, query in questions.items():
        asked = ask(db, query)
        first += asked.times
        print_row(name, asked)
        if asked.cursor is not None:
            asked = ask(db, query, asked.cursor)
            second += asked.times
            print_row("its second page", asked)
    print_row("**all first pages**", Asked(first, np.nan, 0, None))
    print_row("**all second pages**", Asked(second, np.nan, 0, None))


def print_row(name: str, asked: Asked) -> None:
    p50, p95, p99 = np.quantile(asked.times, (0.5, 0.95, 0.99))
    hits, cpu = ("", "") if np.isnan(asked.cpu) else (asked.hits, f"{asked.cpu:.1f}")
    print(f"| {name} | {hits} | {p50:.1f} | {p95:.1f} | {p99:.1f} | {cpu} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-conversations", description=__doc__)
    parser.add_argument("--full", action="store_true", help="10,000,000 messages instead of 300,000")
    parser.add_argument("--messages", type=int, help="another number of messages, at least 300,000")
    options = parser.parse_args()
    total = options.messages or (10_000_000 if options.full else 300_000)
    print(f"{total:,} messages, {MEASURED:,} of them the searcher's")
    words = vocabulary()
    with LocalSupabase.throwaway() as stack:
        # it would read all that is loaded from the log
        next(child for child in stack.children if child.name == "realtime").stop()
        load(stack.superuser_url, words, total)
        with psycopg.connect(stack.superuser_url, autocommit=True) as db:
            report(db, words)


if __name__ == "__main__":
    main()
