"""A device that has Realtime and REST and no event stream, and follows the recipe of docs/realtime.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from websockets.exceptions import WebSocketException

from scripts.local_supabase import LocalSupabase
from tests.support.replica_client import Client, Origin
from tests.support.sockets import PATIENCE_SECONDS, Socket, connected

_ENDINGS = {"message.completed", "message.stopped", "message.failed", "message.interrupted"}


@dataclass
class Held:
    """What the device shows of a message."""

    parent: str | None
    role: str
    content: str
    status: str
    seq: int
    reasoning: str = ""


class Device:
    """Holds the messages of one conversation. `run` keeps them true for as long as it runs; `shown` are those of the
    branch that is shown, which the newest message ends unless another one was chosen."""

    def __init__(self, stack: LocalSupabase, client: Client, api: Origin, conversation: str) -> None:
        self.messages: dict[str, Held] = {}
        self.connections = 0
        self._head: str | None = None
        self._stack = stack
        self._client = client
        self._api = api
        self.conversation = conversation
        self._socket: Socket | None = None
        self._changed = asyncio.Condition()

    async def run(self) -> None:
        while True:
            try:
                await self._connection()
            except (OSError, WebSocketException, aiohttp.ClientError):
                # dropped, or Realtime or the API is away: it comes back after a moment
                await asyncio.sleep(0.02)

    def drop(self) -> None:
        """Lose the connection, as in a tunnel."""
        assert self._socket is not None
        self._socket.connection.transport.abort()

    async def until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(3 * PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(true)

    async def joined(self, times: int = 1) -> None:
        await self.until(lambda: self.connections >= times)

    async def ended(self, message: str) -> Held:
        await self.until(lambda: message in self.messages and self.messages[message].status != "streaming")
        return self.messages[message]

    @property
    def shown(self) -> list[str]:
        """The ids of the branch, oldest first."""
        path: list[str] = []
        at = self._head
        while at is not None and at in self.messages:
            path.insert(0, at)
            at = self.messages[at].parent
        return path

    async def _connection(self) -> None:
        async with connected(self._stack.url, self._stack.publishable_key) as socket:
            topic = f"conversation:{self.conversation}"
            answer = await socket.join(topic, private=True, token=self._client.person.token)
            if answer["status"] != "ok":
                raise ConnectionError(answer)
            self._socket = socket
            # what is said from here on waits in the socket until the snapshot is there
            self.messages = {}
            await self._read_branch()
            self.connections += 1
            while True:
                await self._notify()
                payload = await self._heard(socket)
                await self._apply(payload["event"], payload["payload"])

    async def _heard(self, socket: Socket) -> dict[str, Any]:
        """The next broadcast. Where none comes, heartbeats show that there is still a server. Raises TimeoutError
        when there is none."""
        while True:
            try:
                payload: dict[str, Any] = (await socket.next("broadcast")).payload
            except TimeoutError:
                await socket.reply(await socket.push("phoenix", "heartbeat", {}))
            else:
                return payload

    async def _read_branch(self) -> None:
        status, page, _ = await self._client.call(
            self._api, "GET", f"/v1/conversations/{self.conversation}/messages?limit=100"
        )
        if status != 200:
            raise ConnectionError(page)
        rows = page["items"]
        for row in rows:
            self._take(row)
        self._head = rows[-1]["id"] if rows else None

    async def _show(self, head: str | None) -> None:
        self._head = head
        path = self.shown
        if head is not None and (not path or self.messages[path[0]].parent is not None):  # not all of it is held
            await self._read_branch()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _take(self, row: dict[str, Any]) -> None:
        held = self.messages.get(row["id"])
        if held is None or row["seq"] >= held.seq:
            self.messages[row["id"]] = Held(
                row["parent_id"], row["role"], row["content"], row["status"], row["seq"], row["reasoning"]
            )

    async def _read(self, message: str) -> None:
        status, row, _ = await self._client.call(self._api, "GET", f"/v1/messages/{message}")
        if status == 200:
            self._take(row)
        elif status != 404:
            raise ConnectionError(row)

    async def _apply(self, event: str, payload: dict[str, Any]) -> None:
        if event == "head.changed":
            await self._show(payload["head_id"])
            return
        message = payload["message_id"]
        held = self.messages.get(message)
        if event == "message.deleted":
            self.messages.pop(message, None)
        elif event in ("message.created", "message.started"):
            if held is None and payload["content"] is not None:
                self.messages[message] = Held(
                    payload["parent_id"], payload["role"], payload["content"], payload["status"], payload["seq"]
                )
            elif held is None:
                await self._read(message)
            await self._show(message)
        elif held is None:
            await self._read(message)
        elif event == "message.delta":
            reasoning = payload.get("reasoning", "")
            if payload["seq"] == held.seq + 1 and None not in (payload["text"], reasoning):
                held.content += payload["text"]
                held.reasoning += reasoning
                held.seq = payload["seq"]
            elif payload["seq"] > held.seq:
                await self._read(message)
        elif event in _ENDINGS:
            if payload["seq"] == held.seq:
                held.status = payload["status"]
            elif payload["seq"] > held.seq:
                await self._read(message)


@asynccontextmanager
async def running(device: Device) -> AsyncGenerator[Device]:
    """The device, on until the block ends."""
    task = asyncio.create_task(device.run())
    try:
        yield device
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
