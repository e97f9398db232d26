"""The operator's commands for personal keys: made for a user, listed, revoked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from app.admin import main
from app.personal_keys import hash_of, is_whole
from scripts.local_supabase import LocalSupabase
from tests.support.callers import Connection
from tests.support.client import person_client
from tests.support.service import Api, Person

Admin = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
def keys(stack: LocalSupabase, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Admin:
    """Runs `keys …`; its exit code, standard output and standard error."""
    monkeypatch.setenv("SUPABASE_URL", stack.url)
    monkeypatch.setenv("SUPABASE_SECRET_KEY", stack.secret_key)

    async def run(*arguments: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(main, ("keys", *arguments))
        return code, *capsys.readouterr()

    return run


async def test_made_listed_and_revoked(keys: Admin, person: Person, owned: Connection) -> None:
    assert await keys("list", person.email) == (0, "no keys\n", "")
    code, output, errors = await keys("create", person.email.upper(), "--name", "a script")
    assert (code, errors) == (0, "")
    key, described = output.splitlines()
    assert is_whole(key)
    key_id = described.split()[0]
    assert described == f"{key_id}  {key[:11]}…  without end, never used: a script"
    owners = owned.execute(
        "select user_id::text, encode(hash, 'hex') from private.personal_keys where id = %s", [key_id]
    ).fetchall()
    assert owners == [(person.id, hash_of(key))]
    # what is shown later does not have the key
    assert await keys("list", person.email) == (0, f"{described}\n", "")
    assert await keys("revoke", key_id) == (0, f"revoked: {described}\n", "")
    assert await keys("revoke", key_id) == (1, "", "parley: No such key.\n")
    assert await keys("list", person.email) == (0, "no keys\n", "")


async def test_a_name_takes_one_line_and_tells_the_terminal_nothing(api: Api, keys: Admin, person: Person) -> None:
    """Users choose the names, and the operator reads them."""
    name = "ñ\x1b[2J\nSECOND\u2028\u202e"
    async with person_client(api, person) as client:
        assert (await client.post("/v1/keys", json={"name": name})).status_code == 201
    _, output, _ = await keys("list", person.email)
    assert len(output.splitlines()) == 1
    assert output.endswith(": ñ\\x1b[2J\\nSECOND\\u2028\\u202e\n")


async def test_with_an_end_and_for_programs(keys: Admin, person: Person) -> None:
    code, output, _ = await keys("create", person.email, "--name", "x", "--until", "2027-05-01", "--json")
    assert code == 0
    created = json.loads(output)
    assert is_whole(created.pop("key"))
    assert created["expires_at"] == "2027-05-01T00:00:00+00:00"
    code, output, _ = await keys("list", person.email, "--json")
    assert [json.loads(line) for line in output.splitlines()] == [created]
    code, output, _ = await keys("revoke", created["id"], "--json")
    assert (code, json.loads(output)) == (0, created)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("create", "nobody@example.com", "--name", "x"), "No user has this e-mail address."),
        (("list", "nobody@example.com"), "No user has this e-mail address."),
        (("revoke", "0198c6f2-7a10-7c44-9d1e-6b0f3a2c5d77"), "No such key."),
    ],
)
async def test_complaints_are_one_line(keys: Admin, arguments: tuple[str, ...], complaint: str) -> None:
    assert await keys(*arguments) == (1, "", f"parley: {complaint}\n")


async def test_an_end_that_is_too_far_is_refused(keys: Admin, person: Person) -> None:
    code, output, errors = await keys("create", person.email, "--name", "x", "--until", "2999-01-01")
    assert (code, output) == (1, "")
    assert errors.startswith("parley: expires_at: expected a time within the next 366 days")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("create", "a@example.com"), "the following arguments are required: --name"),
        (("create", "a@example.com", "--name", " "), "argument --name: ' ' is not a key's name: 1 to 100 printable"),
        (("create", "a@example.com", "--name", "x" * 101), "is not a key's name: 1 to 100 printable"),
        (("revoke", "parley_Ab3d"), "argument id: 'parley_Ab3d' is not the id of a key: `keys list` prints it"),
        ((), "the following arguments are required: VERB"),
    ],
)
async def test_a_wrong_argument_is_named_with_what_is_allowed(
    keys: Admin, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        await keys(*arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert complaint in said.splitlines()[-1]
