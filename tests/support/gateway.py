"""A gateway before a project, which forwards to the embedded Supabase, and refuses on demand, as hosted projects,
self-hosted ones and servers that are no Supabase at all do, or lets a user's calls wait, as a slow database does."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Self

import aiohttp
from aiohttp import web

INVALID_KEY = json.dumps({"message": "Invalid API key", "hint": "Double check your API key."})
AnySocket = web.WebSocketResponse | aiohttp.ClientWebSocketResponse
HOP_BY_HOP = {"host", "connection", "content-length", "transfer-encoding", "content-encoding"}


@dataclass(frozen=True)
class Answer:
    """What is said in place of the project."""

    status: int
    body: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


@dataclass
class Gateway:
    """Use it as an async context manager; `keys` and `paths` may change at any time."""

    target: str
    keys: dict[str, Answer] = field(default_factory=dict)
    """What calls with these keys are answered."""
    paths: dict[str, Answer] = field(default_factory=dict)
    """What calls of paths that begin so are answered."""
    calls: Counter[str] = field(default_factory=Counter)
    """How often each path was called."""
    url: str = ""
    realtime: str = ""
    """Where connections of Realtime go; empty: to the target."""
    held: Counter[str] = field(default_factory=Counter)
    """How many calls of each path wait now, see `hold`."""
    _holds: dict[str, asyncio.Event] = field(default_factory=dict)

    def hold(self, *tokens: str) -> None:
        """Let calls with these users' tokens wait until `release`."""
        self._holds |= {f"Bearer {token}": asyncio.Event() for token in tokens}

    def release(self) -> None:
        for event in self._holds.values():
            event.set()
        self._holds.clear()

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.calls[request.path] += 1
        if (event := self._holds.get(request.headers.get("Authorization", ""))) is not None:
            self.held[request.path] += 1
            await event.wait()
            self.held[request.path] -= 1
        for prefix, answer in self.paths.items():
            if request.path.startswith(prefix):
                return self._say(answer)
        if (refused := self.keys.get(request.headers.get("apikey", ""))) is not None:
            return self._say(refused)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP_BY_HOP}
        if request.headers.get("Upgrade") == "websocket":
            return await self._connect(request)
        async with self._session.request(
            request.method, self.target + request.path_qs, headers=headers, data=await request.read()
        ) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    async def _connect(self, request: web.Request) -> web.StreamResponse:
        """Hand on a connection of Realtime until one side closes it."""
        client = web.WebSocketResponse()
        url = (self.realtime or self.target) + request.path_qs
        try:
            server = await self._session.ws_connect(url)
        except aiohttp.WSServerHandshakeError as refusal:
            return web.Response(status=refusal.status)

        async def carry(one: AnySocket, other: AnySocket) -> None:
            async for message in one:
                await other.send_str(message.data)
            await other.close()

        await client.prepare(request)
        await asyncio.gather(carry(client, server), carry(server, client))
        return client

    @staticmethod
    def _say(answer: Answer) -> web.Response:
        return web.Response(status=answer.status, headers=answer.headers, text=answer.body)
