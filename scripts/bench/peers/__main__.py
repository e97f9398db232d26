"""`make bench-peers`: whole stored turns beside other servers, by turns; writes docs/benchmarks.md and its plots."""

from __future__ import annotations

import argparse
import contextlib
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import uvloop

from scripts.bench.peers.install import ai_sdk_folder, litellm_python, open_webui_python
from scripts.bench.peers.report import write
from scripts.bench.scenarios import by_turns, table
from scripts.bench.servers import (
    CHAT,
    COMPLETIONS,
    LOAD_CORE,
    SERVER_CORE,
    Beside,
    Contender,
    beside,
    floor,
    parley,
    pin,
    running,
    wait_for,
)
from scripts.local_supabase.node import NODE
from scripts.local_supabase.postgres import SUPERUSER, Postgres
from scripts.local_supabase.processes import free_port

LITELLM_CONFIG = Path(__file__).parent / "litellm.yaml"
START_SECONDS = 600
BARE, LITESTAR, PARLEY = "bare aiohttp", "minimal Litestar", "Parley"
AI_SDK, LITELLM, OPEN_WEBUI = "AI SDK", "LiteLLM", "Open WebUI"


@contextlib.contextmanager
def ai_sdk(ports: Beside, folder: Path) -> Iterator[Contender]:
    port = free_port()
    started = time.monotonic()
    command = (str(NODE), "server.mjs", str(port), str(ports.upstream))
    with running(command, SERVER_CORE, cwd=folder, env={"NODE_ENV": "production"}) as process:
        wait_for(f"http://127.0.0.1:{port}/")
        yield Contender(AI_SDK, process, port, time.monotonic() - started, COMPLETIONS, CHAT)


@contextlib.contextmanager
def litellm(ports: Beside, python: Path) -> Iterator[Contender]:
    """The proxy without a database and without keys of its own."""
    port = free_port()
    command = (str(python.parent / "litellm"), "--config", str(LITELLM_CONFIG), "--host", "127.0.0.1")
    # it would fetch its table of prices, and report its use
    env = {
        "BENCH_UPSTREAM": f"http://127.0.0.1:{ports.upstream}/v1",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOG": "CRITICAL",
        # it has no keys, as the other servers have none, and serves this machine only
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    started = time.monotonic()
    with running((*command, "--port", str(port)), SERVER_CORE, cwd=python.parent, env=env) as process:
        wait_for(f"http://127.0.0.1:{port}/health/liveliness", START_SECONDS, of=process)
        yield Contender(LITELLM, process, port, time.monotonic() - started, COMPLETIONS, CHAT)


@contextlib.contextmanager
def database(folder: Path) -> Iterator[str]:
    """The URL of a Postgres beside the servers."""
    password = secrets.token_hex(16)
    postgres = Postgres(
        folder / "postgres", port=free_port(), password=password, log=folder / "postgres.log", throwaway=True
    )
    child = postgres.start()
    try:
        pin(psutil.Process(child.process.pid), LOAD_CORE)
        yield postgres.url(SUPERUSER, password)
    finally:
        child.stop()


@contextlib.contextmanager
def open_webui(ports: Beside, python: Path) -> Iterator[Contender]:
    """It stores each turn as a chat of its own, in Postgres: its SQLite is locked when 32 users send at once."""
    port, bridge = free_port(), free_port()
    command = (str(python.parent / "open-webui"), "serve", "--host", "127.0.0.1", "--port", str(port))
    with tempfile.TemporaryDirectory(prefix="open-webui-") as name, database(Path(name)) as url:
        env = {
            "DATA_DIR": name,
            "DATABASE_URL": url,
            "DATABASE_POOL_SIZE": "20",
            "WEBUI_SECRET_KEY": secrets.token_hex(16),
            # one user, who needs no password; it serves this machine only
            "WEBUI_AUTH": "False",
            "OPENAI_API_BASE_URL": f"http://127.0.0.1:{ports.upstream}/v1",
            "OPENAI_API_KEY": "bench",
            "ENABLE_OLLAMA_API": "False",
            # no models of its own for passages: what they need is not installed, and would take more memory
            "RAG_EMBEDDING_ENGINE": "openai",
            # it would look for newer versions, and for models
            "OFFLINE_MODE": "True",
            "ANONYMIZED_TELEMETRY": "False",
            "GLOBAL_LOG_LEVEL": "ERROR",
        }
        started = time.monotonic()
        with running(command, SERVER_CORE, cwd=Path(name), env=env) as process:
            wait_for(f"http://127.0.0.1:{port}/health", START_SECONDS, of=process)
            seconds = time.monotonic() - started
            through = (sys.executable, "-m", "scripts.bench.peers.webui_bridge", str(bridge), str(port))
            with running(through, LOAD_CORE):
                wait_for(f"http://127.0.0.1:{bridge}/")
                yield Contender(OPEN_WEBUI, process, bridge, seconds, COMPLETIONS, CHAT)


async def measure(rounds: int) -> None:
    folder, python, webui = ai_sdk_folder(), litellm_python(), open_webui_python()
    pin(psutil.Process(), LOAD_CORE)
    with (
        beside() as ports,
        floor("bare", BARE, ports) as bare,
        floor("litestar", LITESTAR, ports) as minimal,
        parley(ports, name=PARLEY) as own,
        ai_sdk(ports, folder) as node,
        litellm(ports, python) as proxy,
        open_webui(ports, webui) as stored,
    ):
        servers = [bare, minimal, own, node, proxy, stored]
        samples = await by_turns(servers, rounds, may_fail=(AI_SDK, LITELLM, OPEN_WEBUI))
    print("\n".join(table(samples, BARE)))
    write(samples, BARE, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench-peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    uvloop.run(measure(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
