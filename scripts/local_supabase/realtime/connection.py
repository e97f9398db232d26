"""One WebSocket: reads a client's messages, holds its channels, and sends without waiting for it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from aiohttp import WSCloseCode, WSMsgType, web

from scripts.local_supabase.realtime.authorization import Caller
from scripts.local_supabase.realtime.channel import NO_DATABASE, Channel, Outlet
from scripts.local_supabase.realtime.config import JoinConfig
from scripts.local_supabase.realtime.database import Database, DatabaseUnavailable
from scripts.local_supabase.realtime.feed import Feed
from scripts.local_supabase.realtime.hub import Hub
from scripts.local_supabase.realtime.replay import replay
from scripts.local_supabase.realtime.tokens import Claims, TokenRefused, Tokens, check
from scripts.local_supabase.realtime.wire import Broadcast, Frame, Inbound, Serializer, WireError

_log = logging.getLogger("realtime")

_PREFIX = "realtime:"
_CLOSE_SECONDS = 1.0
"""How long to wait until a client has read the close frame."""


class _JoinRefused(Exception):
    """A channel cannot be joined. The message is sent to the client."""


@dataclass(frozen=True)
class Project:
    """State that all connections share."""

    hub: Hub
    database: Database
    tokens: Tokens
    feed: Feed
    private_only: bool
    connections: set[Connection] = field(default_factory=set)


@dataclass
class _Joined:
    channel: Channel
    ref: str | None


class Connection:
    """A client's socket. `run` serves it until either side ends it."""

    def __init__(
        self,
        project: Project,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        serializer: Serializer,
        claims: Claims,
        headers: Mapping[str, str],
    ) -> None:
        self._project = project
        self._limits = project.hub.limits
        self._socket = socket
        self._transport = transport
        self._serializer = serializer
        self._claims = claims
        self._headers = headers
        self._channels: dict[str, _Joined] = {}
        self._waiting: deque[Frame] = deque()
        self._waiting_bytes = 0
        self._something = asyncio.Event()
        self._ending: WSCloseCode | None = None

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, frame: Frame) -> None:
        """Queue a frame for the client. A client that reads too slowly for too long is disconnected."""
        self._waiting.append(frame)
        self._waiting_bytes += len(frame.data)
        self._something.set()
        if len(self._waiting) > self._limits.waiting_frames or self._waiting_bytes > self._limits.waiting_bytes:
            self._transport.abort()

    def end(self, code: WSCloseCode) -> None:
        """Close the socket after the queued frames have been sent."""
        self._ending = code
        self._something.set()

    async def _write(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while self._waiting:
                data, binary = self._waiting.popleft()
                self._waiting_bytes -= len(data)
                await self._socket.send_frame(data, WSMsgType.BINARY if binary else WSMsgType.TEXT)
            if self._ending is not None:
                await self._close(self._ending)
                return

    async def _close(self, code: WSCloseCode) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._socket.close(code=code)
        except TimeoutError:
            self._transport.abort()

    def _push(self, join_ref: str | None, ref: str | None, topic: str, event: str, payload: object) -> None:
        self.send(self._serializer.encode(join_ref, ref, topic, event, payload))

    def _reply(self, message: Inbound, status: str, response: object, join_ref: str | None = None) -> None:
        payload = {"status": status, "response": response}
        self._push(join_ref or message.join_ref, message.ref, message.topic, "phx_reply", payload)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        writer = asyncio.create_task(self._write())
        writer.add_done_callback(self._written)
        self._project.connections.add(self)
        try:
            await self._read()
        finally:
            self._project.connections.discard(self)
            for joined in self._channels.values():
                joined.channel.leave()
            writer.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await writer

    def _written(self, writer: asyncio.Task[None]) -> None:
        """When the writer has failed, disconnect the client, so that it connects again."""
        if writer.cancelled() or (error := writer.exception()) is None:
            return
        if not isinstance(error, ConnectionError):
            _log.error("writing to a client", exc_info=error)
        self._transport.abort()

    async def _read(self) -> None:
        while True:
            try:
                message = await self._socket.receive(timeout=self._limits.idle_seconds)
            except TimeoutError:
                # no heartbeat came, so the client is gone
                await self._close(WSCloseCode.GOING_AWAY)
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            try:
                await self._handle(self._serializer.decode(message.data))
            except WireError:
                await self._close(WSCloseCode.INVALID_TEXT)
                return

    async def _handle(self, message: Inbound) -> None:
        if message.topic == "phoenix" and message.event == "heartbeat":
            self._reply(message, "ok", {})
        elif message.event == "phx_join" and message.topic.startswith(_PREFIX):
            await self._join(message)
        elif (joined := self._channels.get(message.topic)) is None:
            left = message.event == "phx_leave"
            self._reply(message, "ok" if left else "error", {} if left else {"reason": "unmatched topic"})
        elif message.event == "phx_leave":
            joined.channel.leave()
            self._reply(message, "ok", {}, joined.ref)
            self._close_channel(message.topic)
        else:
            await joined.channel.handle(message)

    def _close_channel(self, topic: str) -> None:
        joined = self._channels.pop(topic, None)
        if joined is not None:
            self._push(joined.ref, joined.ref, topic, "phx_close", {})

    # ── joining ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _join(self, message: Inbound) -> None:
        if (before := self._channels.get(message.topic)) is not None:
            # as in Phoenix, a second join of a topic ends the first
            before.channel.leave()
            self._close_channel(message.topic)
        try:
            channel, replayed = await self._open_channel(message)
        except _JoinRefused as refused:
            self._reply(message, "error", {"reason": str(refused)})
            return
        except TokenRefused as refused:
            self._reply(message, "error", {"reason": str(refused)})
            return
        except DatabaseUnavailable:
            self._reply(message, "error", {"reason": f"UnableToConnectToProject: {NO_DATABASE}"})
            return
        if channel.over:  # the project has exceeded its limit meanwhile
            return
        self._channels[message.topic] = _Joined(channel, message.join_ref or message.ref)
        self._reply(message, "ok", {"postgres_changes": []})
        channel.open(replayed)

    async def _open_channel(self, message: Inbound) -> tuple[Channel, list[Broadcast]]:
        """A channel that is a member of its topic but holds back new messages, and the messages to replay first."""
        name = message.topic.removeprefix(_PREFIX)
        config = JoinConfig.of(message.payload)
        self._check_join(name, config)
        claims = self._claims if config.token is None else self._project.tokens.verify(config.token)
        check(claims)
        if not self._project.feed.running:
            raise _JoinRefused("InitializingProjectConnection: Connecting to the project database")
        channel = Channel(
            name,
            config,
            Caller(claims, self._headers),
            self._outlet(message),
            self._project.hub,
            self._project.database,
            self._project.tokens,
        )
        unreadable = f"Unauthorized: You do not have permissions to read from this Channel topic: {name}"
        if not await channel.authorize():
            raise _JoinRefused(unreadable)
        if config.replay is None:
            channel.enter()
            return channel, []
        if not config.private:
            raise _JoinRefused("UnableToReplayMessages: Replay is not allowed for public channels")
        if not channel.may_replay:
            raise _JoinRefused(unreadable)
        if config.replay_range is None:
            raise _JoinRefused("UnableToReplayMessages: Replay params are not valid")
        # join before reading the replay, so that no message is missed in between
        channel.enter()
        try:
            return channel, await replay(self._project.database, name, *config.replay_range)
        except BaseException:
            channel.leave()
            raise

    def _check_join(self, name: str, config: JoinConfig) -> None:
        hub = self._project.hub
        if not name:
            raise _JoinRefused("TopicNameRequired: You must provide a topic name")
        if self._project.private_only and not config.private:
            raise _JoinRefused("PrivateOnly: This project only allows private channels")
        if hub.joins.exceeded:
            self.end(WSCloseCode.OK)
            raise _JoinRefused("ClientJoinRateLimitReached: Too many joins per second")
        hub.joins.add()
        if len(self._channels) >= self._limits.channels_per_connection:
            raise _JoinRefused("ChannelRateLimitReached: Too many channels")
        if config.postgres_changes:
            raise _JoinRefused(
                "RealtimeDisabledForConfiguration: The embedded Supabase has no Postgres Changes; "
                "use Broadcast, which the database can send as well (realtime.send, realtime.broadcast_changes)"
            )

    def _outlet(self, join: Inbound) -> Outlet:
        topic, join_ref = join.topic, join.join_ref or join.ref
        return Outlet(
            self._serializer,
            push=lambda ref, event, payload: self._push(join_ref, ref, topic, event, payload),
            frame=self.send,
            closed=lambda: self._close_channel(topic),
        )
