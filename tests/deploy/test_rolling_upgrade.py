"""A rolling upgrade and a rollback: the code of the last release and this one, on one database, behind a balancer.

A replica of one version is drained while one of the other takes over. Nobody loses a reply, and none is written twice.
"""

from __future__ import annotations

import asyncio
import io
import subprocess
import uuid
import zipfile
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import cycle
from pathlib import Path

import aiohttp
import pytest

from scripts.calls.tape import recordings
from scripts.install.command import REPOSITORY
from scripts.local_supabase.processes import free_port
from tests.deploy.conftest import Tools, caddy
from tests.support.cluster import Cluster
from tests.support.replica_client import Client, Origin, Transcript, eventually, read
from tests.support.rows import Rows
from tests.support.service import Api

Balancer = Callable[[int, int, Path], AbstractAsyncContextManager[Origin]]
DEVICES = 8
TOKENS = 20
REPLY = {"tokens": TOKENS, "stepped": True}
"""The test says when each token comes, so that replies are written while a replica is drained."""


def git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def last_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of the last release: as it was when its calls were recorded."""
    newest = max((recording.release for recording in recordings()), key=lambda text: [*map(int, text.split("."))])
    try:
        file = f"tests/database/calls-{newest}.json"
        commit = git("log", "--diff-filter=A", "--format=%H", "--", file).decode().split()[-1]
        archive = git("archive", "--format=zip", commit, "app", "supabase")
    except (OSError, subprocess.CalledProcessError, IndexError):
        pytest.skip("this folder has no history of the last release")
    folder = tmp_path_factory.mktemp("last-release")
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        files.extractall(folder)
    return folder


class Replicas:
    """The next replica at each look, whether it runs or not: a balancer that knows nothing of health."""

    def __init__(self, *ports: int) -> None:
        self._urls = cycle(f"http://127.0.0.1:{port}" for port in ports)

    @property
    def url(self) -> str:
        return next(self._urls)


@asynccontextmanager
async def unaware(first: int, second: int, _: Path) -> AsyncGenerator[Origin]:
    yield Replicas(first, second)


class Devices:
    """Readers behind the proxy. Each sends a message, and reads its reply until it has the end."""

    def __init__(self, client: Client, front: Origin, conversation: str) -> None:
        self._client = client
        self._front = front
        self._conversation = conversation
        self.transcripts: list[Transcript] = []
        self._reading: list[asyncio.Task[None]] = []

    def send(self, count: int) -> None:
        for _ in range(count):
            self.transcripts.append(transcript := Transcript())
            self._reading.append(asyncio.create_task(self._turn(transcript)))

    @property
    def reconnects(self) -> int:
        """How often a stream has told its reader to come back."""
        return sum(transcript.reconnects for transcript in self.transcripts)

    async def all_have_ended(self) -> None:
        await asyncio.gather(*self._reading)

    async def _turn(self, transcript: Transcript) -> None:
        """As a client does: a refused or lost request is sent again with its key, a stream that ends is read on."""
        key = str(uuid.uuid4())
        while transcript.ending is None:
            try:
                if transcript.message_id is not None:
                    await self._client.follow(self._front, transcript.message_id, transcript)
                    continue
                async with self._client.sending(
                    self._front, self._conversation, REPLY, Idempotency_Key=key
                ) as response:
                    if response.status == 200:
                        await read(response, transcript)
                    else:
                        assert response.status in (502, 503), await response.text()
                        await asyncio.sleep(0.1)
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)


async def test_replies_survive_an_upgrade_and_a_rollback(
    last_release: Path, own: Cluster, rows: Rows, tmp_path: Path
) -> None:
    await upgraded_and_back(unaware, last_release, own, rows, tmp_path)


async def test_replies_survive_them_behind_a_real_proxy(
    tools: Tools, last_release: Path, own: Cluster, rows: Rows, tmp_path: Path
) -> None:
    await upgraded_and_back(caddy, last_release, own, rows, tmp_path)


async def under_way(devices: Devices, own: Cluster) -> None:
    """Send, and have the first token of each reply come."""
    begun = len(own.upstream.calls)
    devices.send(DEVICES)
    await eventually(lambda: len(own.upstream.calls) == begun + DEVICES, within=60)
    for call in own.upstream.calls[begun:]:
        call.step()
    await eventually(lambda: all(transcript.text for transcript in devices.transcripts), within=60)


async def hand_over(ending: Api, devices: Devices, own: Cluster) -> None:
    """Drain a replica while its replies are written, and send more meanwhile, to whichever takes it."""
    written, told = own.upstream.calls[-DEVICES:], devices.reconnects
    ending.terminate()
    devices.send(DEVICES // 2)
    # it has begun to drain: its readers are told to come back, and what it writes goes on meanwhile
    await eventually(lambda: devices.reconnects >= told + DEVICES, within=60)
    for call in written:
        call.step(TOKENS)
    begun = DEVICES + DEVICES // 2
    await eventually(lambda: len(own.upstream.calls) % begun == 0, within=60)
    for call in own.upstream.calls[-DEVICES // 2 :]:
        call.step(TOKENS)
    assert await ending.ended(20) == 0
    await devices.all_have_ended()


async def upgraded_and_back(running: Balancer, last_release: Path, own: Cluster, rows: Rows, folder: Path) -> None:
    ports = free_port(), free_port()
    old = await own.replica(code=str(last_release), PARLEY_PORT=str(ports[0]))
    client = await own.client()
    async with running(*ports, folder) as front:
        devices = Devices(client, front, await client.new_conversation(old))
        await under_way(devices, own)
        new = await own.replica(PARLEY_PORT=str(ports[1]))
        await hand_over(old, devices, own)
        # the way back: the migrations stay
        await under_way(devices, own)
        old = await own.replica(code=str(last_release), PARLEY_PORT=str(ports[0]))
        await hand_over(new, devices, own)
    stored = rows.of(client.person.id, "assistant")
    assert len(stored) == len(devices.transcripts) == 3 * DEVICES
    assert {row["status"] for row in stored} == {"complete"}
    for transcript in devices.transcripts:
        assert transcript.text == rows.message(transcript.message_id)["content"]
    assert len(own.upstream.calls) == 3 * DEVICES
