"""The world that the state machine acts in: replicas that die and come back, databases that go away,
and devices that read. It lives on a loop in a thread, so that reading goes on between the machine's steps."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp

from scripts.local_supabase import LocalSupabase
from tests.support.cluster import Cluster, cluster
from tests.support.proxy import Proxy
from tests.support.replica_client import Client, Transcript, events
from tests.support.service import Api
from tests.support.upstream import Upstream

T = TypeVar("T")
STEP_SECONDS = 30


@dataclass
class Slot:
    """A place for a replica, with its own way to the database."""

    database: Proxy
    api: Api

    @property
    def url(self) -> str:
        return self.api.url

    @property
    def alive(self) -> bool:
        return self.api.process.poll() is None


@dataclass
class Refusal:
    """A request that was answered with a problem, or with nothing."""

    status: int | None = None
    code: str | None = None
    """None when the connection was lost: nobody knows what became of the request."""


@dataclass(eq=False)
class Device:
    """Somebody who reads a reply. `transcript` grows while the machine does other things."""

    transcript: Transcript
    headers: dict[str, str] = field(default_factory=dict)
    refusal: Refusal | None = None
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    """It is known what became of the request."""
    reading: asyncio.Task[None] | None = None

    async def read(self, request: Any) -> None:
        try:
            async with request as response:
                self.headers = {name.lower(): value for name, value in response.headers.items()}
                if response.status != 200:
                    self.refusal = Refusal(response.status, (await response.json(content_type=None))["code"])
                    return
                async for event in events(response):
                    self.transcript.take(event)
                    self.opened.set()
        except aiohttp.ClientError:
            if not self.transcript.events:
                self.refusal = Refusal()
        finally:
            self.opened.set()

    def leave(self) -> None:
        assert self.reading is not None
        self.reading.cancel()


class World:
    """Use it as a context manager; everything else is called from the machine's thread, by `run`."""

    def __init__(self, stack: LocalSupabase, folder: Path) -> None:
        self.stack = stack
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._owned = AsyncExitStack()
        self.slots: list[Slot] = []
        self.devices: list[Device] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self._owned.aclose())
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(STEP_SECONDS)

    async def _start(self) -> None:
        self._cluster: Cluster = await self._owned.enter_async_context(cluster(self.stack, self._folder))
        for _ in range(2):
            database = await self._cluster.database()
            self.slots.append(Slot(database, await self._cluster.replica(database)))

    @property
    def upstream(self) -> Upstream:
        return self._cluster.upstream

    async def client(self) -> Client:
        return await self._cluster.client()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin something whose end is not waited for now."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def call(self, function: Callable[[], None]) -> None:
        async def called() -> None:
            function()

        self.run(called())

    def lose_database(self, slot: Slot, seconds: float) -> None:
        async def lose() -> None:
            slot.database.down()
            asyncio.get_running_loop().call_later(seconds, slot.database.up)

        self.run(lose())

    def sleep(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    def device(self, transcript: Transcript, request: Any) -> Device:
        """Begin to read; return once it is known whether there is something to read."""

        async def begin() -> Device:
            device = Device(transcript)
            device.reading = asyncio.create_task(device.read(request))
            await device.opened.wait()
            return device

        device = self.run(begin())
        self.devices.append(device)
        return device

    def restart(self, slot: Slot) -> None:
        self.call(slot.database.up)
        slot.api = self.run(self._cluster.replica(slot.database))

    def settle(self) -> list[Device]:
        """Everything works again, and everybody reads on until the connection they are on ends."""
        for slot in self.slots:
            self.call(slot.database.up)
            if not slot.alive:
                self.restart(slot)

        async def finish(device: Device) -> None:
            assert device.reading is not None
            with suppress(asyncio.CancelledError):
                await device.reading

        async def finish_all() -> None:
            await asyncio.gather(*map(finish, self.devices))

        self.run(finish_all())
        devices, self.devices = self.devices, []
        return devices
