"""Reads untrusted files, each in a process of its own: slow, huge or malicious ones hurt nobody else.

One user's files use a part of the processes only, so that other users' files do not wait for them.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter

import msgspec

from app.errors import Draining, RateLimited
from app.lanes import Lane
from app.retrieval.worker import Read, Task

AT_ONCE, OF_A_USER = 3, 2
WAITING = 50
"""Files of one user that wait; more are refused."""
WAIT_SECONDS = 60.0
"""How long a file waits for its turn, at most."""
WAITING_BYTES, WAITING_BYTES_OF_A_USER = 256_000_000, 64_000_000
"""Bytes of files that wait or are read; more are refused. A user's only file may be larger than the second number."""
LEAST_BYTES = 1_000_000
"""What any file counts as: small ones take their time, too."""
CLOCK = 3
"""Reading may take this many times its processor time by the clock, because the machine may be busy."""
CHARACTERS_PER_PASSAGE = 4000
"""Hardly any passage is longer: text beyond this times the limit of passages need not even be cut."""


class FileReader:
    """Files into passages. A file has `seconds` of processor time."""

    def __init__(self, *, max_passages: int, seconds: int) -> None:
        self._max_passages = max_passages
        self._seconds = seconds
        self.lane = Lane(
            at_once=AT_ONCE,
            share=OF_A_USER,
            waiting=WAITING,
            waiting_of_all=WAITING_BYTES // LEAST_BYTES,
            seconds=WAIT_SECONDS,
            what="documents",
            full=_full,
        )
        self._waiting: Counter[str] = Counter()

    async def read(self, user_id: str, data: bytes, media_type: str, charset: str | None = None) -> Read:
        """The passages of a file, or why there are none, and the processor time that it took. Raises `RateLimited` when
        too many of the user's files wait, or `Draining` when too many of all do."""
        size = max(len(data), LEAST_BYTES)
        if self._waiting[user_id] and self._waiting[user_id] + size > WAITING_BYTES_OF_A_USER:
            most = WAITING_BYTES_OF_A_USER
            raise RateLimited(f"Of one user's documents, {most} bytes wait; send the request again.", retry_after=5)
        if self._waiting.total() + size > WAITING_BYTES:
            raise _full()
        self._waiting[user_id] += size
        try:
            await self.lane.enter(user_id)
            try:
                return await self._in_worker(data, media_type, charset)
            finally:
                self.lane.leave(user_id)
        finally:
            self._waiting[user_id] -= size
            if not self._waiting[user_id]:
                del self._waiting[user_id]

    async def _in_worker(self, data: bytes, media_type: str, charset: str | None) -> Read:
        most_characters = self._max_passages * CHARACTERS_PER_PASSAGE
        task = Task(media_type, charset, self._max_passages, most_characters, self._seconds)
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
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._seconds * CLOCK):
                output, _ = await process.communicate(msgspec.json.encode(task) + b"\n" + data)
        except TimeoutError:
            return self._took_too_long()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == -signal.SIGXCPU:
            return self._took_too_long()
        try:
            return msgspec.json.decode(output, type=Read)
        except msgspec.DecodeError:
            # ended by its memory's limit, or by the file
            seconds = min(time.monotonic() - started, self._seconds)
            return Read(error="The document is damaged or too complex to be read.", seconds=seconds)

    def _took_too_long(self) -> Read:
        error = f"The document takes more than {self._seconds} s to be read, which is the limit."
        return Read(error=error, seconds=self._seconds)


def _full() -> Draining:
    return Draining("This server reads as many documents as it can; send the request again.", retry_after=5)
