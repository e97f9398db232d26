"""retire: what is old goes in steps, what is younger stays, and a step that is cut off has done nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from scripts.local_supabase import LocalSupabase
from tests.database.tables import plant
from tests.support.callers import ANON, SERVICE, Caller, Connection, acting, new_conversation, new_user, one, rpc
from tests.support.documented import block
from tests.support.turn_functions import answered

KINDS = {
    "audit": "private.moderation_audit",
    "imports": "private.imports",
    "keys": "private.personal_keys",
    "idempotency": "private.idempotency_keys",
    "meters": "private.meters",
    "documents": "public.documents",
}
OLD_AND_YOUNG = {
    "audit": """
        insert into private.moderation_audit (message_id, user_id, part, categories, created_at)
        select gen_random_uuid(), %(user)s, 'input', '{violence}', now() - d * interval '1 hour'
        from unnest(%(ages)s) as d
    """,
    "imports": """
        insert into private.imports (user_id, conversations, updated_at)
        select %(user)s, 1, now() - d * interval '1 hour' from unnest(%(ages)s) as d
    """,
    "keys": """
        insert into private.personal_keys (user_id, name, hash, hint, expires_at)
        select %(user)s, 'a key', sha256(random()::text::bytea), 'parley_aB3d', now() - d * interval '1 hour'
        from unnest(%(ages)s || null::integer) as d
    """,
    "documents": """
        insert into public.documents (user_id, title, updated_at)
        select %(user)s, 'A document', now() - d * interval '1 hour' from unnest(%(ages)s) as d
    """,
}


def retire(
    db: Connection, kind: str, days: int, *, dry_run: bool = False, steps: int = 1000, after: str | None = None
) -> tuple[int, int]:
    """The rows that so many steps at most have removed, or counted, and how many steps there were."""
    rows = 0
    for step in range(1, steps + 1):
        with acting(db, SERVICE):
            said = rpc(db, "retire", p_kind=kind, p_days=days, p_after=after, p_dry_run=dry_run)
        rows, after = rows + said["rows"], said["next"]
        if after is None:
            return rows, step
    return rows, steps


def before(db: Connection, conversation: UUID) -> str:
    """Where a step begins that looks at this conversation first: other tests may have left more than a step's."""
    return str(one(db, "select c.position - 1 from public.conversations as c where c.id = %s", [conversation]))


@pytest.fixture
def db(db: Connection) -> Connection:
    """Without what other tests have left that is old."""
    for kind in ("conversations", "documents", "ledger", *OLD_AND_YOUNG, "idempotency", "meters"):
        retire(db, kind, 62 if kind == "ledger" else 2)
    return db


def rest(db: Connection, table: str, user: Caller) -> int:
    return int(one(db, f"select count(*) from {table} where user_id = %s", [user.id]))


def idle(db: Connection, user: Caller, days: float, said: str = "Hello") -> UUID:
    """A conversation of one turn, without activity for so many days."""
    conversation = new_conversation(db, user)
    answered(db, user, conversation, said, "An answer")
    # the trigger would make it active
    db.execute("alter table public.conversations disable trigger conversations_set_updated_at")
    db.execute(
        "update public.conversations set updated_at = now() - %(days)s * interval '1 day', "
        "last_message_at = now() - %(days)s * interval '1 day' where id = %(id)s",
        {"days": days, "id": conversation},
    )
    db.execute("alter table public.conversations enable trigger conversations_set_updated_at")
    return conversation


def there(db: Connection, *conversations: UUID) -> list[bool]:
    return [one(db, "select exists (select from public.conversations where id = %s)", [each]) for each in conversations]


# ── what goes ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", OLD_AND_YOUNG)
def test_rows_older_than_the_days_go_and_no_others(db: Connection, owner: Caller, kind: str) -> None:
    # hours; a key without an end is no old key
    db.execute("alter table public.documents disable trigger user")
    db.execute(OLD_AND_YOUNG[kind], {"user": owner.id, "ages": [0, 71, 73, 2000]})
    before = rest(db, KINDS[kind], owner)
    assert retire(db, kind, 3, dry_run=True)[0] == 2
    assert rest(db, KINDS[kind], owner) == before
    assert retire(db, kind, 3)[0] == 2
    assert rest(db, KINDS[kind], owner) == before - 2
    assert retire(db, kind, 3)[0] == 0


@pytest.mark.parametrize(("kind", "column"), [("idempotency", "created_at"), ("meters", "full_at")])
def test_what_a_turn_left_goes_when_it_is_old(db: Connection, owner: Caller, kind: str, column: str) -> None:
    conversation = new_conversation(db, owner)
    answered(db, owner, conversation, "Hello", "An answer")
    db.execute(
        "insert into private.idempotency_keys (user_id, key, request_hash, message_id) "
        "select user_id, 'k', '', id from public.messages where conversation_id = %s and role = 'user'",
        [conversation],
    )
    assert retire(db, kind, 3)[0] == 0
    db.execute(f"update {KINDS[kind]} set {column} = now() - interval '73 hours' where user_id = %s", [owner.id])
    assert retire(db, kind, 3)[0] == 1
    assert rest(db, KINDS[kind], owner) == 0


