"""Lets the bench's clients send turns to Open WebUI as its own page does, which is when it stores them.

`python -m scripts.bench.peers.webui_bridge PORT WEBUI_PORT`. A turn of the page is two things: a request that begins a
new chat, and the events of a Socket.IO connection, which bring the reply. Here each is one request for a stream, as the
other servers have it. Runs on the core of the clients, so that it is no part of what is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from typing import Any, ClassVar

import aiohttp
import uvloop

from scripts.bench.upstream import HEAD, LIFETIME_SECONDS, chunk
from scripts.bench.wire import Connection

DELTA = "response.output_text.delta"
DONE = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class WebUI:
    """Open WebUI at `url`, as its only user, with one page open."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._session = session
        self._readers: dict[str, Reader] = {}
        """Who waits for the reply with this id."""
        self._headers: dict[str, str] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def open(self) -> None:
        """Sign in and open the connection of Socket.IO (Engine.IO 4: `40` connects, `2` and `3` are ping and pong)."""
        nobody = {"email": "", "password": ""}
        async with self._session.post(f"{self._url}/api/v1/auths/signin", json=nobody) as answer:
            token = (await answer.json())["token"]
        self._headers = {"Authorization": f"Bearer {token}"}
        # it knows its models only once somebody has asked for them
        async with self._session.get(f"{self._url}/api/models", headers=self._headers) as answer:
            answer.raise_for_status()
        self._socket = await self._session.ws_connect(
            f"{self._url}/ws/socket.io/?EIO=4&transport=websocket", max_msg_size=0
        )
        await self._socket.receive_str()
        await self._socket.send_str("40" + json.dumps({"token": token}))

    async def listen(self) -> None:
        """Pass what the events bring to those who wait for it."""
        assert self._socket is not None
        async for message in self._socket:
            if message.data == "2":
                await self._socket.send_str("3")
            elif message.data.startswith('42["events",'):
                event = json.loads(message.data[2:])[1]
                if reader := self._readers.get(event["message_id"]):
                    reader.take(event["data"])

    async def turn(self, reader: Reader, asked: dict[str, Any]) -> None:
        question, reply = str(uuid.uuid4()), str(uuid.uuid4())
        said = asked["messages"][-1]
        body = {
            "model": asked["model"],
            "stream": True,
            "messages": [said],
            "parent_id": None,
            "id": reply,
            "session_id": "bench",
            "user_message": {**said, "id": question, "parentId": None, "timestamp": int(time.time())},
        }
        self._readers[reply] = reader
        try:
            async with self._session.post(
                f"{self._url}/api/chat/completions", json=body, headers=self._headers
            ) as answer:
                if answer.status != 200:
                    reader.reply(await answer.read(), b"502 Bad Gateway")
                    return
            await reader.ended.wait()
        except aiohttp.ClientError as error:
            reader.reply(str(error).encode(), b"502 Bad Gateway")
        finally:
            del self._readers[reply]


class Reader(Connection):
    """A client of the bench."""

    webui: ClassVar[WebUI]
    tasks: ClassVar[set[asyncio.Task[None]]] = set()

    def handle(self, path: bytes, head: bytes, body: bytes) -> None:
        if not body:
            self.reply(b"{}")
            return
        self.ended = asyncio.Event()
        self._has_begun = False
        task = asyncio.get_running_loop().create_task(self.webui.turn(self, json.loads(body)))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def take(self, event: dict[str, Any]) -> None:
        data = event.get("data") or {}
        if data.get("type") == DELTA:
            self._write(b"data: " + json.dumps({"delta": data["delta"]}).encode() + b"\n\n")
        elif event["type"] == "chat:completion" and data.get("done"):
            self.ended.set()
            if self.transport is not None:
                self.transport.write(DONE)

    def _write(self, event: bytes) -> None:
        if self.transport is not None:
            self.transport.write((b"" if self._has_begun else HEAD) + chunk(event))
        self._has_begun = True


async def main(port: int, webui_port: int) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        Reader.webui = WebUI(f"http://127.0.0.1:{webui_port}", session)
        await Reader.webui.open()
        server = await asyncio.get_running_loop().create_server(Reader, "127.0.0.1", port, backlog=2048)
        async with server:
            await asyncio.wait_for(Reader.webui.listen(), LIFETIME_SECONDS)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
