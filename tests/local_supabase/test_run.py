"""`make run`, as a process of its own: what it starts, what it tells, how it ends."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import psutil
import pytest
from dotenv import dotenv_values

from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.node import REPOSITORY
from scripts.local_supabase.processes import Child, free_port, wait_until
from scripts.run import maintain
from tests.support.answering import Quiet, answering
from tests.support.data_folder import data_folder

pytestmark = pytest.mark.stack


@dataclass
class Run:
    """One `make run`, and what it says."""

    child: Child
    data: Path

    @property
    def environment(self) -> dict[str, str]:
        """The content of the file that scripts read, as a shell understands it."""
        words = shlex.split((self.data / "env").read_text())
        return dict(word.split("=", 1) for word in words if word != "export")

    def parts(self) -> list[psutil.Process]:
        """Every process of it, itself first."""
        itself = psutil.Process(self.child.process.pid)
        return [itself, *itself.children(recursive=True)]

    def started(self) -> dict[str, int]:
        """The process id of each part, by its name."""
        children = json.loads((self.data / "processes.json").read_text())["children"]
        return {name: child["pid"] for name, child in children.items()}

    def output(self) -> str:
        return self.child.log.read_text()

    def demo_token(self) -> str:
        values = self.environment
        answer = httpx.post(
            f"{values['SUPABASE_URL']}/auth/v1/token",
            params={"grant_type": "password"},
            headers={"apikey": values["SUPABASE_PUBLISHABLE_KEY"]},
            json={"email": values["DEMO_EMAIL"], "password": values["DEMO_PASSWORD"]},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """One data folder and free ports for all runs of this file: only the first has to make a database."""
    with data_folder() as folder:
        yield {
            **os.environ,
            "PARLEY_DATA": str(folder / "data"),
            "PARLEY_SUPABASE_PORT": str(free_port()),
            "PARLEY_DB_PORT": str(free_port()),
            "PARLEY_PORT": str(free_port()),
            # the embedded stack is used all the same
            "SUPABASE_URL": "https://hosted.example",
            "SUPABASE_PUBLISHABLE_KEY": "sb_publishable_hosted",
            "SUPABASE_SECRET_KEY": "sb_secret_hosted",
            "SUPABASE_JWT_SECRET": "the legacy secret of the hosted project",
        }


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Starts `make run`, with more settings where the test names some."""
    started: list[Run] = []

    def run(**settings: str) -> Run:
        log = tmp_path / f"run-{len(started)}.log"
        command, env = [sys.executable, "-m", "scripts.run"], {**environment, **settings}
        child = Child.start("make run", command, log=log, env=env, cwd=REPOSITORY)
        started.append(Run(child, Path(environment["PARLEY_DATA"])))
        wait_until(lambda: "Parley is running" in log.read_text(), seconds=60, child=child)
        return started[-1]

    yield run
    for each in started:
        each.child.stop()


def test_serves_and_stops(start: Callable[[], Run]) -> None:
    run = start()
    values = run.environment
    assert stat.S_IMODE((run.data / "env").stat().st_mode) == 0o600
    assert list(values) == [
        "API_URL",
        "SUPABASE_URL",
        "SUPABASE_PUBLISHABLE_KEY",
        "SUPABASE_SECRET_KEY",
        "DATABASE_URL",
        "DEMO_EMAIL",
        "DEMO_PASSWORD",
    ]
    for told in ("API_URL", "SUPABASE_URL", "DEMO_EMAIL", "DEMO_PASSWORD"):
        assert values[told] in run.output()
    for secret in ("SUPABASE_SECRET_KEY", "DATABASE_URL"):
        assert values[secret] not in run.output()
    user = {"Authorization": f"Bearer {run.demo_token()}"}
    assert httpx.get(f"{values['API_URL']}/v1/conversations", headers=user).status_code == 200
    assert "\n  Providers: none set, the offline demo answers\n" in run.output()
    # a page of a frontend's development server, whatever its port
    answer = httpx.get(f"{values['API_URL']}/v1/models", headers={"Origin": "http://localhost:3999"})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (401, "http://localhost:3999")
    # whoever reads the file hands its variables on, and python-dotenv reads it as well
    shell = ["sh", "-ec", f". {shlex.quote(str(run.data / 'env'))}; exec env"]
    handed_on = subprocess.run(
        shell, env={}, capture_output=True, text=True, check=True, timeout=30
    ).stdout.splitlines()
    assert {f"{name}={value}" for name, value in values.items()} <= set(handed_on)
    assert dotenv_values(run.data / "env") == values

    parts = run.parts()
    run.child.process.send_signal(signal.SIGTERM)
    assert run.child.process.wait(20) == 0
    assert not any(part.is_running() for part in parts)


class Refusing(Quiet, BaseHTTPRequestHandler):
    """A provider that knows no key, and quotes the one it is shown."""

    def do_GET(self) -> None:
        key = self.headers["Authorization"].removeprefix("Bearer ")
        error = {"message": f"Incorrect API key provided: {key}.", "code": "invalid_api_key"}
        body = json.dumps({"error": error}).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def refusing() -> Iterator[str]:
    """The base URL of a provider that refuses every key."""
    with answering(Refusing) as origin:
        yield f"{origin}/v1"


