"""Channels: what one client may receive and send on one topic, until it leaves or is shut down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from scripts.local_supabase.realtime.authorization import Caller, Extension, readable, writable
from scripts.local_supabase.realtime.config import JoinConfig
from scripts.local_supabase.realtime.database import Database, DatabaseUnavailable
from scripts.local_supabase.realtime.hub import Hub
from scripts.local_supabase.realtime.limits import Window
from scripts.local_supabase.realtime.tokens import TokenRefused, Tokens, check
from scripts.local_supabase.realtime.wire import AnyBroadcast, Broadcast, Frame, Inbound, RawBroadcast, Serializer

NO_DATABASE = "Realtime was unable to connect to the project database"


class Outlet:
    """The client's end of a channel: `push(ref, event, payload)` and `frame(…)` send; `closed()` forgets it."""

    def __init__(
        self,
        serializer: Serializer,
        push: Callable[[str | None, str, object], None],
        frame: Callable[[Frame], None],
        closed: Callable[[], None],
    ) -> None:
        self.serializer = serializer
        self.push = push
        self.frame = frame
        self.closed = closed


class Channel:
    """A joined channel. `enter` makes it a member of its topic; it keeps what arrives until `open` is called."""

    def __init__(
        self,
        name: str,
        config: JoinConfig,
        caller: Caller,
        outlet: Outlet,
        hub: Hub,
        database: Database,
        tokens: Tokens,
    ) -> None:
        self.name = name
        self.config = config
        self.serializer = outlet.serializer
        self._caller = caller
        self._token = config.token
        self._outlet = outlet
        self._hub = hub
        self._database = database
        self._tokens = tokens
        self._reads: set[Extension] = set()
        self._writes: dict[Extension, bool] = {}
        self._presence = config.presence
        self._presence_calls = Window(hub.limits.presence_calls, hub.limits.presence_window_seconds)
        self._held: list[tuple[AnyBroadcast, Frame]] | None = []
        self._replayed: set[str] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self.over = False

    # ── joining and leaving ──────────────────────────────────────────────────────────────────────────────────────

    async def authorize(self) -> bool:
        """Ask the policies what the caller may receive. False when nothing. Raises DatabaseUnavailable."""
        if not self.config.private:
            self._reads = {"broadcast", "presence"}
            return True
        asked: list[Extension] = ["broadcast", "presence"] if self._presence else ["broadcast"]
        self._reads = await readable(self._database, self._caller, self.name, asked)
        return bool(self._reads)

    @property
    def may_replay(self) -> bool:
        return "broadcast" in self._reads

    def enter(self) -> None:
        self._hub.enter(self.name, self.config.private, self)

    def open(self, replayed: list[Broadcast]) -> None:
        """Send the replayed messages, then those that have arrived meanwhile, and from now on all messages."""
        self._confirm_later()
        if self._presence:
            self._push_state()
        wire_name = f"realtime:{self.name}"
        for message in replayed:
            if message.id is not None:
                self._replayed.add(message.id)
            frame = self.serializer.broadcast(wire_name, message)
            if frame is not None:
                self._outlet.frame(frame)
        held, self._held = self._held or [], None
        for message_held, frame in held:
            if self.receives(message_held):
                self._outlet.frame(frame)
        if self.config.replication_ready:
            self._system("ok", "Replication connection established")

    def leave(self) -> None:
        """Leave the topic; nothing more is sent."""
        self.over = True
        if self._expiry is not None:
            self._expiry.cancel()
        self._hub.leave(self.name, self.config.private, self, self.config.presence_key)

    def shut_down(self, reason: str) -> None:
        """End the channel from the server's side, and tell the client the reason."""
        if self.over:
            return
        self.leave()
        self._system("error", reason)
        self._outlet.closed()

    def _system(self, status: str, message: str) -> None:
        payload = {"extension": "system", "status": status, "message": message, "channel": self.name}
        self._outlet.push(None, "system", payload)

    # ── receiving ────────────────────────────────────────────────────────────────────────────────────────────────

    def receives(self, message: AnyBroadcast) -> bool:
        return "broadcast" in self._reads and (message.id is None or message.id not in self._replayed)

    def deliver(self, message: AnyBroadcast, frame: Frame) -> None:
        if self._held is None:
            self._outlet.frame(frame)
        else:
            self._held.append((message, frame))

    def push_presence(self, event: str, payload: object) -> None:
        if "presence" in self._reads and not self.over:
            self._outlet.push(None, event, payload)

    def _push_state(self) -> None:
        presence = self._hub.presence(self.name, self.config.private)
        if presence is not None and self._admit_presence():
            self.push_presence("presence_state", presence.state)

    # ── the client's messages ────────────────────────────────────────────────────────────────────────────────────

    async def handle(self, message: Inbound) -> None:
        if message.event == "broadcast":
            await self._broadcast(message)
        elif message.event == "presence":
            await self._change_presence(message)
        elif message.event == "access_token":
            await self._renew(message.payload)
        else:
            # unknown events count for the rate, and are ignored otherwise
            self._hub.messages.add()

    def _reply(self, message: Inbound, status: str, response: object) -> None:
        self._outlet.push(message.ref, "phx_reply", {"status": status, "response": response})

    async def _may_write(self, extension: Extension) -> bool:
        """Whether the caller may send. Asked once per channel and token."""
        if not self.config.private:
            return True
        if extension not in self._writes:
            self._writes[extension] = await writable(self._database, self._caller, self.name, extension)
        return self._writes[extension]

    async def _broadcast(self, message: Inbound) -> None:
        try:
            if not await self._may_write("broadcast"):
                return  # without an answer, like the real server
        except DatabaseUnavailable:
            return
        content = message.payload
        if not isinstance(content, Broadcast):
            content = RawBroadcast(msgspec.json.encode(content))
        if content.size > self._hub.limits.payload_bytes:
            if self.config.ack:
                self._reply(message, "error", {"reason": "payload_size_exceeded"})
            return
        sender = None if self.config.receives_own else self
        self._hub.broadcast(self.name, self.config.private, content, sender=sender)
        if self.config.ack and not self.over:
            self._reply(message, "ok", {})

    async def _change_presence(self, message: Inbound) -> None:
        asked = message.payload if isinstance(message.payload, dict) else {}
        event = asked.get("event")
        if not isinstance(event, str):
            self._reply(message, "ok", {})
            return
        if not self._presence_calls.admit():
            self.shut_down("Client presence rate limit exceeded")
            return
        if event.lower() == "track":
            await self._track(message, asked.get("payload", {}))
        elif event.lower() == "untrack":
            self._reply(message, "ok", {})
            presence = self._hub.presence(self.name, self.config.private)
            if presence is not None:
                difference = presence.untrack(self, self.config.presence_key)
                self._hub.announce(self.name, self.config.private, difference)
        else:
            self._reply(message, "error", {})

    async def _track(self, message: Inbound, said: object) -> None:
        try:
            if self.config.private and not self._presence:
                # this message turns presence on, so only now the policy for reading it is asked
                self._reads |= await readable(self._database, self._caller, self.name, ["presence"])
            allowed = await self._may_write("presence")
        except DatabaseUnavailable:
            allowed = False
        if not allowed:
            self._reply(message, "error", {})
            return
        if not isinstance(said, dict):
            self._reply(message, "error", {"reason": "Presence track payload must be a map"})
            return
        if len(msgspec.json.encode(said)) > self._hub.limits.payload_bytes:
            self.shut_down("Track message size exceeded")
            return
        presence = self._hub.presence(self.name, self.config.private)
        if presence is None or not self._admit_presence():
            return
        self._reply(message, "ok", {})
        if not self._presence:
            self._presence = True
            self._push_state()
        self._hub.announce(self.name, self.config.private, presence.track(self, self.config.presence_key, said))

    def _admit_presence(self) -> bool:
        """Count a presence message. False when there are too many and the channel is shut down."""
        if self._hub.presence_messages.exceeded:
            self.shut_down("Too many presence messages per second")
            return False
        self._hub.presence_messages.add()
        return True

    # ── the token ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _renew(self, payload: Any) -> None:
        token = payload.get("access_token") if isinstance(payload, dict) else None
        if not isinstance(token, str) or token.startswith("sb_") or token == self._token:
            return
        read_before = set(self._reads)
        try:
            claims = self._tokens.verify(token)
            self._caller = Caller(claims, self._caller.headers)
            self._token = token
            self._writes.clear()
            allowed = await self.authorize()
        except TokenRefused as refused:
            self.shut_down(refused.reason)
        except DatabaseUnavailable:
            self.shut_down(NO_DATABASE)
        else:
            if not allowed:
                self.shut_down(f"You do not have permissions to read from this Channel topic: {self.name}")
            elif not read_before <= self._reads:
                self.shut_down(f"You no longer have permission to read from this Channel topic: {self.name}")
            else:
                self._confirm_later()

    def _confirm_later(self) -> None:
        """Schedule the next check of the token, so that the channel ends when it expires."""
        try:
            remaining = check(self._caller.claims)
        except TokenRefused as refused:
            self.shut_down(refused.reason)
            return
        if self._expiry is not None:
            self._expiry.cancel()
        # checked from time to time, because the system clock may be changed while a long timer runs
        seconds = min(self._hub.limits.confirm_token_seconds, remaining)
        self._expiry = asyncio.get_running_loop().call_later(seconds, self._confirm_later)
