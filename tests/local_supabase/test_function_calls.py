"""Calls of functions, which the gateway makes itself, are answered as PostgREST answers them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import httpx
import psycopg
import pytest

JSON = {"Content-Type": "application/json"}
CALLS = """
create table public.calls_probe (
    id bigint generated always as identity primary key,
    other bigint references public.calls_probe (id) deferrable initially deferred
);
alter table public.calls_probe enable row level security;
grant select, insert on public.calls_probe to service_role;

create function public.calls_echo(value jsonb, "An other" text default 'none') returns jsonb language sql
as $$ select jsonb_build_object('value', value, 'other', "An other") $$;
create function public.calls_nothing() returns text language sql as $$ select null::text $$;
create function public.calls_table(up_to integer) returns table (n integer, at timestamptz) language sql
as $$ select n, '2026-01-02 03:04:05+00'::timestamptz from generate_series(1, up_to) as n $$;
create function public.calls_numbers() returns setof integer language sql as $$ select generate_series(1, 3) $$;
create function public.calls_stated() returns jsonb language plpgsql as $$
begin
    perform set_config('response.status', '418', true),
        set_config('response.headers', '[{"X-Pot": "tea"}, {"Retry-After": "7"}]', true);
    return '{"short": true}';
end
$$;
create function public.calls_insert(refused boolean, dangling boolean default false) returns bigint
language plpgsql as $$
declare
    v_id bigint;
begin
    insert into public.calls_probe (other) values (case when dangling then -1 end) returning id into v_id;
    if refused then
        raise exception using errcode = 'PT409', message = 'conflict', detail = 'why', hint = 'how';
    end if;
    return v_id;
end
$$;
create function public.calls_changing(value integer) returns integer language sql as $$ select value $$;
"""
CLEAN_UP = """
drop table public.calls_probe;
drop function public.calls_echo, public.calls_nothing, public.calls_table, public.calls_numbers, public.calls_stated,
    public.calls_insert, public.calls_changing;
"""


@pytest.fixture(scope="module", autouse=True)
def functions(owner: psycopg.Connection, http: httpx.Client, service: dict[str, str]) -> Iterator[None]:
    owner.execute(CALLS)
    until(lambda: call(http, service, "calls_nothing").status_code == 200)
    yield
    owner.execute(CLEAN_UP)


def until(holds: Callable[[], bool]) -> None:
    """Wait until the Data API has read the schema again."""
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "the Data API does not know the new schema"
        time.sleep(0.02)


def call(http: httpx.Client, headers: dict[str, str], function: str, content: str = "{}") -> httpx.Response:
    return http.post(f"/rest/v1/rpc/{function}", headers=headers | JSON, content=content)


def test_values_keep_their_digits(http: httpx.Client, service: dict[str, str]) -> None:
    answer = call(http, service, "calls_echo", '{"value": [12345678901234567890.5, "\\"1\\"", null]}')
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert answer.text == '{"other": "none", "value": [12345678901234567890.5, "\\"1\\"", null]}'


def test_any_argument_may_be_left_out_that_has_a_default(http: httpx.Client, service: dict[str, str]) -> None:
    assert call(http, service, "calls_echo", '{"An other": "é", "value": 1}').json() == {"other": "é", "value": 1}
    missing = call(http, service, "calls_echo", '{"An other": "é"}')
    assert (missing.status_code, missing.json()["code"]) == (404, "PGRST202")
    unknown = call(http, service, "calls_echo", '{"value": 1, "more": 1}')
    assert (unknown.status_code, unknown.json()["code"]) == (404, "PGRST202")


def test_nothing_is_null(http: httpx.Client, service: dict[str, str]) -> None:
    assert call(http, service, "calls_nothing").text == "null"


@pytest.mark.parametrize(("up_to", "rows", "told"), [(0, 0, "*/*"), (2, 2, "0-1/*"), (1200, 1000, "0-999/*")])
def test_rows_are_a_list_with_a_limit(
    http: httpx.Client, service: dict[str, str], up_to: int, rows: int, told: str
) -> None:
    answer = call(http, service, "calls_table", f'{{"up_to": {up_to}}}')
    assert answer.json() == [{"n": n, "at": "2026-01-02T03:04:05+00:00"} for n in range(1, rows + 1)]
    assert answer.headers["content-range"] == told


def test_single_values_are_a_list(http: httpx.Client, service: dict[str, str]) -> None:
    assert call(http, service, "calls_numbers").json() == [1, 2, 3]


def test_function_may_choose_status_and_headers(http: httpx.Client, service: dict[str, str]) -> None:
    answer = call(http, service, "calls_stated")
    assert (answer.status_code, answer.json()) == (418, {"short": True})
    assert (answer.headers["x-pot"], answer.headers["retry-after"]) == ("tea", "7")
    assert call(http, service, "calls_nothing").status_code == 200


def test_failed_call_has_done_nothing_and_leaves_its_session_whole(
    owner: psycopg.Connection, http: httpx.Client, service: dict[str, str]
) -> None:
    # more than there are sessions
    for _ in range(12):
        refused = call(http, service, "calls_insert", '{"refused": true}')
        assert (refused.status_code, refused.json()) == (
            409,
            {"code": "PT409", "message": "conflict", "details": "why", "hint": "how"},
        )
    stored = [call(http, service, "calls_insert", '{"refused": false}').json() for _ in range(12)]
    rows = owner.execute("select id from public.calls_probe order by id").fetchall()
    assert [row[0] for row in rows] == stored


def test_what_is_refused_at_the_end_is_told(http: httpx.Client, service: dict[str, str]) -> None:
    answer = call(http, service, "calls_insert", '{"refused": false, "dangling": true}')
    assert (answer.status_code, answer.json()["code"]) == (409, "23503")


@pytest.mark.parametrize(
    ("content", "code", "status"),
    [('{"value": "x"}', "22P02", 400), ('{"value": 99999999999}', "22003", 400), ("{", "PGRST102", 400)],
)
def test_unreadable_arguments_are_refused(
    http: httpx.Client, service: dict[str, str], content: str, code: str, status: int
) -> None:
    answer = call(http, service, "calls_changing", content)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_token_of_nobody_is_refused(http: httpx.Client, anon: dict[str, str]) -> None:
    answer = call(http, {**anon, "Authorization": "Bearer a.b.c"}, "calls_nothing")
    assert (answer.status_code, answer.json()["code"]) == (401, "PGRST301")


def test_function_of_another_shape_is_called_when_the_schema_is_read(
    owner: psycopg.Connection, http: httpx.Client, service: dict[str, str]
) -> None:
    for _ in range(12):
        assert call(http, service, "calls_changing", '{"value": 7}').json() == 7
    owner.execute("drop function public.calls_changing")
    owner.execute(
        "create function public.calls_changing(value text) returns jsonb language sql "
        "as $$ select jsonb_build_object('text', value) $$"
    )
    until(lambda: call(http, service, "calls_changing", '{"value": "7"}').text == '{"text": "7"}')
    for _ in range(12):
        assert call(http, service, "calls_changing", '{"value": "x"}').json() == {"text": "x"}