def test_says_who_answers_and_what_is_wrong(start: Callable[..., Run], refusing: str) -> None:
    key = "nobody-knows-this-one"
    run = start(
        OPENAI_API_KEY=key,
        OPENAI_BASE_URL=refusing,
        OPENAI_MODEL="a-model",
        EMBEDDING_MODEL="local",
        REQUIRE_PREMUIM="false",
        CORS_ALLOW_ORIGINS="https://app.example.com",
    )
    for line in (
        "  Providers: openai\n  Models: a-model of openai (from OPENAI_MODEL)\n",
        "\nwarning: REQUIRE_PREMUIM in the environment is not a setting of Parley: did you mean REQUIRE_PREMIUM?\n",
    ):
        assert line in run.output()
    refused = (
        f"warning: OPENAI_API_KEY: openai refuses this key (status 401); its message is in {run.data}/logs/api-1.log"
    )
    wait_until(lambda: refused in run.output(), seconds=30, child=run.child)
    assert run.output().count("refuses this key") == 1
    log = (run.data / "logs" / "api-1.log").read_text()
    assert '"words": "Incorrect API key provided: [key]."' in log
    assert key not in log + run.output()

    url, user = run.environment["API_URL"], {"Authorization": f"Bearer {run.demo_token()}"}
    shown = httpx.get(f"{url}/v1/models", headers=user).json()["items"]
    assert {item["available"] for item in shown if item["provider"] == "openai"} == {False}
    # origins that are named come to the local ones
    for origin in ("https://app.example.com", "http://127.0.0.1:5173"):
        answer = httpx.get(f"{url}/v1/models", headers={"Origin": origin})
        assert answer.headers["access-control-allow-origin"] == origin


def test_tour_it_prints_works(start: Callable[[], Run]) -> None:
    run = start()
    tour = run.output().split("Try it, in another terminal:\n")[1]
    ran = subprocess.run(["sh", "-ec", tour], capture_output=True, text=True, check=True, timeout=30)
    assert "event: message.started" in ran.stdout
    assert "event: done" in ran.stdout


def test_data_is_there_after_kill_9_of_everything(start: Callable[[], Run]) -> None:
    run = start()
    user = {"Authorization": f"Bearer {run.demo_token()}"}
    created = httpx.post(f"{run.environment['API_URL']}/v1/conversations", headers=user, json={"title": "kept"})
    assert created.status_code == 201, created.text
    for part in run.parts():
        with suppress(psutil.NoSuchProcess):
            part.kill()
    run.child.process.wait(10)

    again = start()
    user = {"Authorization": f"Bearer {again.demo_token()}"}
    listed = httpx.get(f"{again.environment['API_URL']}/v1/conversations", headers=user).json()
    assert listed["items"][0]["id"] == created.json()["id"]


def test_part_that_dies_is_started_again_and_the_others_go_on(start: Callable[[], Run]) -> None:
    run = start()
    url = run.environment["API_URL"]
    user = {"Authorization": f"Bearer {run.demo_token()}"}
    created = httpx.post(f"{url}/v1/conversations", headers=user, json={"title": "kept"}).json()

    def conversation_is_there() -> bool:
        try:
            return httpx.get(f"{url}/v1/conversations/{created['id']}", headers=user).status_code == 200
        except httpx.TransportError:
            return False

    for name in ("api-1", "realtime", "gateway", "postgres"):
        others = {part: known for part, known in run.started().items() if part != name}
        killed = run.started()[name]
        psutil.Process(killed).kill()
        again = partial(lambda name, killed: run.started()[name] != killed, name, killed)
        wait_until(again, seconds=30, child=run.child)
        assert f"{name} ended with status -9" in run.output()
        wait_until(conversation_is_there, seconds=30, child=run.child)
        assert others.items() <= run.started().items()

    parts = run.parts()
    run.child.process.send_signal(signal.SIGTERM)
    assert run.child.process.wait(20) == 0
    assert not any(part.is_running() for part in parts)


def test_part_that_does_not_come_back_ends_the_run(start: Callable[[], Run]) -> None:
    run = start()
    parts = run.parts()
    settings = run.data / "postgres" / "postgresql.auto.conf"
    before = settings.read_text()
    settings.write_text("no_such_setting = 1")
    psutil.Process(run.started()["postgres"]).kill()
    assert run.child.process.wait(30) == 1
    assert "make run: postgres: ended while starting" in run.output()
    # those of the killed server have nobody left who takes note of their end
    assert not any(part.is_running() and part.status() != psutil.STATUS_ZOMBIE for part in parts)
    settings.write_text(before)


def test_malformed_setting_is_named(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.run"],
        env={**os.environ, "PARLEY_DATA": str(tmp_path), "PARLEY_DB_PORT": "five"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "make run: PARLEY_DB_PORT must be a number from 1 to 65535, not 'five'\n"


def test_maintenance_that_fails_does_not_end_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    """It connects to the database, which may be starting again just then."""
    with LocalSupabase.throwaway() as stack:
        maintain(stack)
        assert capsys.readouterr().out == ""
        stack.children[0].stop()
        maintain(stack)
        assert "maintenance failed, next try in an hour" in capsys.readouterr().out


def test_setting_that_the_api_refuses_is_named_before_anything_starts(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "scripts.run"],
        env={**os.environ, "PARLEY_DATA": str(tmp_path / "data"), "REQUIRE_PREMIUM": "maybe"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "make run: REQUIRE_PREMIUM is malformed: expected true or false\n"
    assert not (tmp_path / "data").exists()
