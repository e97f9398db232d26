"""The bulk command: sends a folder, resumes, replaces what has changed, and says what became of each file."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console
from rich.progress import Progress

from app.retrieval.folder import MAX_BYTES, Found, found_in
from app.retrieval.ingest import TRIES, IngestError, Sent, Session, Summary, _see_through, _send
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.support.client import person_client
from tests.support.documents import found
from tests.support.raw_upstream import Exchange, raw_upstream
from tests.support.service import ROOT, Api, Person, sign_up

PASSWORD = "correct horse battery staple"


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    return await sign_up(stack)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    (tmp_path / "tea.md").write_text("# Tea\n\nGreen tea brews at eighty degrees.")
    (tmp_path / "deep" / "coffee.txt").write_text("Espresso is pressed by nine bars.")
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / ".hidden.md").write_text("secret")
    return tmp_path


async def ingest(
    api: Api, stack: LocalSupabase, person: Person, *arguments: str | Path, **settings: str
) -> tuple[int, str]:
    """Run the command; its exit code and what it said. An empty setting is not set."""
    environment = {
        "API_URL": api.url,
        "SUPABASE_URL": stack.url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "PARLEY_EMAIL": person.email,
        "PARLEY_PASSWORD": PASSWORD,
        "COLUMNS": "200",
        **settings,
    }
    command = [sys.executable, "-m", "app.retrieval.ingest", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


async def test_a_folder(offline: Api, stack: LocalSupabase, person: Person, folder: Path) -> None:
    code, said = await ingest(offline, stack, person, folder)
    assert code == 1
    assert "broken.pdf: The file is not a readable PDF." in said
    assert said.splitlines()[-1] == "2 added, 1 failed, 2 skipped (1 hidden, 1 not a kind of file that can be read)"
    assert "photo.jpg: skipped, not a kind of file that can be read\n" in said
    assert ".hidden.md: skipped, hidden\n" in said
    async with person_client(offline, person) as client:
        assert [p["metadata"]["source"] for p in await found(client, "espresso pressure")] == ["deep/coffee.txt"]
        assert await found(client, "secret", mode="hybrid", threshold=1) == []

        (folder / "broken.pdf").unlink()
        code, said = await ingest(offline, stack, person, folder)
        assert code == 0
        assert "2 unchanged" in said


async def test_a_changed_file_replaces_its_document(
    offline: Api, stack: LocalSupabase, person: Person, folder: Path
) -> None:
    (folder / "broken.pdf").unlink()
    await ingest(offline, stack, person, folder)
    (folder / "tea.md").write_text("# Tea\n\nBlack tea brews at ninety-five degrees.")
    code, said = await ingest(offline, stack, person, folder)
    assert code == 0
    assert "1 replaced, 1 unchanged" in said
    async with person_client(offline, person) as client:
        assert len((await client.get("/v1/documents")).json()["items"]) == 2
        (passage,) = await found(client, "how hot is tea brewed", limit=1)
        assert "Black tea" in passage["content"]


async def test_a_wrong_password_is_said_in_one_line(
    offline: Api, stack: LocalSupabase, person: Person, folder: Path
) -> None:
    stranger = Person(person.id, "nobody@example.com", "")
    code, said = await ingest(offline, stack, stranger, folder)
    assert code == 2
    assert said.strip().splitlines()[-1] == (
        "nobody@example.com cannot sign in (status 400, Invalid login credentials): "
        "PARLEY_EMAIL or PARLEY_PASSWORD is wrong"
    )


async def test_supabase_that_cannot_be_reached_is_said_in_one_line(folder: Path) -> None:
    environment = {
        "SUPABASE_URL": f"http://127.0.0.1:{free_port()}",
        "SUPABASE_PUBLISHABLE_KEY": "k",
        "PARLEY_EMAIL": "nobody@example.com",
        "PARLEY_PASSWORD": PASSWORD,
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "app.retrieval.ingest", str(folder)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("SUPABASE_URL cannot be reached: ConnectError")


@pytest.mark.parametrize("page", [b"<html>Welcome</html>", b"{}", b"[]"])
async def test_an_address_that_is_no_project_is_said_in_one_line(page: bytes, folder: Path) -> None:
    async def website(exchange: Exchange) -> None:
        exchange.reply(200, page, {"content-type": "text/html"})

    async with raw_upstream(website) as upstream:
        environment = {
            "SUPABASE_URL": upstream.url,
            "SUPABASE_PUBLISHABLE_KEY": "k",
            "PARLEY_EMAIL": "nobody@example.com",
            "PARLEY_PASSWORD": PASSWORD,
            "COLUMNS": "200",
        }
        command = [sys.executable, "-m", "app.retrieval.ingest", str(folder)]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True
        )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1] == "SUPABASE_URL is no Supabase project: Auth does not answer there"


async def test_a_file_that_cannot_be_read_costs_no_other_file(offline: Api, person: Person, folder: Path) -> None:
    summary = Summary()
    async with person_client(offline, person) as client:
        session = Session(client, {"PARLEY_TOKEN": person.token})
        # it was there when the folder was listed
        gone = Found(folder / "gone.txt", "gone.txt", "send")
        assert await _send(session, gone, None, {}, None, summary) is None
    assert summary.problems == [("gone.txt", "No such file or directory")]


async def test_a_limit_is_waited_for_as_often_as_it_takes() -> None:
    refusals = 4 * TRIES

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal refusals
        refusals -= 1
        return httpx.Response(429, headers={"Retry-After": "0"}) if refusals >= 0 else httpx.Response(201)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://api") as client:
        assert (await Session(client, {"PARLEY_TOKEN": "token"}).call("POST", "/v1/documents")).status_code == 201


async def test_a_server_that_stays_busy_is_given_up() -> None:
    busy = httpx.MockTransport(lambda _: httpx.Response(503, headers={"Retry-After": "0"}, json={"title": "Busy"}))
    async with httpx.AsyncClient(transport=busy, base_url="http://api") as client:
        with pytest.raises(IngestError, match="Busy"):
            await Session(client, {"PARLEY_TOKEN": "token"}).call("POST", "/v1/documents")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are text")
async def test_a_name_that_is_no_text(offline: Api, stack: LocalSupabase, person: Person, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("Opens at eight.")
    for expected in ("1 added", "1 unchanged"):
        code, said = await ingest(offline, stack, person, tmp_path)
        assert (code, expected in said) == (0, True), said


async def documents(api: Api, person: Person) -> list[dict[str, Any]]:
    async with person_client(api, person) as client:
        items: list[dict[str, Any]] = (await client.get("/v1/documents")).json()["items"]
        return items


@pytest.mark.parametrize(
    ("token", "said_of_it"),
    [
        ("not-a-token", "the API does not accept PARLEY_TOKEN: "),
        ("wei\u00df", "PARLEY_TOKEN holds a character that none has"),
    ],
)
async def test_a_bad_token_is_nobody_else(
    offline: Api, stack: LocalSupabase, person: Person, folder: Path, token: str, said_of_it: str
) -> None:
    """Neither the user whose password is set, too, nor the demo user of a running `make run`."""
    code, said = await ingest(offline, stack, person, folder, PARLEY_TOKEN=token)
    assert (code, said.splitlines()[-1].startswith(said_of_it)) == (2, True), said
    beside = running(
        folder,
        API_URL=offline.url,
        SUPABASE_URL=stack.url,
        SUPABASE_PUBLISHABLE_KEY=stack.publishable_key,
        DEMO_EMAIL=person.email,
        DEMO_PASSWORD=PASSWORD,
    )
    unset = dict.fromkeys(("API_URL", "PARLEY_EMAIL", "PARLEY_PASSWORD"), "")
    code, said = await ingest(offline, stack, person, folder, **unset, **beside, PARLEY_TOKEN=token)
    assert (code, said.splitlines()[-1].startswith(said_of_it)) == (2, True), said
    assert await documents(offline, person) == []


@pytest.mark.parametrize(
    ("settings", "said_of_it"),
    [
        ({"PARLEY_EMAIL": "me@example.com"}, "not signed in: set PARLEY_TOKEN, or PARLEY_PASSWORD"),
        ({"PARLEY_PASSWORD": "mine"}, "not signed in: set PARLEY_TOKEN, or PARLEY_EMAIL"),
        (
            {"SUPABASE_URL": "http://127.0.0.1:1"},
            "not signed in: set PARLEY_TOKEN, or SUPABASE_PUBLISHABLE_KEY, PARLEY_EMAIL, PARLEY_PASSWORD",
        ),
        ({"SUPABASE_URL": "localhost"}, "SUPABASE_URL must be an http:// or https:// address"),
        ({"API_URL": "localhost:8000"}, "API_URL must be an http:// or https:// address"),
    ],
)
async def test_half_a_setting_is_not_completed_by_make_run(
    offline: Api, stack: LocalSupabase, person: Person, folder: Path, settings: dict[str, str], said_of_it: str
) -> None:
    written = {
        "API_URL": offline.url,
        "SUPABASE_URL": stack.url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "DEMO_EMAIL": person.email,
        "DEMO_PASSWORD": PASSWORD,
    }
    environment = {**running(folder, **written), **settings}
    command = [sys.executable, "-m", "app.retrieval.ingest", str(folder)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith(said_of_it)


async def test_a_charset_is_named_and_remembered(
    offline: Api, stack: LocalSupabase, person: Person, tmp_path: Path
) -> None:
    (tmp_path / "mayor.txt").write_bytes("Der Bürgermeister heißt Jörg.".encode("cp1252"))
    code, said = await ingest(offline, stack, person, tmp_path)
    assert code == 1
    assert "mayor.txt: The document is not valid UTF-8 text; name its charset. See --charset." in said
    code, said = await ingest(offline, stack, person, tmp_path, "--charset", "Windows-1252")
    assert (code, said.splitlines()[-1]) == (0, "1 added")
    for _ in range(2):
        # also without naming it again
        assert (await ingest(offline, stack, person, tmp_path))[1].splitlines()[-1] == "1 unchanged"
    async with person_client(offline, person) as client:
        (passage,) = await found(client, "Bürgermeister", limit=1)
    assert passage["content"] == "Der Bürgermeister heißt Jörg."

    # another charset is another reading
    code, said = await ingest(offline, stack, person, tmp_path, "--charset", "cp1251")
    assert (code, said.splitlines()[-1]) == (0, "1 replaced")


@pytest.mark.parametrize("charset", ["klingon", "zip", "", "latin 1", "utf-8; x=y"])
def test_a_charset_is_known(charset: str, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "app.retrieval.ingest", str(tmp_path), "--charset", charset]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"argument --charset: {charset!r} is no known charset: name one like windows-1252" in done.stderr


@pytest.mark.parametrize("api", ["localhost:8000", "http://", "http://localhost:99999", "ftp://localhost"])
def test_the_address_of_the_api_is_one(api: str, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "app.retrieval.ingest", str(tmp_path), "--api", api]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"argument --api: {api!r}: it must " in done.stderr


async def test_everything_in_a_folder_is_said_and_counted(
    offline: Api, stack: LocalSupabase, person: Person, folder: Path
) -> None:
    (folder / "broken.pdf").unlink()
    (folder / "empty.txt").touch()
    (folder / ".git").mkdir()
    (folder / ".git" / "notes.md").write_text("not seen")
    (folder / "link.md").symlink_to(folder / "tea.md")
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "dangling.txt").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.txt")
    with (folder / "huge.txt").open("wb") as huge:
        huge.truncate(MAX_BYTES + 1)
    code, said = await ingest(offline, stack, person, folder)
    assert code == 1
    lines = said.splitlines()
    assert lines[-1] == (
        "2 added, 1 failed, 8 skipped "
        "(3 a link, 1 empty, 2 hidden, 1 not a kind of file that can be read, 1 not a regular file)"
    )
    assert lines[-10:-1] == [
        ".git: skipped, hidden",
        ".hidden.md: skipped, hidden",
        "dangling.txt: skipped, a link",
        "deep/loop: skipped, a link",
        "empty.txt: skipped, empty",
        "link.md: skipped, a link",
        "photo.jpg: skipped, not a kind of file that can be read",
        "pipe.txt: skipped, not a regular file",
        f"huge.txt: It has {MAX_BYTES + 1} bytes; no document may have more than {MAX_BYTES}.",
    ]
    (folder / "huge.txt").unlink()
    assert (await ingest(offline, stack, person, folder))[0] == 0, "what is skipped is no failure"


def test_a_folder_that_cannot_be_listed_is_a_failure(tmp_path: Path) -> None:
    name = "d" * 250
    place = os.open(tmp_path, os.O_RDONLY)
    for _ in range(18):  # longer than a path may be, so that no permission is needed to be refused
        os.mkdir(name, dir_fd=place)
        deeper = os.open(name, os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = deeper
    os.close(place)
    (tmp_path / "tea.md").write_text("Green")
    entries = list(found_in(tmp_path))
    assert [(entry.source, entry.fate) for entry in entries[:1]] == [("tea.md", "send")]
    (refused,) = entries[1:]
    assert (refused.fate, refused.reason) == ("fail", "File name too long")


async def test_an_empty_folder(offline: Api, stack: LocalSupabase, person: Person, tmp_path: Path) -> None:
    code, said = await ingest(offline, stack, person, tmp_path)
    assert (code, said.splitlines()[-1]) == (0, "the folder is empty")


async def test_what_fails_after_it_was_sent_is_counted_once() -> None:
    document = {"id": "1", "status": "failed", "passages": 1, "indexed": 0, "error": "refused", "metadata": {}}
    pages = httpx.MockTransport(lambda _: httpx.Response(200, json={"items": [document], "next_cursor": None}))
    summary = Summary(Counter(added=2))
    async with httpx.AsyncClient(transport=pages, base_url="http://api") as client:
        session = Session(client, {"PARLEY_TOKEN": "token"})
        await _see_through(session, {"1": Sent("1", "a.txt", "added")}, summary, Progress(disable=True))
    assert summary.line() == "1 added, 1 failed"


async def test_indexing_that_does_not_go_on_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.retrieval.ingest.STUCK_SECONDS", 0.0)
    monkeypatch.setattr("app.retrieval.ingest.POLL_SECONDS", 0.0)
    states = iter(["pending"] * 4 + ["ready"])

    def answer(_: httpx.Request) -> httpx.Response:
        document = {"id": "1", "status": next(states), "passages": 1, "indexed": 0, "error": None, "metadata": {}}
        return httpx.Response(200, json={"items": [document], "next_cursor": None})

    console = Console(file=io.StringIO(), width=400)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://api") as client:
        session = Session(client, {"PARLEY_TOKEN": "token"})
        progress = Progress(console=console, disable=True)
        await _see_through(session, {"1": Sent("1", "a.txt", "added")}, Summary(), progress)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().count("the API's log says why") == 1


async def test_an_address_that_is_not_the_api_is_named(
    offline: Api, stack: LocalSupabase, person: Person, folder: Path
) -> None:
    code, said = await ingest(offline, stack, person, folder, "--api", stack.url)
    assert (code, said.strip().splitlines()[-1]) == (2, f"{stack.url}/v1/documents answers: status 404")


async def test_reembed_takes_no_half_of_another_project(folder: Path, stack: LocalSupabase) -> None:
    keys = {"SUPABASE_PUBLISHABLE_KEY": stack.publishable_key, "SUPABASE_SECRET_KEY": stack.secret_key}
    environment = running(folder, SUPABASE_URL=stack.url, **keys) | {"SUPABASE_SECRET_KEY": "sb_secret_other"}
    command = [sys.executable, "-m", "app.retrieval.reembed"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr.split(";")[0]) == (2, "SUPABASE_URL is not set")
    assert f"the environment names a project, so {folder}/env is not read" in " ".join(done.stderr.split())


@pytest.mark.parametrize("command", ["ingest", "reembed"])
async def test_file_that_was_looked_for_is_named(folder: Path, command: str) -> None:
    environment = running(folder) | {"PARLEY_DATA": str(folder / "elsewhere"), "COLUMNS": "400"}
    arguments = [sys.executable, "-m", f"app.retrieval.{command}", *([str(folder)] if command == "ingest" else [])]
    done = await asyncio.to_thread(subprocess.run, arguments, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{folder}/elsewhere/env, which `make run` writes, is not there" in done.stderr


def running(folder: Path, **written: str) -> dict[str, str]:
    """The environment beside a `make run` that keeps its data in `folder`, with a copy of .env.example loaded."""
    (folder / "env").write_text("".join(f"export {name}='{value}'\n" for name, value in written.items()))
    unset = dict.fromkeys(("SUPABASE_URL", "SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY", "OPENAI_API_KEY"), "")
    return {"PARLEY_DATA": str(folder), "COLUMNS": "200", **unset}


async def test_what_make_run_wrote_is_used(
    offline: Api, stack: LocalSupabase, person: Person, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (folder / "broken.pdf").unlink()
    environment = running(
        tmp_path_factory.mktemp("data"),
        API_URL=offline.url,
        SUPABASE_URL=stack.url,
        SUPABASE_PUBLISHABLE_KEY=stack.publishable_key,
        SUPABASE_SECRET_KEY=stack.secret_key,
        DEMO_EMAIL=person.email,
        DEMO_PASSWORD=PASSWORD,
    )
    command = [sys.executable, "-m", "app.retrieval.ingest", str(folder)]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, "2 added" in done.stderr) == (0, True), done.stderr

    command = [sys.executable, "-m", "app.retrieval.reembed"]
    environment["EMBEDDING_MODEL"] = "text-embedding-3-small"
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert " ".join(done.stderr.split()) == (
        "EMBEDDING_MODEL=text-embedding-3-small needs OPENAI_API_KEY, which is not set: "
        "set OPENAI_API_KEY, or another EMBEDDING_MODEL (local needs no provider)"
    ), "Supabase's settings are known"


@pytest.mark.parametrize("command", ["app.retrieval.ingest", "app.retrieval.reembed"])
def test_help(command: str) -> None:
    arguments = [sys.executable, "-m", command, "--help"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "usage: python -m app.retrieval" in done.stdout


def test_metadata_leaves_the_commands_own_keys_alone(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "app.retrieval.ingest", str(tmp_path), "--metadata", '{"source": 1, "mine": 2}']
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("argument --metadata: source: the command writes this itself\n")


@pytest.mark.parametrize("metadata", ["[1]", "{", "7"])
def test_metadata_is_an_object(metadata: str, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "app.retrieval.ingest", str(tmp_path), "--metadata", metadata]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith(f"argument --metadata: {metadata} is no JSON object\n")


async def test_an_empty_token_is_not_the_demo_user(
    offline: Api, stack: LocalSupabase, person: Person, folder: Path
) -> None:
    """As it is after PARLEY_TOKEN=$(a command that failed)."""
    unset = dict.fromkeys(("PARLEY_EMAIL", "PARLEY_PASSWORD"), "")
    code, said = await ingest(offline, stack, person, folder, **unset, PARLEY_TOKEN="")
    assert (code, said.strip()) == (2, "PARLEY_TOKEN is empty: set it to an access token, or unset it")


async def test_an_empty_name_of_a_folder_is_not_this_one(offline: Api, stack: LocalSupabase, person: Person) -> None:
    code, said = await ingest(offline, stack, person, "")
    assert (code, said.splitlines()[-1].partition("error: ")[2]) == (
        2,
        "argument folder: it is empty: name a folder, such as `.` for this one",
    )


async def test_no_such_folder(offline: Api, stack: LocalSupabase, person: Person) -> None:
    code, said = await ingest(offline, stack, person, "/nowhere/at/all")
    assert (code, said.strip()) == (2, "/nowhere/at/all is no folder")


async def test_files_of_the_same_content_are_one_document(
    offline: Api, stack: LocalSupabase, person: Person, tmp_path: Path
) -> None:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("The very same words.")
    code, said = await ingest(offline, stack, person, tmp_path)
    assert code == 0
    assert "1 added, 1 the same content as another" in said
    async with httpx.AsyncClient(base_url=offline.url, headers=person.headers) as client:
        assert len((await client.get("/v1/documents")).json()["items"]) == 1
