"""`make bench`: measures the CPU and latency of whole turns in the API process, and its calls to the database.

The server runs on one core, the clients and the fake provider on another if there are two. A stub answers for Supabase,
so that the embedded stack is not measured. Compare only figures of the same run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jwt
import psutil
import uvloop

from scripts.bench.load import Result, arriving, closed_loop, turn_request
from scripts.local_supabase.processes import free_port

ROOT = Path(__file__).parents[2]
SECRET = "a secret of the bench, at least 32 bytes long"  # noqa: S105
CONVERSATION = "6b1f0c0e-0000-4000-8000-000000000001"
ROUNDS = 5


@contextlib.contextmanager
def process(*command: str, core: int | None = None, **env: str) -> Iterator[psutil.Process]:
    """A child process on its own core. It is ended when the block ends."""
    child = subprocess.Popen([sys.executable, "-m", *command], cwd=ROOT, env=os.environ | env)
    try:
        running = psutil.Process(child.pid)
        if core is not None and (os.cpu_count() or 1) > 1 and hasattr(running, "cpu_affinity"):
            running.cpu_affinity([core])
        yield running
    finally:
        child.terminate()
        child.wait(15)


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1):  # noqa: S310
            return
        time.sleep(0.05)
    raise TimeoutError(f"{url} does not answer")


def cpu_seconds(server: psutil.Process) -> float:
    times = server.cpu_times()
    return float(times.user + times.system)


def calls(port: int) -> dict[str, int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/calls", timeout=5) as response:
        counted: dict[str, int] = json.load(response)
        return counted


def check(result: Result) -> None:
    if result.failed:
        raise SystemExit(f"{len(result.failed)} turns failed, the first with: {result.failed[0]}")


def access_token(supabase_port: int) -> str:
    now = int(time.time())
    claims = {
        "sub": "6b1f0c0e-0000-4000-8000-000000000002",
        "role": "authenticated",
        "aud": "authenticated",
        "iss": f"http://127.0.0.1:{supabase_port}/auth/v1",
        "iat": now,
        "exp": now + 3600,
    }
    return jwt.encode(claims, SECRET, algorithm="HS256")


async def burst(port: int, server: psutil.Process, request: bytes) -> None:
    """50 tokens as fast as they come, 32 connections."""
    costs, rates = [], []
    await closed_loop(port, request, connections=32, seconds=2)
    for _ in range(ROUNDS):
        before = cpu_seconds(server)
        result = await closed_loop(port, request, connections=32, seconds=3)
        check(result)
        costs.append((cpu_seconds(server) - before) / len(result.total) * 1000)
        rates.append(result.replies_per_second)
    print(
        f"burst, 50 tokens:   {statistics.median(costs):5.2f} ms CPU a turn   {statistics.median(rates):6.0f} replies/s"
    )


async def unloaded(port: int, request: bytes) -> None:
    result = await closed_loop(port, request, connections=1, seconds=3)
    check(result)
    print(f"one at a time:      {result.first_token_median * 1000:5.2f} ms to the first token, p50")


async def paced(port: int, server: psutil.Process, request: bytes) -> None:
    """60 tokens at 20 a second, about 200 streams at a time."""
    before, idle = cpu_seconds(server), server.memory_info().rss
    result = await arriving(port, request, turns=600, per_second=66.7)
    check(result)
    cost = (cpu_seconds(server) - before) / len(result.total) * 1000
    p99 = result.percentile(result.first_token, 0.99) * 1000
    grown = (server.memory_info().rss - idle) / 200 / 1024
    print(f"paced, 60 tokens:   {cost:5.2f} ms CPU a turn   first token p99 {p99:.0f} ms   {grown:.0f} KB a stream")


async def journal(port: int, supabase_port: int, request: bytes) -> None:
    """The journal calls per second with 10, 100 and 500 streams."""
    for streams in (10, 100, 500):
        running = asyncio.create_task(arriving(port, request, turns=streams, per_second=10_000))
        await asyncio.sleep(2)
        before, started = calls(supabase_port), time.monotonic()
        await asyncio.sleep(6)
        counted, seconds = calls(supabase_port), time.monotonic() - started
        rate = (counted["journal_write"] - before["journal_write"]) / seconds
        print(f"journal, {streams:3d} streams: {rate:4.2f} calls a second")
        check(await running)


class Service(NamedTuple):
    process: psutil.Process
    port: int
    supabase_port: int


@contextlib.contextmanager
def service() -> Iterator[Service]:
    """The API between a stub of Supabase and a fake provider, ready."""
    supabase_port, upstream_port, port = free_port(), free_port(), free_port()
    with (
        process("scripts.bench.supabase", str(supabase_port), core=1),
        process("scripts.bench.upstream", str(upstream_port), core=1),
        process(
            "app",
            core=0,
            SUPABASE_URL=f"http://127.0.0.1:{supabase_port}",
            SUPABASE_PUBLISHABLE_KEY="bench",
            SUPABASE_SECRET_KEY="bench",  # noqa: S106
            SUPABASE_JWT_SECRET=SECRET,
            OPENAI_API_KEY="bench",
            OPENAI_BASE_URL=f"http://127.0.0.1:{upstream_port}/v1",
            OPENAI_MODEL="fake-50-0-0",
            PARLEY_PORT=str(port),
            LOG_LEVEL="error",
        ) as server,
    ):
        wait_for(f"http://127.0.0.1:{port}/health/ready")
        yield Service(server, port, supabase_port)


async def measure() -> None:
    with service() as (server, port, supabase_port):
        if hasattr(psutil.Process, "cpu_affinity") and (os.cpu_count() or 1) > 1:
            psutil.Process().cpu_affinity([1])
        token = access_token(supabase_port)
        fast = turn_request(port, token, CONVERSATION, "fake-50-0-0")
        await unloaded(port, fast)
        await burst(port, server, fast)
        counted = calls(supabase_port)
        turns = counted["begin_turn"]
        others = {name: round(count / turns, 2) for name, count in counted.items() if name != "begin_turn"}
        print(f"database calls a turn in the burst: begin_turn 1, others {others}")
        await paced(port, server, turn_request(port, token, CONVERSATION, "fake-60-50-0"))
        await journal(port, supabase_port, turn_request(port, token, CONVERSATION, "fake-200-50-0"))


if __name__ == "__main__":
    uvloop.run(measure())
