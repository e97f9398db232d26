"""What one token and one turn cost, in counts instead of times: nothing here depends on how busy the machine is.

The provider sends a token only after its reader has received the one before, so that no two of them are handled
together. Two counts inside one reply differ by the tokens between them. When a count grows, either the
change is worth it, and its number here is raised with it, or something has crept into the token path.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager

import psutil
import pytest

from scripts.bench.servers import ROOT, Beside, Contender, beside, sending, settings_of, wait_for
from scripts.local_supabase.processes import free_port
from tests.support.upstream import MODEL, Upstream

FROM, TO = 20, 220
BUDGET = {"tasks": 0.0, "wakeups": 1.0, "callbacks": 1.0, "reads": 1.0, "writes": 1.0, "calls": 43.0, "blocks": 2.0}
"""Of one token. `calls` are of Python functions, 20 of them in asyncio's own loop, which is not used else. `blocks` of
memory stay until the end: its text, in the list of pieces that have not been joined yet."""
SPARE = {"tasks": 0.1, "wakeups": 0.3, "callbacks": 0.5, "reads": 0.2, "writes": 0.2, "calls": 6.0, "blocks": 3.0}
"""For the jobs that run beside the reply: the journal, the watch over the readers, recovery."""


OF_A_TURN = {"tasks": 3.0, "writes": 6.0, "calls": 1510.0, "circles": 7.0}
"""Of a turn of one token on a connection of its own. The circles are asyncio's: its transports refer to themselves."""
SPARE_OF_A_TURN = {"tasks": 0.5, "writes": 1.0, "calls": 160.0, "circles": 1.0}
TURNS = 30


class Counted:
    """An API whose counts can be read."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def counts(self) -> dict[str, int]:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write("\n")
        self._child.stdin.flush()
        counted: dict[str, int] = json.loads(self._child.stdout.readline())
        return counted


@pytest.fixture
def ports() -> Iterator[Beside]:
    with beside() as ports:
        yield ports


async def counts_within_a_reply(upstream: Upstream, server: Contender, counted: Counted) -> dict[str, float]:
    """The counts of a token between `FROM` and `TO`. The provider waits until each token has been read."""
    upstream.script = {"tokens": TO + 1, "stepped": True, "id": "counted"}
    request = server.request(MODEL)
    reader, writer = await asyncio.open_connection("127.0.0.1", request.port)
    writer.write(request.of(0))
    call = await upstream.call("counted")
    seen = b""
    counts = []
    for number in range(TO + 1):
        call.step()
        while b"tok%d " % number not in seen:
            piece = await reader.read(65_536)
            assert piece, seen
            seen = seen[-1000:] + piece
        if number in (FROM, TO):
            counts.append(await asyncio.to_thread(counted.counts))
    writer.close()
    await writer.wait_closed()
    before, after = counts
    return {name: (after[name] - before[name]) / (TO - FROM) for name in BUDGET}


@asynccontextmanager
async def counting(ports: Beside) -> AsyncGenerator[tuple[Upstream, Contender, Counted]]:
    port = free_port()
    async with Upstream() as upstream:
        # the journal is rare, so that it does not matter how long the test takes
        env = settings_of(ports, port) | {
            "OPENAI_BASE_URL": upstream.url,
            "OPENAI_MODEL": MODEL,
            "JOURNAL_INTERVAL_MS": "5000",
        }
        with subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            (sys.executable, "-m", "tests.support.counted"),
            cwd=ROOT,
            env=os.environ | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as child:
            try:
                await asyncio.to_thread(wait_for, f"http://127.0.0.1:{port}/health/ready")
                process = psutil.Process(child.pid)
                server = Contender("counted", process, port, 0.0, sending(ports), {"content": "Hello"})
                yield upstream, server, Counted(child)
            finally:
                child.terminate()
                await asyncio.to_thread(child.wait, 30)


async def test_a_token_and_a_turn_cost_no_more_than_their_budgets(ports: Beside) -> None:
    async with counting(ports) as (upstream, server, counted):
        of_a_token = await counts_within_a_reply(upstream, server, counted)
        of_a_turn = await counts_of_turns(upstream, server, counted)

    for measured, budget, spare in ((of_a_token, BUDGET, SPARE), (of_a_turn, OF_A_TURN, SPARE_OF_A_TURN)):
        over = {name: cost for name, cost in measured.items() if cost > budget[name] + spare[name]}
        assert not over, f"{over}: the budget is {budget}; measured {measured}"


async def counts_of_turns(upstream: Upstream, server: Contender, counted: Counted) -> dict[str, float]:
    """The counts of a turn, one after the other, each on a connection of its own."""
    upstream.script = {"tokens": 1}
    request = server.request(MODEL)
    counts = []
    for number in range(TURNS + 10):
        reader, writer = await asyncio.open_connection("127.0.0.1", request.port)
        writer.write(request.of(0))
        await reader.readuntil(b"0\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        if number in (9, TURNS + 9):
            counts.append(await asyncio.to_thread(counted.counts))
    before, after = counts
    return {name: (after[name] - before[name]) / TURNS for name in OF_A_TURN}
