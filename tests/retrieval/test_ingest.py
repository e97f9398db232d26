"""The bulk command: sends a folder, resumes, replaces what has changed, and says what became of each file."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from app.retrieval.ingest import TRIES, IngestError, Session, Summary, _send
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from tests.client import person_client
from tests.retrieval.documents import found
from tests.service import ROOT, Api, Person, sign_up

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


async def ingest(api: Api, stack: LocalSupabase, person: Person, *arguments: str | Path) -> tuple[int, str]:
    """Run the command; its exit code and what it said."""
    environment = {
        "API_URL": api.url,
        "SUPABASE_URL": stack.url,
        "SUPABASE_PUBLISHABLE_KEY": stack.publishable_key,
        "PARLEY_EMAIL": person.email,
        "PARLEY_PASSWORD": PASSWORD,
        "COLUMNS": "200",
    }
    command = [sys.executable, "-m", "app.retrieval.ingest", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stderr


async def test_a_folder(offline: Api, stack: LocalSupabase, person: Person, folder: Path) -> None:
    code, said = await ingest(offline, stack, person, folder)
    assert code == 1
    assert "broken.pdf: The file is not a readable PDF." in said
    assert "2 added, 1 failed" in said
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
    assert said.strip().splitlines()[-1] == "nobody@example.com cannot sign in (status 400)"


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


async def test_a_file_that_cannot_be_read_costs_no_other_file(offline: Api, person: Person, folder: Path) -> None:
    summary = Summary()
    async with person_client(offline, person) as client:
        session = Session(client, {}, person.token)
        # it was there when the folder was listed
        assert await _send(session, folder / "gone.txt", "gone.txt", None, {}, summary) is None
    assert summary.problems == [("gone.txt", "No such file or directory")]


async def test_a_limit_is_waited_for_as_often_as_it_takes() -> None:
    refusals = 4 * TRIES

    def answer(request: httpx.Request) -> httpx.Response:
        nonlocal refusals
        refusals -= 1
        return httpx.Response(429, headers={"Retry-After": "0"}) if refusals >= 0 else httpx.Response(201)

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://api") as client:
        assert (await Session(client, {}, "token").call("POST", "/v1/documents")).status_code == 201


async def test_a_server_that_stays_busy_is_given_up() -> None:
    busy = httpx.MockTransport(lambda _: httpx.Response(503, headers={"Retry-After": "0"}, json={"title": "Busy"}))
    async with httpx.AsyncClient(transport=busy, base_url="http://api") as client:
        with pytest.raises(IngestError, match="Busy"):
            await Session(client, {}, "token").call("POST", "/v1/documents")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems' file names are text")
async def test_a_name_that_is_no_text(offline: Api, stack: LocalSupabase, person: Person, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("Opens at eight.")
    for expected in ("1 added", "1 unchanged"):
        code, said = await ingest(offline, stack, person, tmp_path)
        assert (code, expected in said) == (0, True), said


def running(folder: Path, **written: str) -> dict[str, str]:
    """The environment beside a `make run` that keeps its data in `folder`, with a copy of .env.example loaded."""
    (folder / "env").write_text("".join(f"{name}='{value}'\n" for name, value in written.items()))
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
    assert done.stderr.startswith("text-embedding-3-small has no configured provider"), "Supabase's settings are known"


@pytest.mark.parametrize("command", ["app.retrieval.ingest", "app.retrieval.reembed"])
def test_help(command: str) -> None:
    arguments = [sys.executable, "-m", command, "--help"]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "usage: python -m app.retrieval" in done.stdout


@pytest.mark.parametrize("metadata", ["[1]", "{", "7"])
def test_metadata_is_an_object(metadata: str, tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "app.retrieval.ingest", str(tmp_path), "--metadata", metadata]
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith(f"argument --metadata: {metadata} is no JSON object\n")


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
