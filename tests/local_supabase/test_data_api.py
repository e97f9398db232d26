"""The Data API treats the database as PostgREST does on a hosted project."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase

PROBE = """
create table public.probe (
    id bigint generated always as identity primary key,
    at timestamptz not null default now(),
    content jsonb,
    owner uuid default auth.uid()
);
alter table public.probe enable row level security;
create policy "Owners read" on public.probe for select to authenticated using (owner = (select auth.uid()));
grant select on public.probe to authenticated;
grant select, insert on public.probe to service_role;

create table private.probe (id bigint primary key);
alter table private.probe enable row level security;

create function public.probe_caller() returns jsonb language sql stable as $$
    select jsonb_build_object(
        'uid', auth.uid(), 'role', auth.role(), 'email', auth.email(), 'jwt', auth.jwt(),
        'current_user', current_user, 'session_user', session_user,
        'search_path', current_setting('search_path'), 'timeout', current_setting('statement_timeout'),
        'at', now()
    )
$$;
create function public.probe_rows() returns setof public.probe language sql stable security definer
set search_path = '' as $$ select * from public.probe $$;
create function public.probe_typeof(value jsonb) returns text language sql as $$ select jsonb_typeof(value) $$;
create function public.probe_vector(value extensions.vector) returns extensions.vector language sql
as $$ select value $$;
create function public.probe_sleep(seconds float) returns void language sql as $$ select pg_sleep(seconds) $$;
create function public.probe_fail(code text) returns void language plpgsql as $$
begin
    raise exception using errcode = code, message = 'what', detail = 'why', hint = 'how';
end
$$;
create function public.probe_refuse() returns void language plpgsql as $$
begin
    raise sqlstate 'PGRST' using
        message = '{"code": "slow_down", "message": "what", "details": "why", "hint": "how"}',
        detail = '{"status": 429, "headers": {"Retry-After": "7"}}';
end
$$;
"""
CLEAN_UP = """
drop table public.probe cascade;
drop table private.probe;
drop function public.probe_caller, public.probe_typeof, public.probe_vector, public.probe_sleep,
    public.probe_fail, public.probe_refuse;
