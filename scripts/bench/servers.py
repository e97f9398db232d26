"""The servers that are measured, each in a process on a core of its own, and what they need beside them."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jwt
import psutil

from scripts.bench.load import Request
from scripts.local_supabase.processes import free_port

ROOT = Path(__file__).parents[2]
SECRET = "a secret of the bench, at least 32 bytes long"  # noqa: S105
CONVERSATION = "6b1f0c0e-0000-4000-8000-000000000001"
SERVER_CORE, LOAD_CORE = 0, 1
USERS = 200
"""Who sends: the database begins at most four turns of one user at once."""
QUESTION = "Hello, write a haiku about benchmarks."


class Contender(NamedTuple):
    """A running server."""

    name: str
    process: psutil.Process
    port: int
    start_seconds: float
    """From the start of the process to its first answer."""
    head: str
    """The request line and the header fields of its own that ask for a streamed reply."""
    body: Mapping[str, object]
    """The body without the model."""
    others: Sequence[str] = ()
    """Such heads of other users: connections take turns with them."""

    def request(self, model: str) -> Request:
        """What asks it for a reply of the fake provider's `model`."""
        body = json.dumps({**self.body, "model": model}).encode()
        rest = f"Host: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return Request(self.port, tuple((head + rest).encode() + body for head in (self.head, *self.others)))

    def cpu_seconds(self) -> float:
        """Of the process and its children."""
        times = self.process.cpu_times()
        own = times.user + times.system
        children = (child.cpu_times() for child in self.process.children(recursive=True))
        return float(own + sum(child.user + child.system for child in children))

    def megabytes(self) -> float:
        everyone = [self.process, *self.process.children(recursive=True)]
        return float(sum(process.memory_info().rss for process in everyone)) / 1_048_576


class Beside(NamedTuple):
    """The ports of what the servers need."""

    upstream: int
    supabase: int


def pin(process: psutil.Process, core: int) -> None:
    """Keep the process on one core, where there are two and the system can."""
    if (os.cpu_count() or 1) > 1 and hasattr(process, "cpu_affinity"):
        process.cpu_affinity([core])


@contextlib.contextmanager
def running(
    command: Sequence[str], core: int, *, cwd: Path = ROOT, env: Mapping[str, str] | None = None
) -> Iterator[psutil.Process]:
    """A child process on its core. It is ended when the block ends. Python's bytecode is kept, as on a server."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    child = subprocess.Popen(command, cwd=cwd, env={**inherited, **(env or {})})
    try:
        process = psutil.Process(child.pid)
        pin(process, core)
        yield process
    finally:
        child.terminate()
        child.wait(15)


def wait_for(url: str, seconds: float = 60, *, of: psutil.Process | None = None) -> None:
    """Until `url` answers. TimeoutError: not in time, or the process is gone."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and (of is None or of.status() != psutil.STATUS_ZOMBIE):
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):  # noqa: S310
            return
        time.sleep(0.02)
    raise TimeoutError(f"{url} does not answer")


@contextlib.contextmanager
def beside() -> Iterator[Beside]:
    """The fake provider and the stub of Supabase."""
    ports = Beside(free_port(), free_port())
    python = (sys.executable, "-m")
    with (
        running((*python, "scripts.bench.upstream", str(ports.upstream)), LOAD_CORE),
        running((*python, "scripts.bench.supabase", str(ports.supabase)), LOAD_CORE),
    ):
        wait_for(f"http://127.0.0.1:{ports.upstream}/v1/models")
        yield ports


def calls(supabase_port: int) -> dict[str, int]:
    """How often each function of the stub of Supabase was called."""
    with urllib.request.urlopen(f"http://127.0.0.1:{supabase_port}/calls", timeout=5) as response:
        counted: dict[str, int] = json.load(response)
        return counted


def access_token(supabase_port: int, user: int = 0) -> str:
    now = int(time.time())
    claims = {
        "sub": f"6b1f0c0e-0000-4000-8000-{user:012d}",
        "role": "authenticated",
        "aud": "authenticated",
        "iss": f"http://127.0.0.1:{supabase_port}/auth/v1",
        "iat": now,
        "exp": now + 3600,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


def settings_of(ports: Beside, port: int, model: str = "fake-50-0-0") -> dict[str, str]:
    """The environment of an API that listens on `port`."""
    return {
        "SUPABASE_URL": f"http://127.0.0.1:{ports.supabase}",
        "SUPABASE_PUBLISHABLE_KEY": "bench",
        "SUPABASE_SECRET_KEY": "bench",
        "SUPABASE_JWT_SECRET": SECRET,
        "OPENAI_API_KEY": "bench",
        "OPENAI_BASE_URL": f"http://127.0.0.1:{ports.upstream}/v1",
        "OPENAI_MODEL": model,
        "PARLEY_PORT": str(port),
        "LOG_LEVEL": "error",
    }


@contextlib.contextmanager
def parley(
    ports: Beside,
    *,
    name: str = "Parley",
    root: Path = ROOT,
    python: str = sys.executable,
    further: Mapping[str, str] | None = None,
    **of_settings: str,
) -> Iterator[Contender]:
    """The API of the checkout at `root`, which stores every turn in the stub; with `further` settings."""
    port = free_port()
    started = time.monotonic()
    env = {**settings_of(ports, port, **of_settings), **(further or {})}
    with running((python, "-m", "app"), SERVER_CORE, cwd=root, env=env) as process:
        wait_for(f"http://127.0.0.1:{port}/health/ready")
        seconds = time.monotonic() - started
        first, *others = (sending(ports, user) for user in range(USERS))
        yield Contender(name, process, port, seconds, first, {"content": QUESTION}, others)


def sending(ports: Beside, user: int = 0) -> str:
    """The head of a request that sends a message and streams the reply."""
    return (
        f"POST /v1/conversations/{CONVERSATION}/messages HTTP/1.1\r\n"
        f"Authorization: Bearer {access_token(ports.supabase, user)}\r\nAccept: text/event-stream\r\n"
    )


def surfaces(ports: Beside, server: Contender) -> list[Contender]:
    """The API's three ways to ask for a reply: its own, `useChat`'s and that of OpenAI's clients."""
    authorized = f" HTTP/1.1\r\nAuthorization: Bearer {access_token(ports.supabase)}\r\n"
    message = {"id": "kQ3hPz7mYx2LwB9c", "role": "user", "parts": [{"type": "text", "text": QUESTION}]}
    return [
        server._replace(others=()),
        server._replace(
            name="/v1/chat",
            head=f"POST /v1/chat{authorized}",
            body={"id": CONVERSATION, "message": message},
            others=(),
        ),
        server._replace(name="/openai/v1", head=f"POST /openai{COMPLETIONS_PATH}{authorized}", body=CHAT, others=()),
    ]


@contextlib.contextmanager
def floor(kind: str, name: str, ports: Beside) -> Iterator[Contender]:
    """The floor `floor_<kind>`."""
    port = free_port()
    command = (sys.executable, "-m", f"scripts.bench.floor_{kind}", str(port), str(ports.upstream))
    started = time.monotonic()
    with running(command, SERVER_CORE) as process:
        wait_for(f"http://127.0.0.1:{port}/")
        seconds = time.monotonic() - started
        yield Contender(name, process, port, seconds, COMPLETIONS, CHAT)


COMPLETIONS_PATH = "/v1/chat/completions"
COMPLETIONS = f"POST {COMPLETIONS_PATH} HTTP/1.1\r\n"
CHAT = {"messages": [{"role": "user", "content": QUESTION}], "stream": True}