def test_idle_conversations_go_whole(db: Connection, owner: Caller) -> None:
    old, young, used = idle(db, owner, 10.1), idle(db, owner, 9.9), idle(db, owner, 10.1)
    # somebody has renamed it since
    db.execute("update public.conversations set title = 'Again' where id = %s", [used])
    assert retire(db, "conversations", 10, dry_run=True)[0] == 1
    assert there(db, old, young, used) == [True, True, True]
    assert retire(db, "conversations", 10)[0] == 1
    assert there(db, old, young, used) == [False, True, True]
    assert one(db, "select count(*) from public.messages where user_id = %s", [owner.id]) == 4
    assert one(db, "select count(*) from private.searched_texts where user_id = %s", [owner.id]) == 6
    stored = dict(db.execute("select kind, amount from private.stored where user_id = %s", [owner.id]).fetchall())
    assert (stored["conversations"], stored["messages"]) == (2, 4)


def test_texts_go_and_what_was_used_stays(db: Connection, owner: Caller) -> None:
    old, young = idle(db, owner, 10.1, "a secret"), idle(db, owner, 9.9, "no secret")
    db.execute(
        'update public.messages set feedback = \'{"rating": "down", "comment": "a secret"}\', reasoning = \'a secret\' '
        "where conversation_id = %s and role = 'assistant'",
        [old],
    )
    before = spent(db, old)
    assert retire(db, "texts", 10)[0] == 1
    assert spent(db, old) == before
    rows = db.execute(
        "select to_jsonb(m)::text || to_jsonb(c)::text from public.messages as m "
        "join public.conversations as c on c.id = m.conversation_id where c.id = %s",
        [old],
    ).fetchall()
    assert len(rows) == 2
    assert not any("secret" in text or "An answer" in text for (text,) in rows)
    with acting(db, owner):
        found = db.execute("select conversation ->> 'id' from public.search_conversations('secret')").fetchall()
        # a turn goes on in it, with nothing before
        begun = rpc(db, "begin_turn", p_writer=owner.id, p_conversation_id=old, p_content="Again")
    assert [row[0] for row in found] == [str(young)]
    assert begun["history"] == []
    assert retire(db, "texts", 10)[0] == 0


def spent(db: Connection, conversation: UUID) -> list[tuple[Any, ...]]:
    return db.execute(
        "select id, role, status, model, prompt_tokens, completion_tokens, cost_micro_usd, created_at "
        "from public.messages where conversation_id = %s order by position",
        [conversation],
    ).fetchall()


def test_documents_take_their_passages_with_them(db: Connection, owner: Caller) -> None:
    rows = plant(db, owner)
    db.execute("alter table public.documents disable trigger user")
    db.execute("update public.documents set updated_at = now() - interval '2 days' where user_id = %s", [owner.id])
    db.execute("alter table public.documents enable trigger user")
    assert rest(db, "public.embeddings", owner) == 1
    assert retire(db, "documents", 1)[0] == 1
    assert (rest(db, "public.embeddings", owner), rest(db, "public.documents", owner)) == (0, 0)
    assert rows.keys["documents"] is not None


# ── the ledger ───────────────────────────────────────────────────────────────────────────────────────────────────

ENTRIES = """
insert into private.usage_ledger (
  reply_id, entry, user_id, provider, model, prompt_tokens, completion_tokens, cached_tokens, cost_micro_usd, created_at
)
select gen_random_uuid(), 1, %(user)s, 'openai', 'a-model', 10, 5, 1, case when n %% 4 > 0 then 7 end, %(at)s
from generate_series(1, %(entries)s) as n
"""
LONG_AGO = datetime.fromisoformat("2020-02-29T23:30:00+00:00")


def accounted(db: Connection) -> tuple[int, int, int]:
    """Entries, tokens and cost, in the ledger and in the sums together."""
    [row] = db.execute(
        "select sum(entries)::bigint, sum(tokens)::bigint, sum(cost)::bigint from ("
        "select 1 as entries, tokens, coalesce(cost_micro_usd, 0) as cost from private.usage_ledger union all "
        "select entries, prompt_tokens + completion_tokens, cost_micro_usd from private.usage_sums) as a"
    ).fetchall()
    return int(row[0]), int(row[1]), int(row[2])


def test_entries_of_the_ledger_become_sums(db: Connection, owner: Caller, stranger: Caller) -> None:
    for user in (owner, stranger):
        db.execute(ENTRIES, {"user": user.id, "entries": 4, "at": LONG_AGO})
    db.execute(ENTRIES, {"user": owner.id, "entries": 3, "at": datetime.now().astimezone()})
    before = accounted(db)
    assert retire(db, "ledger", 62, dry_run=True)[0] == 8
    assert retire(db, "ledger", 62)[0] == 8
    assert db.execute(
        "select * from private.usage_sums where provider = 'openai' and model = 'a-model'"
    ).fetchall() == [(LONG_AGO.date().replace(day=1), "reply", "openai", "a-model", 8, 80, 40, 8, 42, 2)]
    assert (rest(db, "private.usage_ledger", owner), rest(db, "private.usage_ledger", stranger)) == (3, 0)
    assert accounted(db) == before