"""


@pytest.fixture(scope="module", autouse=True)
def probe(owner: psycopg.Connection, http: httpx.Client, service: dict[str, str]) -> Iterator[None]:
    """Objects to ask questions of, known to the API."""
    owner.execute(PROBE)
    wait_for_function(http, service, "probe_caller")
    yield
    owner.execute(CLEAN_UP)


def wait_for_function(http: httpx.Client, headers: dict[str, str], name: str) -> None:
    """The API hears of new objects by a notification, a moment after they are made."""
    deadline = time.monotonic() + 5
    while http.post(f"/rest/v1/rpc/{name}", headers=headers).status_code == 404:
        assert time.monotonic() < deadline, "the schema was not read anew"


def caller(http: httpx.Client, headers: dict[str, str]) -> dict[str, Any]:
    answer = http.post("/rest/v1/rpc/probe_caller", headers=headers)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_user_in_sql(http: httpx.Client, signed_in: dict[str, str], user: dict[str, Any]) -> None:
    told = caller(http, signed_in)
    assert told["uid"] == user["user"]["id"]
    assert (told["role"], told["current_user"]) == ("authenticated", "authenticated")
    assert told["email"] == user["email"]
    assert told["jwt"]["app_metadata"]["provider"] == "email"
    assert told["session_user"] == "authenticator"
    assert told["search_path"] == '"public", "extensions"'


def test_anonymous_in_sql(http: httpx.Client, anon: dict[str, str]) -> None:
    told = caller(http, anon)
    assert (told["uid"], told["role"], told["current_user"]) == (None, "anon", "anon")


def test_service_in_sql(http: httpx.Client, service: dict[str, str]) -> None:
    told = caller(http, service)
    assert (told["uid"], told["role"], told["current_user"]) == (None, "service_role", "service_role")


def test_requests_do_not_leak_into_each_other(
    http: httpx.Client, signed_in: dict[str, str], anon: dict[str, str]
) -> None:
    for _ in range(20):
        assert caller(http, signed_in)["uid"] is not None
        assert caller(http, anon)["uid"] is None


@pytest.mark.parametrize(("headers", "timeout"), [("anon", "3s"), ("signed_in", "8s"), ("service", "8s")])
def test_role_has_its_timeout(http: httpx.Client, headers: str, timeout: str, request: pytest.FixtureRequest) -> None:
    assert caller(http, request.getfixturevalue(headers))["timeout"] == timeout


def test_statement_timeout_holds(http: httpx.Client, anon: dict[str, str]) -> None:
    started = time.monotonic()
    stopped = http.post("/rest/v1/rpc/probe_sleep", headers=anon, json={"seconds": 6})
    assert (stopped.status_code, stopped.json()["code"]) == (500, "57014")
    assert time.monotonic() - started < 5


ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00")


def test_timestamps_are_iso_everywhere(http: httpx.Client, service: dict[str, str]) -> None:
    inserted = http.post(
        "/rest/v1/probe",
        headers={**service, "Prefer": "return=representation"},
        json={"content": {"a": 1}},
    )
    selected = http.get("/rest/v1/probe", headers=service)
    called = http.post("/rest/v1/rpc/probe_rows", headers=service)
    for answer in (inserted, selected, called):
        assert ISO.fullmatch(answer.json()[0]["at"]), answer.text
    assert ISO.fullmatch(caller(http, service)["at"])


@pytest.mark.parametrize(
    ("value", "kind"), [({"a": [1]}, "object"), ([{"a": 1}], "array"), ("text", "string"), (1, "number")]
)
def test_json_argument_arrives_as_json(http: httpx.Client, service: dict[str, str], value: object, kind: str) -> None:
    answer = http.post("/rest/v1/rpc/probe_typeof", headers=service, json={"value": value})
    assert answer.json() == kind


@pytest.mark.parametrize("value", [[1, 2.5, -3e-7], "[1,2.5,-3e-07]"], ids=["list", "text"])
def test_vector_is_a_list_or_its_text(http: httpx.Client, service: dict[str, str], value: object) -> None:
    answer = http.post("/rest/v1/rpc/probe_vector", headers=service, json={"value": value})
    assert answer.json() == "[1,2.5,-3e-07]"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("P0001", 400),
        ("PY001", 400),
        ("PT409", 409),
        ("22023", 400),
        ("23503", 409),
        ("23505", 409),
        ("28000", 403),
        ("40001", 500),
        ("42501", 403),
        ("53300", 503),
        ("P0002", 500),
        ("XX000", 500),
    ],
)
def test_raised_error_reaches_the_client(http: httpx.Client, service: dict[str, str], code: str, status: int) -> None:
    answer = http.post("/rest/v1/rpc/probe_fail", headers=service, json={"code": code})
    assert answer.status_code == status
    assert answer.json() == {"code": code, "message": "what", "details": "why", "hint": "how"}


def test_missing_privilege_is_401_for_nobody(http: httpx.Client, anon: dict[str, str]) -> None:
    answer = http.post("/rest/v1/rpc/probe_fail", headers=anon, json={"code": "42501"})
    assert answer.status_code == 401


def test_raised_error_may_choose_status_and_headers(http: httpx.Client, service: dict[str, str]) -> None:
    answer = http.post("/rest/v1/rpc/probe_refuse", headers=service)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json() == {"code": "slow_down", "message": "what", "details": "why", "hint": "how"}


def test_single_row_that_is_not_there(http: httpx.Client, service: dict[str, str]) -> None:
    one = {**service, "Accept": "application/vnd.pgrst.object+json"}
    answer = http.get("/rest/v1/probe", params={"id": "eq.0"}, headers=one)
    assert (answer.status_code, answer.json()["code"]) == (406, "PGRST116")


def test_unknown_table(http: httpx.Client, service: dict[str, str]) -> None:
    answer = http.get("/rest/v1/no_such_table", headers=service)
    assert (answer.status_code, answer.json()["code"]) == (404, "PGRST205")


def grants(owner: psycopg.Connection) -> list[tuple[Any, ...]]:
    """Every privilege on tables, schemas and sequences, and every default privilege."""
    return owner.execute(
        """
        select 'relation', oid::regclass::text, relacl::text from pg_catalog.pg_class
        where relkind in ('r', 'p', 'v', 'S') and relnamespace::regnamespace::text in ('public', 'private')
        union all select 'schema', nspname::text, nspacl::text from pg_catalog.pg_namespace
        union all select 'default', oid::text, defaclacl::text from pg_catalog.pg_default_acl
        order by 1, 2
        """
    ).fetchall()


def test_serving_requests_changes_no_grant(
    owner: psycopg.Connection, http: httpx.Client, anon: dict[str, str], service: dict[str, str], user: Any
) -> None:
    """lite, left to itself, grants all on every schema that has a protected table at its first request."""
    before = grants(owner)
    for headers in (anon, service, {**anon, "Authorization": f"Bearer {user['access_token']}"}):
        for path in ("/rest/v1/probe", "/rest/v1/conversations", "/rest/v1/rpc/probe_rows"):
            http.get(path, headers=headers)
    assert grants(owner) == before
    allowed = owner.execute(
        """
        select has_table_privilege('anon', 'public.probe', 'select'),
            has_table_privilege('authenticated', 'public.probe', 'insert'),
            has_table_privilege('service_role', 'private.probe', 'select')
        """
    ).fetchone()
    assert allowed == (False, False, False)


def test_data_api_could_not_grant(stack: LocalSupabase, owner: psycopg.Connection) -> None:
    """Its own role owns nothing and inherits nothing, so a grant is beyond it whatever it runs."""
    assert owner.execute(
        "select rolsuper, rolinherit, rolcreaterole from pg_catalog.pg_roles where rolname = 'authenticator'"
    ).fetchone() == (False, False, False)
    assert owner.execute(
        "select count(*) from pg_catalog.pg_class where relowner = 'authenticator'::regrole"
    ).fetchone() == (0,)


def test_grants_decide(
    http: httpx.Client, anon: dict[str, str], signed_in: dict[str, str], service: dict[str, str]
) -> None:
    assert http.get("/rest/v1/probe", headers=anon).status_code == 401
    assert http.get("/rest/v1/probe", headers=signed_in).status_code == 200
    assert http.post("/rest/v1/probe", headers=signed_in, json={"content": 1}).status_code == 403
    assert http.patch("/rest/v1/probe?id=eq.1", headers=service, json={"content": 1}).status_code == 403


@pytest.mark.parametrize("path", ["/_system/info", "/_system/config", "/_system/introspect", "/", "/studio"])
def test_only_the_apis_are_reachable(http: httpx.Client, service: dict[str, str], path: str) -> None:
    assert http.get(path, headers=service).status_code == 404


def test_other_schemas_are_not_exposed(http: httpx.Client, service: dict[str, str]) -> None:
    for schema in ("auth", "private", "realtime"):
        answer = http.get("/rest/v1/users", headers={**service, "Accept-Profile": schema})
        assert (answer.status_code, answer.json()["code"]) == (406, "PGRST106")


def test_browser_may_call_from_any_origin(http: httpx.Client, anon: dict[str, str]) -> None:
    asked = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "apikey,authorization,prefer,x-client-info",
    }
    for path in ("/rest/v1/probe", "/auth/v1/token", "/realtime/v1/api/broadcast"):
        preflight = http.options(path, headers=asked)
        assert preflight.status_code == 204, path
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = http.get("/rest/v1/probe", headers={**anon, "Origin": "https://app.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
