"""`make bench`: whole stored turns beside two floors that store nothing, by turns; the three surfaces, by turns; the
journal's calls; 5,000 followers.

The servers run on one core, the clients, the fake provider and a stub of Supabase on another, if there are two.
"""

from __future__ import annotations

import argparse
import asyncio
import time

import psutil
import uvloop

from scripts.bench.followers import REPLIES, followed
from scripts.bench.load import arriving
from scripts.bench.scenarios import burst, by_turns, checked, paced, table
from scripts.bench.servers import LOAD_CORE, Contender, beside, calls, floor, parley, pin, surfaces

ROUNDS = 3
BARE = "bare aiohttp"
LITESTAR = "minimal Litestar"


async def journal(server: Contender, supabase_port: int) -> None:
    """The journal's calls a second with 10, 100 and 500 streams."""
    for streams in (10, 100, 500):
        running = asyncio.create_task(arriving(server.request("fake-200-50-0"), turns=streams, per_second=10_000))
        await asyncio.sleep(2)
        before, started = calls(supabase_port), time.monotonic()
        await asyncio.sleep(6)
        counted, seconds = calls(supabase_port), time.monotonic() - started
        rate = (counted["journal_write"] - before["journal_write"]) / seconds
        print(f"journal, {streams:3d} streams: {rate:4.2f} calls a second")
        checked(await running, server)


async def measure(rounds: int) -> None:
    pin(psutil.Process(), LOAD_CORE)
    with (
        beside() as ports,
        parley(ports) as own,
        floor("bare", BARE, ports) as bare,
        floor("litestar", LITESTAR, ports) as litestar,
    ):
        samples = await by_turns([bare, litestar, own], rounds)
        print("\n".join(table(samples, BARE)))
        counted = calls(ports.supabase)
        others = {
            name: round(count / counted["begin_turn"], 2) for name, count in counted.items() if name != "begin_turn"
        }
        print(f"database calls a turn: begin_turn 1, others {others}")
        by_surface = await by_turns(surfaces(ports, own), rounds, (burst, paced), once=())
        print("\n".join(table(by_surface, own.name)))
        await journal(own, ports.supabase)
    with beside() as ports, parley(ports) as fresh:
        figures = await followed(fresh, ports)
        print(
            f"{figures['followers']:.0f} followers of {REPLIES} replies: {figures['followed_mb']:.0f} MB, "
            f"{figures['follower_kb']:.1f} KB a follower"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each measurement ({ROUNDS})")
    uvloop.run(measure(parser.parse_args().rounds))
