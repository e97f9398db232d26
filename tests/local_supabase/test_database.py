"""Before its first migration the database is what a hosted project is."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

API_ROLES = ("anon", "authenticated", "service_role")


@pytest.fixture
def undone(owner: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The owner in a transaction that is rolled back."""
    with owner.transaction(force_rollback=True):
        yield owner


def test_owner_is_no_superuser(owner: psycopg.Connection) -> None:
    assert owner.execute(
        """
        select rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls
        from pg_catalog.pg_roles where rolname = current_user
        """
    ).fetchone() == (False, True, True, True, True)
    assert owner.execute("show search_path").fetchone() == ('"$user", public, extensions',)


def test_owner_owns_the_database(owner: psycopg.Connection) -> None:
    assert owner.execute(
        "select datdba::regrole::text from pg_catalog.pg_database where datname = 'postgres'"
    ).fetchone() == ("postgres",)


@pytest.mark.parametrize("extension", ["vector", "pg_trgm", "hstore"])
def test_owner_creates_extensions(undone: psycopg.Connection, extension: str) -> None:
    undone.execute(f"create extension if not exists {extension} with schema extensions")


@pytest.mark.parametrize("schema", ["auth", "realtime"])
def test_owner_creates_nothing_in_the_platform_s_schemas(undone: psycopg.Connection, schema: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        undone.execute(f"create table {schema}.mine (id bigint primary key)")


def test_owner_puts_a_trigger_on_users(undone: psycopg.Connection) -> None:
    undone.execute("create function public.noop() returns trigger language plpgsql as $$begin return new; end$$")
    undone.execute("create trigger t after insert on auth.users for each row execute function public.noop()")


def test_owner_writes_policies_for_realtime(undone: psycopg.Connection) -> None:
    undone.execute("create policy p on realtime.messages for select to authenticated using (realtime.topic() = 'a')")


@pytest.mark.parametrize("role", API_ROLES)
def test_new_table_is_granted_to_nobody(undone: psycopg.Connection, role: str) -> None:
    undone.execute("create table public.fresh (id bigint generated always as identity primary key)")
    for privilege in ("select", "insert", "update", "delete", "truncate"):
        assert undone.execute("select has_table_privilege(%s, 'public.fresh', %s)", [role, privilege]).fetchone() == (
            False,
        )


@pytest.mark.parametrize("role", API_ROLES)
@pytest.mark.parametrize("schema", ["public", "extensions", "auth", "realtime"])
def test_api_roles_may_use_the_schemas(owner: psycopg.Connection, role: str, schema: str) -> None:
    assert owner.execute(
        "select has_schema_privilege(%s, %s, 'usage'), has_schema_privilege(%s, %s, 'create')",
        [role, schema, role, schema],
    ).fetchone() == (True, False)


@pytest.mark.parametrize("role", API_ROLES)
def test_api_roles_cannot_read_users(owner: psycopg.Connection, role: str) -> None:
    assert owner.execute("select has_table_privilege(%s, 'auth.users', 'select')", [role]).fetchone() == (False,)


def test_caller_s_functions_read_the_claims(undone: psycopg.Connection) -> None:
    asked = "select auth.uid()::text, auth.role(), auth.email(), auth.jwt() ->> 'plan'"
    assert undone.execute(asked).fetchone() == (None, None, None, None)
    sub = "11111111-1111-1111-1111-111111111111"
    claims = f'{{"sub": "{sub}", "role": "authenticated", "email": "a@b.c", "plan": "team"}}'
    undone.execute("select set_config('request.jwt.claims', %s, true)", [claims])
    assert undone.execute(asked).fetchone() == (sub, "authenticated", "a@b.c", "team")


def test_send_stores_a_message(undone: psycopg.Connection) -> None:
    undone.execute("select realtime.send('{\"a\": 1}', 'news', 'probe:1')")
    row = undone.execute(
        "select payload ->> 'a', payload ->> 'id' = id::text, event, topic, extension, private, realtime.topic() "
        "from realtime.messages where topic = 'probe:1'"
    ).fetchone()
    assert row == ("1", True, "news", "probe:1", "broadcast", True, "probe:1")


def test_send_keeps_an_id_that_is_given(undone: psycopg.Connection) -> None:
    undone.execute("select realtime.send('{\"id\": \"mine\"}', 'news', 'probe:1', false)")
    assert undone.execute(
        "select payload ->> 'id', private from realtime.messages where topic = 'probe:1'"
    ).fetchone() == (
        "mine",
        False,
    )


def test_send_fails_silently(undone: psycopg.Connection) -> None:
    """As hosted: a message that cannot be sent must not undo the transaction it belongs to."""
    warnings: list[str | None] = []
    undone.add_notice_handler(lambda notice: warnings.append(notice.message_primary))
    undone.execute("select realtime.send('[]', 'news', 'probe:1')")
    assert undone.execute("select count(*) from realtime.messages where topic = 'probe:1'").fetchone() == (0,)
    assert len(warnings) == 1
    assert warnings[0] is not None
    assert warnings[0].startswith("WarnSendingBroadcastMessage: ")


def test_user_cannot_send_without_a_policy(undone: psycopg.Connection) -> None:
    undone.execute("set local role authenticated")
    undone.execute("select realtime.send('{}', 'news', 'probe:1')")
    undone.execute("reset role")
    assert undone.execute("select count(*) from realtime.messages where topic = 'probe:1'").fetchone() == (0,)


def test_broadcast_changes_tells_both_rows(undone: psycopg.Connection) -> None:
    undone.execute(
        """
        create table public.fresh (id bigint primary key, name text);
        create function public.tell() returns trigger language plpgsql as $$
        begin
            perform realtime.broadcast_changes(
                'probe:1', tg_op, tg_op, tg_table_name, tg_table_schema, new, old
            );
            return null;
        end
        $$;
        create trigger tell after update on public.fresh for each row execute function public.tell();
        insert into public.fresh values (1, 'old');
        update public.fresh set name = 'new';
        """
    )
    assert undone.execute(
        """
        select event, payload -> 'record' ->> 'name', payload -> 'old_record' ->> 'name',
            payload ->> 'operation', payload ->> 'table', payload ->> 'schema'
        from realtime.messages where topic = 'probe:1'
        """
    ).fetchone() == ("UPDATE", "new", "old", "UPDATE", "fresh", "public")


def test_messages_of_the_coming_days_have_a_place(undone: psycopg.Connection) -> None:
    undone.execute(
        """
        insert into realtime.messages (topic, extension, inserted_at)
        select 'probe:1', 'broadcast', now() + make_interval(days => day) from generate_series(-1, 3) as day
        """
    )
