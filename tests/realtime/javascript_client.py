"""Scripts of the official JavaScript client, run by Node, and what they have seen."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from scripts.local_supabase.node import NODE, REPOSITORY
from tests.realtime.people import Someone

SCRIPTS = Path(__file__).parent / "javascript"
PATIENCE_SECONDS = 20.0


class Scenario:
    """A running script, such as a scenario of `scenarios.mjs`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ready(self) -> None:
        """Wait until it says that it is where it must be."""
        assert await self.seen() == "ready"

    async def asked(self, order: str) -> Any:
        """What it answers to a line of its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{order}\n".encode())
        return await self.seen()

    async def seen(self) -> Any:
        """What it has seen."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(PATIENCE_SECONDS):
            line = await self._process.stdout.readline()
            assert line, (await self._process.stderr.read()).decode()
        return json.loads(line)


def scenario(name: str, settings: dict[str, Any], **more: Any) -> AbstractAsyncContextManager[Scenario]:
    return script("scenarios.mjs", name, json.dumps({**settings, **more}))


@asynccontextmanager
async def script(file: str, *arguments: str) -> AsyncGenerator[Scenario]:
    """One of the scripts, running."""
    process = await asyncio.create_subprocess_exec(
        NODE,
        SCRIPTS / file,
        *arguments,
        cwd=REPOSITORY,
        limit=1_000_000,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Scenario(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def outcome(name: str, settings: dict[str, Any], **more: Any) -> Any:
    async with scenario(name, settings, **more) as running:
        return await running.seen()


def about(owner: Someone, **more: Any) -> dict[str, Any]:
    return {"owner": owner.token, "topic": owner.topic, **more}
