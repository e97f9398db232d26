"""The operator's command line: plans given and taken, limits made, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import psycopg
import pytest

from app.admin import main
from app.store import plans
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.guard.plans import entitle, new_plan
from tests.support.callers import Connection, one
from tests.support.client import new_conversation, person_client
from tests.support.service import ROOT, Api, sign_up

Admin = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def admin(stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admin:
    """Runs a command; its exit code, standard output and standard error."""
    monkeypatch.setenv("SUPABASE_URL", stack.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", stack.secret_key)

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, arguments)
        return code, *capsys.readouterr()

    return run


async def test_grant_show_and_revoke_take_effect_at_once(
    stack: LocalSupabase, replicas: tuple[Api, Api], admin: Admin
) -> None:
    person = await sign_up(stack, None)
    async with person_client(replicas[0], person) as client:
        path = f"/v1/conversations/{await new_conversation(client)}/messages"

        async def status() -> int:
            return (await client.post(path, json={"content": "Hello"})).status_code

        assert await status() == 403
        code, output, _ = await admin("grant", person.email.upper(), "--plan", "premium")
        assert (code, output.splitlines()[0]) == (0, f"{person.email}: premium, without end")
        assert await status() == 202
        code, output, _ = await admin("grant", person.email, "--plan", "premium", "--until", "2999-01-31T12:00")
        assert "until 2999-01-31T12:00:00+00:00" in output
        assert await status() == 202
        code, output, _ = await admin("show", person.email)
        assert code == 0
        assert "may chat, search and add documents: yes" in output
        assert "this month: " in output
        code, output, _ = await admin("revoke", person.email)
        assert (code, output.splitlines()[0]) == (0, f"{person.email}: no plan")
        assert await status() == 403


async def test_limits(admin: Admin, owned: Connection) -> None:
    plan = new_plan(owned, requests_per_minute=7)
    columns = "select jsonb_strip_nulls(to_jsonb(p)) - 'plan' from private.plans as p where plan = %s"
    code, output, _ = await admin("limits", plan, "--tokens", "5000", "--budget", "2.50", "--no-premium")
    assert code == 0
    assert [line.split()[1:] for line in output.splitlines() if plan in line] == [
        ["no", "7", "5000", "$2.50", "0", "0"]
    ]
    assert one(owned, columns, [plan]) == {
        "premium": False,
        "requests_per_minute": 7,
        "tokens_per_minute": 5000,
        "monthly_budget_micro_usd": 2_500_000,
    }
    await admin("limits", plan, "--requests", "default", "--budget", "none", "--premium")
    assert one(owned, columns, [plan]) == {
        "premium": True,
        "tokens_per_minute": 5000,
    }


async def test_what_a_user_may_have(admin: Admin, owned: Connection) -> None:
    plan = new_plan(owned, max_messages=7)
    columns = (
        "select jsonb_build_array(max_conversations, max_messages, max_documents, max_passages, max_document_bytes) "
        "from private.plans where plan = %s"
    )
    options = ("--conversations", "5", "--documents", "0", "--passages", "12", "--document-bytes", "9000000000")
    code, output, _ = await admin("limits", plan, *options)
    assert code == 0
    assert one(owned, columns, [plan]) == [5, 7, 0, 12, 9_000_000_000]
    had = "a user has at most 5 conversations, 7 messages, 0 documents, 12 passages of documents, 9000000000 bytes of "
    assert f"{plan}: {had}documents' text" in output.splitlines()
    assert output.splitlines()[-1].endswith(
        "; by default a user has at most 10000 conversations, 200000 messages, 2000 documents, 50000 passages of "
        "documents, 100000000 bytes of documents' text"
    )
    await admin("limits", plan, "--conversations", "default", "--messages", "default", "--requests", "9")
    assert one(owned, columns, [plan]) == [None, None, 0, 12, 9_000_000_000]


async def test_a_plan_is_made_by_an_option_and_never_by_being_read(admin: Admin, owned: Connection) -> None:
    plan = f"plan-{uuid.uuid4().hex[:12]}"
    for reading in (("limits", plan), ("limits", plan, "--json"), ("users", "--plan", plan), ("delete-plan", plan)):
        code, output, errors = await admin(*reading)
        assert (code, output) == (1, "")
        assert errors.startswith(f"parley: There is no plan {plan}; there are free, ")
    assert one(owned, "select count(*) from private.plans where plan = %s", [plan]) == 0
    code, output, _ = await admin("limits", plan, "--premium")
    assert (code, output.splitlines()[0]) == (0, f"the plan {plan} is new")
    assert one(owned, "select premium from private.plans where plan = %s", [plan])
    code, output, _ = await admin("limits", plan, "--requests", "9")
    assert (code, "is new" in output) == (0, False)
    _, output, _ = await admin("limits", plan)
    # that plan alone, between the heading, the defaults and the last line
    assert [line.split() for line in output.splitlines()[2:-1]] == [[plan, "yes", "9", "default", "none", "0", "0"]]


async def test_the_database_makes_no_plan_of_a_name_or_a_misspelt_limit(stack: LocalSupabase) -> None:
    async with httpx.AsyncClient(base_url=stack.url, headers={"apikey": stack.secret_key}) as http:
        plan = f"plan-{uuid.uuid4().hex[:12]}"
        for arguments in ({"p_plan": plan}, {"p_plan": plan, "p_changes": {}}):
            refused = await http.post("/rest/v1/rpc/admin_limits", json=arguments)
            assert (refused.status_code, refused.json()["details"].split(";")[0]) == (422, f"There is no plan {plan}")
        misspelt = {"p_plan": plan, "p_changes": {"request_per_minute": 5}}
        refused = await http.post("/rest/v1/rpc/admin_limits", json=misspelt)
        assert refused.status_code == 422
        assert refused.json()["details"].startswith("p_changes has no request_per_minute; it may hold premium, ")


async def test_a_plan_is_deleted_when_nobody_has_it_any_more(
    stack: LocalSupabase, admin: Admin, owned: Connection
) -> None:
    plan = new_plan(owned)
    first, second = await sign_up(stack, plan), await sign_up(stack, plan)
    held = f"parley: The plan {plan} cannot be deleted: %s. Grant another one, or revoke it.\n"
    assert await admin("delete-plan", plan) == (1, "", held % "2 users have it")
    await admin("revoke", first.email)
    assert await admin("delete-plan", plan) == (1, "", held % "1 user has it")
    entitle(owned, second.id, plan, "now() - interval '1 day'")
    _, output, _ = await admin("plans")
    assert [line.split()[-2:] for line in output.splitlines() if plan in line] == [["0", "1"]]
    assert await admin("delete-plan", plan) == (0, f"the plan {plan} is deleted\n", "")
    _, output, _ = await admin("users")
    line = next(line for line in output.splitlines() if second.email in line)
    assert line.startswith(f"{second.email}: {plan}, expired ")
    assert line.endswith(", a plan that does not exist")


async def test_the_plan_of_users_without_one_stays(admin: Admin) -> None:
    code, _, errors = await admin("delete-plan", "free")
    assert (code, errors) == (
        1,
        "parley: The plan free cannot be deleted: it is what users without a plan have.\n",
    )


async def test_a_plan_that_is_being_granted_is_not_deleted(
    stack: LocalSupabase, admin: Admin, owned: Connection
) -> None:
    plan = new_plan(owned)
    person = await sign_up(stack, None)
    waiting = (
        "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%%admin_delete_plan%%'"
    )
    with psycopg.connect(stack.database_url, autocommit=True) as granting, granting.transaction():
        granting.execute("select public.admin_grant(%s, %s)", [person.email, plan])
        deleting = asyncio.create_task(admin("delete-plan", plan))
        while not one(owned, waiting) and not deleting.done():  # noqa: ASYNC110 - the database tells nobody
            await asyncio.sleep(0.02)
    code, _, errors = await deleting
    assert (code, "1 user has it" in errors) == (1, True)


async def test_users_lists_who_has_what(
    stack: LocalSupabase, admin: Admin, owned: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plans, "PAGE", 2)
    plan = new_plan(owned)
    assert await admin("users", "--plan", plan) == (0, "nobody\n", "")
    people = [await sign_up(stack, plan) for _ in range(5)]
    entitle(owned, people[0].id, plan, "timestamptz '2020-01-31 00:00Z'")
    entitle(owned, people[1].id, plan, "timestamptz '2999-01-31 12:00Z'")
    entitle(owned, people[2].id, "premium")
    code, output, _ = await admin("users", "--plan", plan)
    assert code == 0
    assert sorted(output.splitlines()) == sorted(
        [
            f"{people[0].email}: {plan}, expired 2020-01-31T00:00:00+00:00",
            f"{people[1].email}: {plan}, until 2999-01-31T12:00:00+00:00",
            f"{people[3].email}: {plan}, without end",
            f"{people[4].email}: {plan}, without end",
        ]
    )
    code, output, _ = await admin("users", "--plan", plan, "--json")
    listed = {user["user_id"]: user for user in map(json.loads, output.splitlines())}
    assert set(listed) == {people[index].id for index in (0, 1, 3, 4)}
    assert listed[people[0].id]["expired"] is True
    assert f"{people[2].email}: premium, without end" in (await admin("users"))[1].splitlines()
    _, output, _ = await admin("show", people[0].email)
    assert output.splitlines()[0] == f"{people[0].email}: {plan}, expired 2020-01-31T00:00:00+00:00"


@pytest.mark.parametrize("command", [("plans",), ("limits", "free"), ("show",), ("revoke",)])
async def test_json_for_programs(stack: LocalSupabase, admin: Admin, command: tuple[str, ...]) -> None:
    if command[0] in ("show", "revoke"):
        command = (*command, (await sign_up(stack)).email)
    code, output, _ = await admin(*command, "--json")
    assert code == 0
    assert {"plans", "limits"} & set(json.loads(output))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("grant", "nobody@example.com", "--plan", "premium"), "No user has this e-mail address."),
        (("show", "nobody@example.com"), "No user has this e-mail address."),
        (("limits", "--requests", "5"), "name the plan to change"),
    ],
)
async def test_complaints_are_one_line(admin: Admin, arguments: tuple[str, ...], complaint: str) -> None:
    assert await admin(*arguments) == (1, "", f"parley: {complaint}\n")


NUMBER = "a whole number from 1 to 2147483647, or default"
AMOUNT = "a whole number from 0 to 1000000000000000, or default"
DOLLARS = "dollars from 0 to 1000000000 with at most 6 decimals, or none"
NAME = "1 to 50 printable characters, no blanks around them"
DATE = "write 2027-01-31 or 2027-01-31T18:00+02:00"
GRANT = ("grant", "a@example.com", "--plan")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        *(
            (("limits", "premium", option, value), f"argument {option}: '{value}' is not allowed: {NUMBER}")
            for option in ("--requests", "--tokens")
            for value in ("0", "-5", "1.5", "ten", "99999999999", "٣", "")
        ),
        *(
            (("limits", "premium", option, value), f"argument {option}: '{value}' is not allowed: {AMOUNT}")
            for option in ("--conversations", "--document-bytes")
            for value in ("-5", "1.5", "ten", "1000000000000001", "٣", "")
        ),
        *(
            (("limits", "premium", "--budget", value), f"argument --budget: '{value}' is not allowed: {DOLLARS}")
            for value in ("inf", "nan", "ten", "-1", "0.0000001", "1000000001", "")
        ),
        (
            (*GRANT, "premium", "--until", "2000-01-01"),
            "argument --until: '2000-01-01' is in the past: it means 2000-01-01T00:00:00+00:00",
        ),
        (
            (*GRANT, "premium", "--until", "2000-01-01T12:00+02:00"),
            "argument --until: '2000-01-01T12:00+02:00' is in the past: it means 2000-01-01T12:00:00+02:00",
        ),
        *(
            ((*GRANT, "premium", "--until", value), f"argument --until: '{value}' is not a date: {DATE}")
            for value in ("31.01.2027", "tomorrow", "2027-02-30", "")
        ),
        (
            (*GRANT, "premium", "--until", "9999-12-31T23:59-10:00"),
            "argument --until: '9999-12-31T23:59-10:00' is after the year 9999 in UTC: leave --until out for no end",
        ),
        *(
            ((*GRANT, value), f"argument --plan: '{value}' is not a plan's name: {NAME}")
            for value in ("", " pro", "x" * 51)
        ),
        (("limits", " "), f"argument plan: ' ' is not a plan's name: {NAME}"),
        (("limit", "premium"), "invalid choice: 'limit'"),
        ((), "the following arguments are required: COMMAND"),
    ],
)
async def test_a_wrong_argument_is_named_with_what_is_allowed(
    admin: Admin, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        await admin(*arguments)
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("until", "shown"),
    [
        ("2999-01-31", "2999-01-31T00:00:00+00:00"),
        ("2999-01-31T18:00", "2999-01-31T18:00:00+00:00"),
        ("2999-01-31T18:00+02:00", "2999-01-31T16:00:00+00:00"),
    ],
)
async def test_a_date_without_a_zone_is_utc(stack: LocalSupabase, admin: Admin, until: str, shown: str) -> None:
    person = await sign_up(stack, None)
    _, output, _ = await admin("grant", person.email, "--plan", "premium", "--until", until)
    assert output.splitlines()[0] == f"{person.email}: premium, until {shown}"


@pytest.mark.parametrize(("until", "shown"), [("'infinity'", "until infinity"), ("'-infinity'", "expired -infinity")])
async def test_a_moment_that_only_postgres_knows_is_shown(
    stack: LocalSupabase, owned: Connection, admin: Admin, until: str, shown: str
) -> None:
    """A billing system writes the table, too."""
    person = await sign_up(stack, None)
    entitle(owned, person.id, "premium", until)
    _, output, _ = await admin("show", person.email)
    assert output.splitlines()[0] == f"{person.email}: premium, {shown}"


async def test_unknown_plan_names_those_there_are(stack: LocalSupabase, admin: Admin) -> None:
    person = await sign_up(stack, None)
    code, _, errors = await admin("grant", person.email, "--plan", "premum")
    assert code == 1
    assert errors.startswith("parley: There is no plan premum; there are free, ")


async def test_project_of_make_run(
    stack: LocalSupabase, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPABASE_URL")
    monkeypatch.delenv("SUPABASE_SECRET_KEY")
    monkeypatch.setenv("PARLEY_DATA", str(tmp_path))
    code, _, errors = await admin("limits")
    looked = f"{tmp_path}/env, which `make run` writes, is not there"
    assert (code, errors) == (1, f"parley: set SUPABASE_URL and SUPABASE_SECRET_KEY, or start `make run` ({looked})\n")
    (tmp_path / "env").write_text(f"export SUPABASE_URL={stack.url}\nexport SUPABASE_SECRET_KEY='{stack.secret_key}'\n")
    code, output, _ = await admin("limits")
    assert code == 0
    assert "premium is " in output


@pytest.mark.parametrize(("kept", "missing"), [("URL", "SECRET_KEY"), ("SECRET_KEY", "URL")])
async def test_half_a_project_is_no_other_project(
    stack: LocalSupabase, admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: str, missing: str
) -> None:
    """What `make run` wrote does not stand in for it."""
    (tmp_path / "env").write_text(f"SUPABASE_URL={stack.url}\nSUPABASE_SECRET_KEY='{stack.secret_key}'\n")
    monkeypatch.setenv("PARLEY_DATA", str(tmp_path))
    monkeypatch.delenv(f"SUPABASE_{missing}")
    looked = f"the environment names a project, so {tmp_path}/env is not read"
    said = f"parley: SUPABASE_{kept} is set, but SUPABASE_{missing} is not ({looked})\n"
    assert await admin("plans") == (1, "", said)


async def test_an_address_that_is_none_is_named(
    stack: LocalSupabase, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPABASE_URL", f"{stack.url}?x=1")
    assert await admin("plans") == (1, "", "parley: SUPABASE_URL must not have a query (?…)\n")
    monkeypatch.setenv("SUPABASE_URL", f"{stack.url}//")
    assert (await admin("plans"))[0] == 0


async def test_address_of_a_run_that_has_ended_is_told_from_a_wrong_one(
    admin: Admin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("PARLEY_DATA", str(tmp_path))
    monkeypatch.setenv("SUPABASE_URL", dead)
    (tmp_path / "env").write_text(f"export SUPABASE_URL={dead}\nexport SUPABASE_SECRET_KEY=sb_secret_x\n")
    unreachable = "parley: The database cannot be reached right now"
    assert await admin("plans") == (1, "", f"{unreachable} (SUPABASE_URL is set in the environment)\n")
    monkeypatch.delenv("SUPABASE_URL")
    monkeypatch.delenv("SUPABASE_SECRET_KEY")
    whose = f"the address is that of {tmp_path}/env: is `make run` running?"
    assert await admin("plans") == (1, "", f"{unreachable} ({whose})\n")


async def test_a_key_that_is_not_accepted_is_named(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUPABASE_SECRET_KEY", "sb_secret_wrong")
    assert await admin("plans") == (
        1,
        "",
        "parley: The Data API of SUPABASE_URL refuses SUPABASE_SECRET_KEY (401, Invalid API key).\n",
    )


def test_a_reader_that_has_read_enough(stack: LocalSupabase) -> None:
    environment = {**os.environ, "SUPABASE_URL": stack.url, "SUPABASE_SECRET_KEY": stack.secret_key}
    command = [sys.executable, "-m", "app.admin", "plans"]
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as output:
        ended = subprocess.run(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.PIPE, check=False)
    assert (ended.stderr, ended.returncode) == (b"", 0)


@pytest.mark.parametrize("command", ["grant", "revoke", "show", "users", "plans", "limits", "delete-plan"])
def test_every_command_says_what_it_does(command: str) -> None:
    arguments = [sys.executable, "-m", "app.admin", command, "--help"]
    shown = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown.startswith(f"usage: python -m app.admin {command}")
    assert "--json" in shown
    assert "SUPABASE_SECRET_KEY" in shown


def test_help() -> None:
    command = [sys.executable, "-m", "app.admin", "grant", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: python -m app.admin grant")
    assert "--until DATE" in shown.stdout
