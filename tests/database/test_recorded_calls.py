"""What the last release calls is still answered: replicas of both versions run while a new one is rolled out.

The stack is the module's own, since these calls set the limits of all and the tests here break functions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.errors import SupabaseUnavailable
from app.store.client import open_supabase
from scripts.calls.__main__ import record
from scripts.calls.recorder import sign_up
from scripts.calls.replay import broken
from scripts.calls.tape import Recording, recordings
from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection

RECORDINGS = recordings()
STORES = Path(__file__).parents[2] / "app" / "store"


@pytest.fixture(scope="module")
def own_stack() -> Iterator[LocalSupabase]:
    with LocalSupabase.throwaway() as running:
        yield running


@pytest.fixture
def database(own_stack: LocalSupabase) -> Iterator[Connection]:
    """The owner's connection to it; every statement is its own transaction."""
    with psycopg.connect(own_stack.database_url, autocommit=True) as opened:
        yield opened


def replayed(recording: Recording, stack: LocalSupabase) -> list[str]:
    return list(broken(recording.calls, stack, sign_up(stack)))


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.release)
def test_calls_of_the_last_release_are_answered(own_stack: LocalSupabase, recording: Recording) -> None:
    assert replayed(recording, own_stack) == []


async def test_own_calls_are_answered_and_all_of_them_recorded(own_stack: LocalSupabase) -> None:
    """Otherwise the recording of the next release would lack some."""
    recording = Recording("next", await record(own_stack, sign_up(own_stack)))
    assert replayed(recording, own_stack) == []
    assert made_by_stores() <= {(call.method, call.path) for call in recording.calls}


def made_by_stores() -> set[tuple[str, str]]:
    """The methods and paths that the source of the stores names."""
    verbs = {"select": "GET", "insert": "POST", "update": "PATCH", "delete": "DELETE"}
    made: set[tuple[str, str]] = set()
    for path in STORES.glob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.AsyncFunctionDef):
                continue
            calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
            named = [(call.func.attr, call.args) for call in calls if isinstance(call.func, ast.Attribute)]
            tables = [ast.literal_eval(args[0]) for name, args in named if name == "from_"]
            written = {verbs[name] for name, _ in named if name in verbs} - {"GET"}
            made |= {(method, f"/{table}") for table in tables for method in written or {"GET"}}
            made |= {
                ("POST", f"/rpc/{argument.value}")
                for name, args in named
                if name in ("user_rpc", "service_rpc")
                for argument in args
                if isinstance(argument, ast.Constant)
            }
    return made


def test_stores_are_read() -> None:
    made = made_by_stores()
    assert {("POST", "/rpc/begin_turn"), ("GET", "/conversations"), ("DELETE", "/documents")} <= made
    assert ("POST", "/rpc/finish_replies") in made


# ── a replica that is ahead of its database ──────────────────────────────────────────────────────────────────────────


async def test_what_is_not_there_yet_is_unavailable(own_stack: LocalSupabase) -> None:
    """No error of the user's: the journal, for one, goes on trying."""
    user = sign_up(own_stack)
    supabase = open_supabase(own_stack.url, own_stack.publishable_key, own_stack.secret_key)
    try:
        with pytest.raises(SupabaseUnavailable):
            await supabase.user_rpc(user.token, "begin_turn_v2", {"p_writer": user.id}, object)
        with pytest.raises(SupabaseUnavailable):
            await supabase.user_rpc(user.token, "stop_reply", {"p_message_id": user.id, "p_new": 1}, object)
        with pytest.raises(SupabaseUnavailable):
            async with supabase.for_user(user.token) as client:
                await client.from_("messages").select("id,a_new_column").execute()
        with pytest.raises(SupabaseUnavailable):
            async with supabase.for_user(user.token) as client:
                await client.from_("conversations").insert({"a_new_column": 1}).execute()
    finally:
        await supabase.aclose()


# ── JSON that a function takes is taken by key ───────────────────────────────────────────────────────────────────────


def keys_sent(recording: Recording) -> set[tuple[str, str]]:
    """(function, key) for the keys of JSON arguments: those of a list's entries, or of an object itself."""
    sent: set[tuple[str, str]] = set()
    for call in recording.calls:
        if call.path.startswith("/rpc/"):
            for argument in call.body.values():
                entries = argument if isinstance(argument, list) else [argument]
                sent |= {(call.path[5:], key) for entry in entries if isinstance(entry, dict) for key in entry}
    return sent


def sources(database: Connection) -> dict[str, str]:
    """The bodies of our functions, by name with their schema."""
    rows = database.execute(
        "select p.pronamespace::regnamespace::text || '.' || p.proname, p.prosrc from pg_proc as p "
        "where p.pronamespace in ('public'::regnamespace, 'private'::regnamespace)"
    )
    return dict(rows.fetchall())


