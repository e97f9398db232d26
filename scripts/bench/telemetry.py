"""`make bench-telemetry`: what metrics and traces cost a turn, and what a scrape costs under load.

The same API with nothing on, with metrics, and with metrics and traces, by turns. A receiver beside them takes the
traces. What a trace takes is too little for the differences between rounds, so it is also measured by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import statistics
import sys
import time
import uuid
from collections.abc import Iterator

import aiohttp
import psutil
import uvloop
from aiohttp import web

from app.values import FinalState, Usage
from scripts.bench.load import closed_loop
from scripts.bench.scenarios import BURST, burst, by_turns, checked, table
from scripts.bench.servers import LOAD_CORE, Contender, beside, parley, pin, running
from scripts.local_supabase.processes import free_port

ROUNDS = 5
OFF, METRICS, TRACES = "off", "metrics", "metrics, traces"
SCRAPES = 40
BATCHES, BATCH = 40, 512
ALLOWED = 0.03
"""Of a turn's CPU, for its trace."""


def receive(port: int) -> None:
    """Take what is sent, and answer that it was taken."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(body=b"", content_type="application/x-protobuf")

    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/traces", take)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


@contextlib.contextmanager
def receiver() -> Iterator[str]:
    """The address of a receiver of traces."""
    port = free_port()
    with running((sys.executable, "-m", "scripts.bench.telemetry", "--receive", str(port)), LOAD_CORE):
        yield f"http://127.0.0.1:{port}"


async def scrapes(server: Contender, url: str) -> None:
    """The CPU of a scrape while replies are written: of the process, over what it needs for as many replies without."""
    load = asyncio.create_task(closed_loop(server.request(BURST), connections=8, seconds=6))
    times = []
    async with aiohttp.ClientSession() as session:
        await asyncio.sleep(0.5)
        for _ in range(SCRAPES):
            began = asyncio.get_running_loop().time()
            async with session.get(url) as response:
                text = await response.text()
            times.append(asyncio.get_running_loop().time() - began)
            await asyncio.sleep(0.05)
    checked(await load, server)
    print(
        f"a scrape of {text.count(chr(10))} lines under load: answered within {statistics.median(times) * 1000:.1f} ms"
    )
    before = server.cpu_seconds()
    async with aiohttp.ClientSession() as session:
        for _ in range(SCRAPES * 5):
            async with session.get(url) as response:
                await response.read()
    print(f"its CPU, by itself: {(server.cpu_seconds() - before) / SCRAPES / 5 * 1000:.2f} ms")


async def of_itself(collector: str) -> float:
    """Microseconds of processor time for the trace of a turn, from its first note until it is sent."""
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
    from app.telemetry.traces import traced  # takes its settings from the environment

    conversation, reply, usage = str(uuid.uuid4()), str(uuid.uuid4()), Usage(prompt_tokens=100, completion_tokens=50)
    final = FinalState(status="complete", finish_reason="stop", provider="openai", model="gpt-5-mini", length=100)
    gc.disable()  # as in the service
    async with traced("bench") as tracing:
        began = time.process_time()
        for _ in range(BATCHES):
            for _ in range(BATCH):
                watched = tracing.reply("turn")
                watched.begun(conversation, reply)
                watched.called("openai", "gpt-5-mini", 1, None)
                watched.heard()
                watched.answered()
                watched.written(usage)
                watched.ended(final, ())
            tracing._processor.force_flush()
        took = (time.process_time() - began) / BATCHES / BATCH
    gc.enable()
    return took * 1e6


async def measure(rounds: int) -> None:
    pin(psutil.Process(), LOAD_CORE)
    ports = [str(free_port()) for _ in range(2)]
    with (
        beside() as others,
        receiver() as collector,
        parley(others, name=OFF) as off,
        parley(others, name=METRICS, further={"METRICS_PORT": ports[0]}) as metrics,
        parley(
            others,
            name=TRACES,
            further={"METRICS_PORT": ports[1], "OTEL_EXPORTER_OTLP_ENDPOINT": collector},
        ) as traces,
    ):
        samples = await by_turns([off, metrics, traces], rounds, (burst,), once=())
        print("\n".join(table(samples, OFF)))
        pairs = zip(samples[TRACES]["burst_cpu"], samples[METRICS]["burst_cpu"], strict=True)
        shares = sorted(with_traces / without - 1 for with_traces, without in pairs)
        print(
            f"traces add {statistics.median(shares):+.1%} to the CPU of a turn, by rounds "
            f"({', '.join(f'{share:+.1%}' for share in shares)})"
        )
        micro, turn = await of_itself(collector), statistics.median(samples[METRICS]["burst_cpu"]) * 1000
        print(f"a trace by itself: {micro:.1f} µs, {micro / turn:.1%} of a turn; at most {ALLOWED:.0%} is allowed")
        await scrapes(metrics, f"http://127.0.0.1:{ports[0]}/metrics")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench-telemetry", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--receive", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive:
        receive(arguments.receive)
    else:
        uvloop.run(measure(arguments.rounds))