def test_ledger_that_is_left_in_the_middle_is_finished_by_the_next_run(db: Connection, owner: Caller) -> None:
    db.execute(ENTRIES, {"user": owner.id, "entries": 5_400, "at": LONG_AGO})
    before = accounted(db)
    assert retire(db, "ledger", 62, steps=1) == (5_000, 1)
    assert accounted(db) == before
    # cut off while it works: as if it had not begun
    db.execute("set statement_timeout = 1")
    with pytest.raises(psycopg.errors.QueryCanceled), db.transaction():
        retire(db, "ledger", 62, steps=1)
    db.execute("set statement_timeout = 0")
    assert accounted(db) == before
    assert retire(db, "ledger", 62)[0] == 400
    assert accounted(db) == before


# ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_long_conversation_is_a_step_of_its_own(db: Connection, owner: Caller) -> None:
    """So that one step locks at most about 2,000 messages, or one conversation."""
    olds = [idle(db, owner, 10.1) for _ in range(3)]
    db.execute("alter table public.conversations disable trigger user")
    db.execute("update public.conversations set message_count = 2000 where id = %s", [olds[1]])
    db.execute("alter table public.conversations enable trigger user")
    assert retire(db, "conversations", 10, steps=1, after=before(db, olds[0])) == (2, 1)
    assert there(db, *olds) == [False, False, True]
    assert retire(db, "conversations", 10)[0] == 1


@pytest.fixture
def elsewhere(stack: LocalSupabase) -> Iterator[Connection]:
    """Another connection of the database's owner."""
    with psycopg.connect(stack.database_url) as opened:
        yield opened


def test_conversation_in_use_is_left_and_holds_nobody_up(
    connection: Connection, user: Caller, elsewhere: Connection
) -> None:
    old, free = idle(connection, user, 10.1), idle(connection, user, 10.1)
    elsewhere.execute("select from public.conversations where id = %s for no key update", [old])
    connection.execute("set lock_timeout = '5s'")
    retire(connection, "conversations", 10)
    assert there(connection, old, free) == [True, False]
    elsewhere.rollback()
    retire(connection, "conversations", 10)
    assert there(connection, old) == [False]


def test_job_of_the_documentation_runs_in_the_database(connection: Connection, user: Caller) -> None:
    """What pg_cron is told to run commits after each step."""
    old, young = idle(connection, user, 731), idle(connection, user, 10.1)
    said = block("docs/retention.md", "cron.schedule('parley-retention'").text
    (job,) = re.findall(r"^  do \$body\$.*?^  \$body\$$", said, re.MULTILINE | re.DOTALL)
    connection.execute(job)
    assert there(connection, old, young) == [False, True]


# ── who, and what is refused ─────────────────────────────────────────────────────────────────────────────────────


def test_nobody_but_the_service_may(db: Connection, owner: Caller) -> None:
    old = idle(db, owner, 10.1)
    for caller in (owner, ANON, new_user(db)):
        with pytest.raises(InsufficientPrivilege), acting(db, caller):
            rpc(db, "retire", p_kind="conversations", p_days=1, p_dry_run=False)
    assert there(db, old) == [True]


def test_counting_is_what_it_does_by_itself(db: Connection, owner: Caller) -> None:
    old = idle(db, owner, 10.1)
    after = before(db, old)
    with acting(db, SERVICE):
        assert rpc(db, "retire", p_kind="conversations", p_days=10, p_after=after)["rows"] == 1
        assert rpc(db, "retire", p_kind="conversations", p_days=10, p_after=after, p_dry_run=None)["rows"] == 1
    assert there(db, old) == [True]


@pytest.mark.parametrize(
    ("kind", "days", "detail"),
    [
        ("ledger", 61, "p_days: expected 62 to 36500 days of ledger."),
        ("conversations", 0, "p_days: expected 1 to 36500 days of conversations."),
        ("conversations", None, "p_days: expected 1 to 36500 days of conversations."),
        ("messages", 10, "p_kind: expected one of audit, conversations, documents, idempotency, imports, keys, ledger"),
        (None, 10, "p_kind: expected one of audit"),
    ],
)
def test_wrong_argument_is_named(db: Connection, kind: str | None, days: int | None, detail: str) -> None:
    with pytest.raises(psycopg.DatabaseError) as refused, acting(db, SERVICE):
        rpc(db, "retire", p_kind=kind, p_days=days)
    assert refused.value.sqlstate == "PT422"
    assert (refused.value.diag.message_detail or "").startswith(detail)
