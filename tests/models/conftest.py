"""A real model: a small one, served by llama.cpp, from packages of an environment of their own."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.install.command import REPOSITORY, one_at_a_time
from scripts.install.python_packages import install_python_packages
from scripts.local_supabase.processes import Child, free_port

START_SECONDS = 60.0
SLOT_TOKENS = 1024
"""The context that each request gets."""


@pytest.fixture(scope="session")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a llama.cpp server that speaks OpenAI's and Anthropic's wire. Installs it the first time."""
    environment = REPOSITORY / ".venv-models"
    with one_at_a_time(REPOSITORY):
        install_python_packages(
            environment, REPOSITORY / "requirements-bootstrap.lock", REPOSITORY / "requirements-models.lock"
        )
    port = free_port()
    log = tmp_path_factory.mktemp("llama.cpp") / "server.log"
    program = Path(__file__).parent / "llama_cpp.py"
    child = Child.start(
        "llama.cpp", [environment / "bin" / "python", program, str(port), str(SLOT_TOKENS)], log=log, env={}
    )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait_for(f"{url}/health", child, log)
        yield url
    finally:
        child.process.terminate()
        try:
            child.process.wait(10)
        except subprocess.TimeoutExpired:
            child.process.kill()
            child.process.wait()


def _wait_for(url: str, child: Child, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if child.process.poll() is not None:
            break
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"llama.cpp does not answer: {log.read_text()[-2000:]}")
