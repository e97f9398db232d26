"""The wheel: the same bytes twice, everything that an installation needs, and it runs away from the repository."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from app import __version__
from scripts import web
from scripts.local_supabase import LocalSupabase
from scripts.local_supabase.processes import free_port
from scripts.trust.wheel import build
from tests.support.gateway import Answer, Gateway
from tests.support.service import environment
from tests.support.sources import APP, ROOT

EPOCH = 1_790_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    web.build()
    return build(tmp_path_factory.mktemp("wheel"), EPOCH)


def test_two_builds_have_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "another" / "folder", EPOCH)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(wheel.read_bytes()).digest()
    assert again.name == wheel.name == f"parley-{__version__}-py3-none-any.whl"


def test_wheel_has_what_an_installation_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {path.relative_to(ROOT).as_posix() for path in APP.rglob("*.py")} <= names
    migrations = {f"app/supabase/migrations/{path.name}" for path in (ROOT / "supabase/migrations").glob("*.sql")}
    assert migrations
    assert migrations <= names
    assert {"app/supabase/config.toml", "app/web/index.html", "app/web/third-party-licences.txt"} <= names
    assert f"parley-{__version__}.dist-info/licenses/LICENSE" in names
    top = {name.partition("/")[0] for name in names}
    assert top == {"app", f"parley-{__version__}.dist-info"}
    assert [name for name in names if "__pycache__" in name or "/.vite" in name or name.endswith(".pyc")] == []


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the installed code, away from the repository."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=variables | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_installed_code_finds_what_the_repository_has_beside_it(installed: Path, tmp_path: Path) -> None:
    code = "from app.api.web import BUILD; from app.store.project import MIGRATIONS; print(f'{BUILD}\\n{MIGRATIONS}')"
    ended = run(installed, tmp_path, "-c", code)
    assert ended.stdout.splitlines() == [str(installed / "app/web"), str(installed / "app/supabase/migrations")]


async def test_wheel_does_not_start_without_a_migration(installed: Path, stack: LocalSupabase, tmp_path: Path) -> None:
    *applied, newest = sorted(path.name.partition("_")[0] for path in (ROOT / "supabase/migrations").glob("*.sql"))
    async with Gateway(stack.url) as gateway:
        gateway.paths["/rest/v1/rpc/applied_migrations"] = Answer(200, json.dumps(applied))
        variables = environment(stack, SUPABASE_URL=gateway.url, PARLEY_PORT=str(free_port()))
        ended = await asyncio.to_thread(run, installed, tmp_path, "-m", "app", **variables)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert f"it lacks the migration {newest}" in line


async def test_wheel_runs_and_serves_the_web_client(
    installed: Path, stack: LocalSupabase, kept_settings: None, tmp_path: Path
) -> None:
    port = free_port()
    variables = environment(stack, WEB="on", PARLEY_PORT=str(port), PYTHONPATH=str(installed))
    process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-m", "app"], cwd=tmp_path, env=variables, stdout=subprocess.DEVNULL
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client, asyncio.timeout(60):
            while True:
                assert process.poll() is None
                try:
                    if (await client.get("/health/ready")).status_code == 200:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
            page = await client.get("/")
            notice = await client.get("/third-party-licences.txt")
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 20)
    assert '<div id="root">' in page.text
    assert notice.headers["content-type"] == "text/plain; charset=utf-8"
    assert "react" in notice.text
