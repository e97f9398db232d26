"""The bystander: another user, who sends messages, reads a stream and looks at the health while an attack runs.

`python -m scripts.attack.bystander` is a process of its own, so that the work of the attacker does not count as the
service's. It reads one line of JSON with `url` and `token`, measures until its standard input ends, and then prints
`Measured` as JSON.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import aiohttp

from scripts.local_supabase.node import REPOSITORY

PAUSE_SECONDS = 0.1
SENDS_OF_A_CONVERSATION = 20
TURN_SECONDS = 30
STREAM_TOKENS, STREAM_GAP_SECONDS = 100, 0.05


@dataclass
class Measured:
    """Seconds until the first token of each send, until each answer about the health, and between two pieces of a slow
    stream; what failed."""

    first_token: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20, method="inclusive")[-1] if len(seconds) > 1 else sum(seconds)


@asynccontextmanager
async def watching(url: str, token: str) -> AsyncGenerator[Measured]:
    """A bystander for the time of the block. What was measured is there after it."""
    measured = Measured()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "scripts.attack.bystander",
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps({"url": url, "token": token}).encode() + b"\n")
        await process.stdin.drain()
        yield measured
        process.stdin.close()
        output, _ = await asyncio.wait_for(process.communicate(), TURN_SECONDS * 2)
        for name, values in json.loads(output).items():
            getattr(measured, name).extend(values)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Bystander:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self._ended = asyncio.Event()
        self.measured = Measured()

    async def run(self) -> None:
        """Measure until the standard input ends."""
        tasks = [asyncio.create_task(measure()) for measure in (self._sends, self._health, self._stream)]
        await asyncio.to_thread(sys.stdin.read)
        self._ended.set()
        await asyncio.gather(*tasks)

    async def _sends(self) -> None:
        count, conversation = 0, ""
        while not self._ended.is_set():
            started = time.perf_counter()
            try:
                if count % SENDS_OF_A_CONVERSATION == 0:
                    conversation = await self._conversation()
                    started = time.perf_counter()
                count += 1
                pieces = [at async for at in self._send(conversation, {"tokens": 5})]
                self.measured.first_token.append(pieces[0] - started)
            except (aiohttp.ClientError, TimeoutError, IndexError, Refused) as error:
                self.measured.failed.append(f"a send after {time.perf_counter() - started:.1f} s: {error!r}")
            await self._pause()

    async def _health(self) -> None:
        while not self._ended.is_set():
            started = time.perf_counter()
            try:
                async with self._session.get("/health/live") as answer:
                    await answer.read()
                self.measured.health.append(time.perf_counter() - started)
            except (aiohttp.ClientError, TimeoutError) as error:
                self.measured.failed.append(f"health after {time.perf_counter() - started:.1f} s: {error!r}")
            await self._pause()

    async def _stream(self) -> None:
        script = {"tokens": STREAM_TOKENS, "gap": STREAM_GAP_SECONDS}
        while not self._ended.is_set():
            before = None
            try:
                async for at in self._send(await self._conversation(), script):
                    if before is not None:
                        self.measured.pauses.append(at - before)
                    before = at
                    if self._ended.is_set():
                        break
            except (aiohttp.ClientError, TimeoutError, Refused) as error:
                self.measured.failed.append(f"a stream: {error!r}")
                await self._pause()

    async def _conversation(self) -> str:
        async with self._session.post("/v1/conversations", json={}) as answer:
            if answer.status != 201:
                raise Refused(await answer.text())
            return str((await answer.json())["id"])

    async def _send(self, conversation: str, script: dict[str, Any]) -> AsyncIterator[float]:
        """When each piece of the reply came."""
        path = f"/v1/conversations/{conversation}/messages"
        headers = {"Accept": "text/event-stream"}
        async with self._session.post(path, json={"content": json.dumps(script)}, headers=headers) as answer:
            if answer.status != 200:
                raise Refused(await answer.text())
            async for line in answer.content:
                if line.startswith(b"event: delta"):
                    yield time.perf_counter()

    async def _pause(self) -> None:
        await asyncio.sleep(PAUSE_SECONDS)


class Refused(Exception):
    """An answer that is no success; its body."""


async def main() -> None:
    told = json.loads(sys.stdin.readline())
    async with aiohttp.ClientSession(
        told["url"],
        headers={"Authorization": f"Bearer {told['token']}"},
        timeout=aiohttp.ClientTimeout(total=TURN_SECONDS),
    ) as session:
        bystander = Bystander(session)
        await bystander.run()
    print(json.dumps(asdict(bystander.measured)))


if __name__ == "__main__":
    asyncio.run(main())
