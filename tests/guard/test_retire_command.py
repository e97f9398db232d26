"""`python -m app.admin retire`: nothing without being told, a count first, then what is old."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator

import psycopg
import pytest

from app.admin import main
from app.admin_retention import KINDS, MOST_DAYS
from scripts.local_supabase import LocalSupabase
from tests.support.callers import Caller, Connection, new_conversation, new_user, one

Retire = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def retire(stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Retire:
    """Runs the command; its exit code, standard output and standard error."""
    monkeypatch.setenv("SUPABASE_URL", stack.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", stack.secret_key)

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ("retire", *arguments))
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def database(stack: LocalSupabase) -> Iterator[Connection]:
    with psycopg.connect(stack.database_url, autocommit=True) as opened:
        yield opened


@pytest.fixture
def user(database: Connection) -> Iterator[Caller]:
    created = new_user(database)
    yield created
    database.execute("delete from auth.users where id = %s", [created.id])


def imports(database: Connection, user: Caller) -> int:
    return int(one(database, "select count(*) from private.imports where user_id = %s", [user.id]))


async def test_old_rows_are_counted_then_removed(database: Connection, user: Caller, retire: Retire) -> None:
    # more than one step looks at
    database.execute(
        "insert into private.imports (user_id, conversations, updated_at) "
        "select %s, 1, now() - interval '1000 days' from generate_series(1, 2100)",
        [user.id],
    )
    database.execute("insert into private.imports (user_id, conversations) values (%s, 1)", [user.id])
    counted = await retire("--imports", "900", "--dry-run")
    assert counted == (0, "imports, 900 days: 2,100 would be removed\n", "")
    assert imports(database, user) == 2101
    removed = await retire("--imports", "900", "--pause", "0")
    assert removed == (0, "imports, 900 days: 2,100 removed\n", "")
    assert imports(database, user) == 1
    assert await retire("--imports", "900") == (0, "imports, 900 days: 0 removed\n", "")


async def test_kinds_are_removed_one_after_the_other(database: Connection, user: Caller, retire: Retire) -> None:
    conversation = new_conversation(database, user)
    code, output, _ = await retire("--texts", "36500", "--ledger", "36500", "--json")
    assert code == 0
    assert [json.loads(line) for line in output.splitlines()] == [
        {"kind": kind, "days": 36500, "rows": 0, "messages": 0, "dry_run": False} for kind in ("texts", "ledger")
    ]
    assert one(database, "select title from public.conversations where id = %s", [conversation]) == "before"


async def test_nothing_is_removed_without_a_kind(retire: Retire) -> None:
    code, output, error = await retire()
    assert (code, output) == (1, "")
    assert error.startswith("parley: name what to remove and after how many days: --texts, --conversations, ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ledger", "61"], "argument --ledger: '61' is not allowed: a whole number of days from 62 to 36500"),
        (["--texts", "1.5"], "argument --texts: '1.5' is not allowed: a whole number of days from 1 to 36500"),
        (["--keys", "36501"], "a whole number of days from 1 to 36500"),
        (["--keys", "-1"], "argument --keys"),
        (["--keys", "9", "--pause", "61"], "argument --pause: '61' is not allowed: seconds from 0 to 60"),
        (["--keys", "9", "--pause", "nan"], "seconds from 0 to 60"),
    ],
)
def test_wrong_argument_is_named(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(("retire", *arguments))
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err


def test_command_and_database_allow_the_same(database: Connection) -> None:
    """The least number of days of each kind."""
    source = one(database, "select prosrc from pg_proc where proname = 'retire'")
    allowed = json.loads(source.split("c_least constant jsonb := '")[1].split("';")[0])
    assert {kind: least for kind, (least, _) in KINDS.items()} == allowed
    assert f"c_most constant integer := {MOST_DAYS};" in source
