"""The operator's command line: plans given and taken, limits made, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from app.admin import main
from scripts.local_supabase import LocalSupabase
from tests.client import new_conversation, person_client
from tests.database.callers import Connection, one
from tests.guard.plans import new_plan
from tests.service import ROOT, Api, sign_up

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
        assert (await admin("grant", person.email, "--plan", "premium", "--until", "2000-01-01"))[0] == 0
        assert await status() == 403
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
    columns = "select to_jsonb(p) - 'plan' from private.plans as p where plan = %s"
    code, output, _ = await admin("limits", plan, "--tokens", "5000", "--budget", "2.50", "--no-premium")
    assert code == 0
    assert [line.split()[1:] for line in output.splitlines() if plan in line] == [["no", "7", "5000", "$2.50"]]
    assert one(owned, columns, [plan]) == {
        "premium": False,
        "requests_per_minute": 7,
        "tokens_per_minute": 5000,
        "monthly_budget_micro_usd": 2_500_000,
    }
    await admin("limits", plan, "--requests", "default", "--budget", "none", "--premium")
    assert one(owned, columns, [plan]) == {
        "premium": True,
        "requests_per_minute": None,
        "tokens_per_minute": 5000,
        "monthly_budget_micro_usd": None,
    }
    assert (await admin("limits", f"{plan}-new"))[0] == 0
    assert one(owned, "select premium from private.plans where plan = %s", [f"{plan}-new"])


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("grant", "nobody@example.com", "--plan", "premium"), "No user has this e-mail address."),
        (("show", "nobody@example.com"), "No user has this e-mail address."),
        (("limits", "premium", "--requests", "0"), "A value is malformed or out of range."),
        (("limits", "premium", "--tokens", "99999999999"), "A value is malformed or out of range."),
        (("limits", "--requests", "5"), "name the plan whose limits these are"),
    ],
)
async def test_complaints_are_one_line(admin: Admin, arguments: tuple[str, ...], complaint: str) -> None:
    assert await admin(*arguments) == (1, "", f"parley: {complaint}\n")


@pytest.mark.parametrize("budget", ["inf", "nan", "ten"])
async def test_budget_is_a_number(admin: Admin, capsys: pytest.CaptureFixture[str], budget: str) -> None:
    with pytest.raises(SystemExit):
        await admin("limits", "premium", "--budget", budget)
    assert capsys.readouterr().err.endswith(f"argument --budget: invalid dollars value: '{budget}'\n")


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
    assert (code, errors) == (1, "parley: set SUPABASE_URL and SUPABASE_SECRET_KEY, or start `make run`\n")
    (tmp_path / "env").write_text(f"SUPABASE_URL={stack.url}\nSUPABASE_SECRET_KEY='{stack.secret_key}'\n")
    code, output, _ = await admin("limits")
    assert code == 0
    assert "premium is " in output


def test_help() -> None:
    command = [sys.executable, "-m", "app.admin", "grant", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: python -m app.admin grant")
    assert "--until DATE" in shown.stdout