STORED_WHOLE = {"configure_limits": "private.embedding_cost"}
"""Functions that keep an object as it is, and those that read it."""
OF_A_TURN = {("begin_completion", "passage_tokens"), ("begin_completion", "system_tokens")}
"""A completion is sent the offer of a turn, of which it needs the models alone."""


def unread(recording: Recording, bodies: dict[str, str]) -> set[tuple[str, str]]:
    """The keys that nothing in the function, nor in those it calls, names: they would be lost in silence."""

    def everything(function: str, seen: set[str]) -> str:
        seen.add(function)
        called = set(re.findall(r"(?:private|public)\.\w+", bodies[function])) & bodies.keys() - seen
        return bodies[function] + "".join(everything(name, seen) for name in sorted(called))

    return {
        (function, key)
        for function, key in keys_sent(recording) - OF_A_TURN
        if not re.search(rf"\b{key}\b", everything(STORED_WHOLE.get(function, f"public.{function}"), set()))
    }


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.release)
def test_keys_of_the_last_release_are_read(database: Connection, recording: Recording) -> None:
    assert {("finish_replies", "cost_micro_usd"), ("create_document", "content")} <= keys_sent(recording)
    assert unread(recording, sources(database)) == set()


def test_key_that_is_read_no_more_is_noticed(database: Connection) -> None:
    bodies = sources(database)
    bodies = {name: text.replace("cost_micro_usd", "cost") for name, text in bodies.items()}
    found = unread(RECORDINGS[-1], bodies)
    assert ("finish_replies", "cost_micro_usd") in found
    assert {key for _, key in found} == {"cost_micro_usd"}


# ── each kind of change that breaks a running replica is noticed ─────────────────────────────────────────────────────


@contextmanager
def replaced(database: Connection, signature: str, arguments: str, body: str) -> Generator[None]:
    """In the place of a function, one with other arguments and, of the one before, `kept` in its body."""
    name = signature.split("(")[0].removeprefix("public.")
    database.execute(f"alter function {signature} rename to kept")
    try:
        made = f"public.{name}({arguments})"
        database.execute(f"create function {made} returns jsonb language sql as $$ select {body} $$")
        database.execute(f"grant execute on function public.{name} to authenticated")
        yield
        database.execute(f"drop function public.{name}")
    finally:
        database.execute(f"alter function {signature.replace(name, 'kept')} rename to {name}")


STOP = "public.stop_reply(uuid)"
BREAKING = {
    "argument renamed": (STOP, "p_id uuid", "public.kept(p_id)"),
    "argument required": (STOP, "p_message_id uuid, p_reason text", "public.kept(p_message_id)"),
    "answer without a key": (STOP, "p_message_id uuid", "public.kept(p_message_id) - 'seq'"),
    "answer without a value": (STOP, "p_message_id uuid", "public.kept(p_message_id) || '{\"seq\": null}'"),
    "answer of another kind": (STOP, "p_message_id uuid", 'public.kept(p_message_id) || \'{"seq": "1"}\''),
    "answer with an unknown status": (STOP, "p_message_id uuid", 'public.kept(p_message_id) || \'{"status": "new"}\''),
}


@pytest.mark.parametrize("change", BREAKING)
def test_breaking_a_function_is_noticed(own_stack: LocalSupabase, database: Connection, change: str) -> None:
    with replaced(database, *BREAKING[change]):
        found = replayed(RECORDINGS[-1], own_stack)
    assert [line for line in found if "/rpc/stop_reply" in line], found


def test_compatible_change_of_a_function_is_none(own_stack: LocalSupabase, database: Connection) -> None:
    body = "public.kept(p_message_id) || '{\"more\": 1}'"
    with replaced(database, STOP, "p_message_id uuid, p_reason text default null", body):
        assert replayed(RECORDINGS[-1], own_stack) == []


@pytest.mark.parametrize(
    ("change", "undo", "where"),
    [
        (
            "alter function public.admit_request(text, boolean, text) rename to admit",
            "alter function public.admit(text, boolean, text) rename to admit_request",
            "/rpc/admit_request",
        ),
        (
            "alter table public.messages rename column finish_reason to reason",
            "alter table public.messages rename column reason to finish_reason",
            "finish_reason",
        ),
        (
            "alter table public.conversations rename to threads",
            "alter table public.threads rename to conversations",
            "/conversations",
        ),
        (
            "revoke update (title) on public.conversations from authenticated",
            "grant update (title) on public.conversations to authenticated",
            "PATCH /conversations",
        ),
        (
            "revoke execute on function public.recover_replies() from service_role",
            "grant execute on function public.recover_replies() to service_role",
            "/rpc/recover_replies",
        ),
    ],
)
def test_taking_something_away_is_noticed(
    own_stack: LocalSupabase, database: Connection, change: Any, undo: Any, where: str
) -> None:
    database.execute(change)
    try:
        found = replayed(RECORDINGS[-1], own_stack)
    finally:
        database.execute(undo)
    assert [line for line in found if where in line], found
