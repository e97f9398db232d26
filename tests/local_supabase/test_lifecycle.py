"""Starting, stopping, being killed, and starting again with everything there."""

from __future__ import annotations

import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from scripts.local_supabase import LocalSupabase, StackError
from scripts.local_supabase.processes import Record, free_port, require_free_port
from tests.support.data_folder import data_folder

pytestmark = pytest.mark.stack


@pytest.fixture
def folder() -> Iterator[Path]:
    """A project without migrations: these tests are about processes."""
    with data_folder() as folder:
        (folder / "supabase" / "migrations").mkdir(parents=True)
        yield folder


def lasting(folder: Path, supabase_port: int, db_port: int) -> LocalSupabase:
    return LocalSupabase(folder / "data", supabase_port=supabase_port, db_port=db_port, workdir=folder)


def test_throwaway_leaves_nothing(folder: Path) -> None:
    stack = LocalSupabase.throwaway(workdir=folder)
    with stack:
        processes = [psutil.Process(child.process.pid) for child in stack.children]
        processes += [each for process in processes for each in process.children(recursive=True)]
        data = stack.data
        assert len(processes) > 2
    assert not any(process.is_running() for process in processes)
    assert not data.exists()


def test_starts_after_everything_was_killed(folder: Path) -> None:
    ports = free_port(), free_port()
    stack = lasting(folder, *ports)
    stack.start()
    first_key = stack.publishable_key
    user = httpx.post(
        f"{stack.url}/auth/v1/signup",
        headers={"apikey": stack.publishable_key},
        json={"email": "kept@parley.example", "password": "correct horse"},
    ).json()["user"]
    parts = [psutil.Process(child.process.pid) for child in stack.children]
    for process in [*parts, *(each for part in parts for each in part.children(recursive=True))]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    # nobody waits for the killed processes: they stay in the system's table, as under a container's first process

    try:
        with lasting(folder, *ports) as again:
            assert again.publishable_key == first_key
            with psycopg.connect(again.database_url) as connection:
                assert connection.execute("select id::text, email from auth.users").fetchall() == [
                    (user["id"], "kept@parley.example")
                ]
    finally:
        for child in stack.children:
            child.process.wait()


def test_server_left_behind_is_ended_first(folder: Path) -> None:
    """The record was lost, but the folder's server still runs, as after a crash of everything else."""
    ports = free_port(), free_port()
    stack = lasting(folder, *ports)
    stack.start()
    (stack.data / "processes.json").unlink()
    while len(stack.children) > 1:
        stack.children.pop().stop()

    with lasting(folder, *ports):
        assert not stack.children[0].alive()


def test_killed_run_is_cleared_up_by_the_next(folder: Path) -> None:
    """Without the record of its parts, the gateway of a killed run would keep the port."""
    ports = free_port(), free_port()
    stack = lasting(folder, *ports)
    stack.start()

    with lasting(folder, *ports) as again:
        assert not any(child.alive() for child in stack.children)
        assert httpx.get(f"{again.url}/auth/v1/.well-known/jwks.json").status_code == 200


def test_children_end_with_their_parent(folder: Path) -> None:
    """Where the system can tell a child that its parent was killed (Linux)."""
    if sys.platform != "linux":
        pytest.skip("only Linux tells")
    program = (
        "import sys, time; from pathlib import Path; from scripts.local_supabase import LocalSupabase\n"
        f"stack = LocalSupabase.throwaway(Path({str(folder)!r})); stack.start()\n"
        "print(*(child.process.pid for child in stack.children), flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=10)
    assert len(children) == 3
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_folder_in_use_is_refused(folder: Path) -> None:
    """By another living process: here, the one that waits for us to end."""
    stack = lasting(folder, free_port(), free_port())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        stack.data.mkdir()
        (stack.data / "processes.json").write_text(
            f'{{"owner": {{"pid": {other.pid}, "created": {psutil.Process(other.pid).create_time()}}}}}'
        )
        with pytest.raises(StackError, match=f"in use by process {other.pid}.*PARLEY_DATA"):
            stack.start()
        other.communicate(b"\n")


def test_record_of_a_process_number_that_is_another_s_now(tmp_path: Path) -> None:
    """Process numbers are used again; ending a stranger would be worse than leaving something behind."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (tmp_path / "processes.json").write_text(
            f'{{"owner": {{"pid": {stranger.pid}, "created": 1}}, '
            f'"children": {{"postgres": {{"pid": {stranger.pid}, "created": 1}}}}}}'
        )
        Record(tmp_path / "processes.json").claim()
        assert stranger.poll() is None
        stranger.communicate(b"\n")


@pytest.mark.parametrize("variable", ["PARLEY_SUPABASE_PORT", "PARLEY_DB_PORT"])
def test_taken_port_is_named_with_its_variable(folder: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = (port, free_port()) if variable == "PARLEY_SUPABASE_PORT" else (free_port(), port)
        with pytest.raises(StackError, match=f"port {port} is taken .* set {variable}"):
            lasting(folder, *ports).start()
    assert not (folder / "data" / "processes.json").exists()


def test_port_that_is_given_back_soon_is_waited_for() -> None:
    """As a killed gateway's, whose threads outlive its entry in the system's table for a moment."""
    with socket.create_server(("127.0.0.1", free_port())) as dying:
        end = threading.Timer(0.2, dying.close)
        end.start()
        require_free_port(dying.getsockname()[1], "PARLEY_SUPABASE_PORT")
        assert dying.fileno() == -1
        end.join()


def test_folder_that_cannot_be_written_is_named(folder: Path) -> None:
    (folder / "data").write_text("a file")
    with pytest.raises(StackError, match=r"nothing can be kept in .*/data: .*PARLEY_DATA"):
        lasting(folder, free_port(), free_port()).start()


def test_secrets_are_the_owner_s_alone(stack: LocalSupabase) -> None:
    assert stat.S_IMODE((stack.data / "keys.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((stack.data / "postgres").stat().st_mode) == 0o700


def test_passwords_are_asked_for(stack: LocalSupabase) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(stack.database_url.replace("postgres:", "postgres:not", 1))
