"""The server: connects its parts, defines its routes, and starts and stops it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec
from aiohttp import WSCloseCode, web

from scripts.local_supabase.realtime.connection import Connection, Project
from scripts.local_supabase.realtime.database import Database
from scripts.local_supabase.realtime.feed import Feed
from scripts.local_supabase.realtime.hub import Hub
from scripts.local_supabase.realtime.limits import Limits
from scripts.local_supabase.realtime.rest import Rest, x_headers
from scripts.local_supabase.realtime.tokens import Claims, TokenRefused, Tokens, check
from scripts.local_supabase.realtime.wire import serializer

_HOST = "127.0.0.1"


class Config(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The server's configuration. With `port` 0 the system chooses one. `public_key` is the project's JSON Web Key."""

    port: int
    database_url: str
    publishable_key: str
    secret_key: str
    public_key: dict[str, str]
    private_only: bool = False
    limits: Limits = Limits()


@asynccontextmanager
async def running(config: Config) -> AsyncGenerator[int]:
    """Serve until the block ends. Yields the port once messages are being read from the database."""
    hub = Hub(config.limits)
    database = Database(config.database_url)
    feed = Feed(config.database_url, hub.broadcast, lambda: _send_away(project, WSCloseCode.SERVICE_RESTART))
    tokens = Tokens(config.publishable_key, config.secret_key, config.public_key)
    project = Project(hub, database, tokens, feed, config.private_only)

    reading = asyncio.Event()
    feeding = asyncio.create_task(feed.run(reading))
    application = web.Application(client_max_size=config.limits.frame_bytes)
    application.add_routes(
        [
            web.get("/realtime/v1/websocket", Sockets(project).connect),
            web.get("/realtime/v1/api/ping", _ping),
            *Rest(project).routes(),
        ]
    )
    # no access log, because the query contains the key
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1)
    try:
        await reading.wait()
        await runner.setup()
        site = web.TCPSite(runner, _HOST, config.port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        _send_away(project, WSCloseCode.GOING_AWAY)
        await runner.cleanup()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
        await database.aclose()


def _send_away(project: Project, code: WSCloseCode) -> None:
    """Close every connection. The clients connect again by themselves."""
    for connection in tuple(project.connections):
        connection.end(code)


async def _ping(_: web.Request) -> web.Response:
    return web.json_response({"message": "Success"})


class Sockets:
    """The WebSocket route: checks who may connect."""

    def __init__(self, project: Project) -> None:
        self._project = project

    async def connect(self, request: web.Request) -> web.StreamResponse:
        version = serializer(request.query.get("vsn"))
        if version is None:
            return _refuse(403, "unknown vsn")
        try:
            claims = self._claims(request)
        except TokenRefused as refused:
            return _refuse(401, refused.reason)
        hub = self._project.hub
        if len(self._project.connections) >= hub.limits.connections:
            return _refuse(429, "Too many connected users")
        if hub.joins.exceeded:
            return _refuse(429, "Too many joins per second")
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        socket = web.WebSocketResponse(max_msg_size=hub.limits.frame_bytes, compress=False, timeout=1)
        await socket.prepare(request)
        await Connection(self._project, socket, transport, version, claims, x_headers(request)).run()
        return socket

    def _claims(self, request: web.Request) -> Claims:
        key = request.headers.get("x-api-key") or request.query.get("apikey")
        if not key:
            raise TokenRefused("Unauthorized", "API key is missing")
        claims = self._project.tokens.of_key(key)
        check(claims)
        return claims


def _refuse(status: int, error: str) -> web.Response:
    return web.json_response({"error": error}, status=status)
