"""Reads untrusted files, each in a process of its own: slow, huge or malicious ones hurt nobody else."""

from __future__ import annotations

import asyncio
import os
import sys

import msgspec

from app.errors import Draining, InvalidRequest, PayloadTooLarge
from app.retrieval.worker import Read, Task

SECONDS = 90.0
"""By the clock; the process has its own limit of CPU time."""
AT_ONCE = 2
WAITING_BYTES = 256_000_000
"""Files that wait for their turn; more are refused."""
LEAST_BYTES = 1_000_000
"""What any file counts as: small ones take their time, too."""
CHARACTERS_PER_PASSAGE = 4000
"""Hardly any passage is longer: text beyond this times the limit of passages need not even be cut."""


class FileReader:
    """Files into passages."""

    def __init__(self, *, max_passages: int) -> None:
        self._max_passages = max_passages
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def read(self, data: bytes, media_type: str, charset: str | None = None) -> Read:
        """The passages of a file. Raises `InvalidRequest`, `PayloadTooLarge`, or `Draining` when too many wait."""
        size = max(len(data), LEAST_BYTES)
        if self._waiting + size > WAITING_BYTES:
            raise Draining("This server reads as many documents as it can; send the request again.", retry_after=5)
        self._waiting += size
        try:
            async with self._turn:
                answer = await self._in_worker(data, media_type, charset)
        finally:
            self._waiting -= size
        if answer.error is not None:
            if answer.too_large:
                raise PayloadTooLarge(answer.error)
            raise InvalidRequest(answer.error, status=422)
        return answer

    async def _in_worker(self, data: bytes, media_type: str, charset: str | None) -> Read:
        task = Task(media_type, charset, self._max_passages, self._max_passages * CHARACTERS_PER_PASSAGE)
        # nothing of our environment: it holds keys
        environment = {name: os.environ[name] for name in ("PATH", "LANG", "PYTHONPATH") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app.retrieval.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=environment,
        )
        try:
            async with asyncio.timeout(SECONDS):
                output, _ = await process.communicate(msgspec.json.encode(task) + b"\n" + data)
        except TimeoutError:
            return Read(error="The document takes too long to be read.")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        try:
            return msgspec.json.decode(output, type=Read)
        except msgspec.DecodeError:
            # killed by its limits, or by the file
            return Read(error="The document is damaged or too complex to be read.")
