"""What is measured of each server, by turns: one round of all servers, then the next, so that they meet the same noise.

Figures of one run compare with each other only, and best as ratios: the machine is rarely idle.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence

from scripts.bench.load import Result, arriving, closed_loop
from scripts.bench.servers import Contender

BURST = "fake-50-0-0"
"""50 tokens as fast as they come."""
PACED = "fake-60-50-0"
"""60 tokens at 20 a second."""
TIMED = "fake-60-50-0-timed"
"""The same, each token with the time at which it was sent."""
SHORT = "fake-20-50-0"
STREAMS = 200
CALM_SECONDS = 0.3

Figures = dict[str, float]
Samples = dict[str, dict[str, list[float]]]
"""By server, then by figure: one value a round."""

LABELS: Mapping[str, tuple[str, str]] = {
    "burst_cpu": ("burst: CPU of a 50-token reply", "ms"),
    "burst_rate": ("burst: replies a second", "/s"),
    "paced_cpu": ("paced: CPU of a 60-token reply at 20/s", "ms"),
    "paced_p99": ("paced: first token p99", "ms"),
    "delay_p50": ("paced: from the provider to the reader p50", "ms"),
    "delay_p99": ("paced: from the provider to the reader p99", "ms"),
    "alone_p50": ("one at a time: first token p50", "ms"),
    "opened_p99": (f"{STREAMS} opened at once: first token p99", "ms"),
    "stream_kb": ("memory of a stream", "KB"),
    "idle_mb": ("memory idle", "MB"),
    "start": ("start to ready", "s"),
}


def checked(result: Result, server: Contender) -> Result:
    if result.failed:
        raise SystemExit(f"{server.name}: {len(result.failed)} turns failed, the first with: {result.failed[0]}")
    return result


async def burst(server: Contender) -> Figures:
    """32 connections, each of which asks for its next reply when the last one has ended."""
    before = server.cpu_seconds()
    result = checked(await closed_loop(server.request(BURST), connections=32, seconds=2), server)
    cpu = (server.cpu_seconds() - before) / len(result.total) * 1000
    return {"burst_cpu": cpu, "burst_rate": result.replies_per_second}


async def alone(server: Contender) -> Figures:
    result = checked(await closed_loop(server.request(BURST), connections=1, seconds=1), server)
    return {"alone_p50": result.first_token_median * 1000}


async def paced(server: Contender) -> Figures:
    """About 200 streams at a time: what users of a chat are."""
    before = server.cpu_seconds()
    result = checked(await arriving(server.request(PACED), turns=300, per_second=STREAMS / 3), server)
    cpu = (server.cpu_seconds() - before) / len(result.total) * 1000
    return {"paced_cpu": cpu, "paced_p99": result.percentile(result.first_token, 0.99) * 1000}


async def delayed(server: Contender) -> Figures:
    """How long tokens take, with 200 streams at a time. The provider's and the reader's own delays are in it: what a
    server adds is the difference to the floor."""
    running = arriving(server.request(TIMED), turns=300, per_second=STREAMS / 3, timed=True)
    result = checked(await running, server)
    p50, p99 = (result.percentile(result.delays, share) * 1000 for share in (0.5, 0.99))
    return {"delay_p50": p50, "delay_p99": p99}


async def opened(server: Contender) -> Figures:
    result = checked(await arriving(server.request(SHORT), turns=STREAMS, per_second=1_000_000), server)
    return {"opened_p99": result.percentile(result.first_token, 0.99) * 1000}


async def memory(server: Contender) -> Figures:
    """Of a fresh server: what a stream takes while all of them are open. Measured before everything else."""
    checked(await closed_loop(server.request(BURST), connections=4, seconds=1), server)
    idle = server.megabytes()
    # all are open for a while: a reply takes three seconds
    running = asyncio.create_task(arriving(server.request(PACED), turns=STREAMS, per_second=100))
    await asyncio.sleep(2.5)
    grown = server.megabytes() - idle
    checked(await running, server)
    return {"idle_mb": idle, "stream_kb": grown * 1024 / STREAMS, "start": server.start_seconds}


Scenario = Callable[[Contender], Awaitable[Figures]]
ONCE: Sequence[Scenario] = (memory,)
EACH_ROUND: Sequence[Scenario] = (alone, burst, paced, delayed, opened)


async def by_turns(
    servers: Sequence[Contender],
    rounds: int,
    scenarios: Sequence[Scenario] = EACH_ROUND,
    once: Sequence[Scenario] = ONCE,
    may_fail: Collection[str] = (),
) -> Samples:
    """Measure all servers: what is measured `once`, then `rounds` rounds of `scenarios`. Figures are missing where a
    server that `may_fail` does not answer all requests in time."""
    samples: Samples = {server.name: {} for server in servers}

    async def measure(scenario: Scenario) -> None:
        for server in servers:
            await asyncio.sleep(CALM_SECONDS)
            try:
                figures = await scenario(server)
            except (TimeoutError, OSError, SystemExit) as error:
                if server.name not in may_fail:
                    raise
                print(f"{server.name} does not keep up: {error or type(error).__name__}", flush=True)
                continue
            for figure, value in figures.items():
                samples[server.name].setdefault(figure, []).append(value)

    started = time.monotonic()
    for scenario in once:
        await measure(scenario)
    for number in range(rounds):
        for scenario in scenarios:
            await measure(scenario)
        print(f"round {number + 1} of {rounds}, {time.monotonic() - started:.0f} s", flush=True)
    return samples


def medians(samples: Samples) -> dict[str, Figures]:
    return {
        name: {figure: statistics.median(values) for figure, values in figures.items()}
        for name, figures in samples.items()
    }


def table(samples: Samples, to: str) -> Iterable[str]:
    """Lines: the medians of each server, and their ratios to those of the server `to`."""
    found = medians(samples)
    base = found[to]
    width = max(map(len, found)) + 2
    yield "".join(f"{'':42}") + "".join(f"{name:>{width + 9}}" for name in found)
    for figure, (label, unit) in LABELS.items():
        if figure not in base:
            continue
        cells = []
        for name in found:
            value = found[name].get(figure)
            if value is None:
                cells.append(f"{'-':>{width + 9}}")
                continue
            ratio = f" ({value / base[figure]:.2f})" if base.get(figure) else ""
            cells.append(f"{f'{value:.2f} {unit}{ratio}':>{width + 9}}")
        yield f"{label:42}" + "".join(cells)
