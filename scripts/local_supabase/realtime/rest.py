"""Broadcasts sent over HTTP: a batch of messages, or one message with its topic and event in the path."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from scripts.local_supabase.realtime.authorization import Caller, writable
from scripts.local_supabase.realtime.connection import Project
from scripts.local_supabase.realtime.database import DatabaseUnavailable
from scripts.local_supabase.realtime.tokens import TokenRefused, check
from scripts.local_supabase.realtime.wire import Broadcast

_BLANK = "can't be blank"
_INVALID = "is invalid"


class _Message(msgspec.Struct, frozen=True):
    topic: str
    event: str
    payload: bytes
    private: bool


def caller_of(project: Project, request: web.Request) -> Caller:
    """The caller, by the bearer token, else by the API key. Raises TokenRefused."""
    authorization = request.headers.get("authorization", "")
    kind, _, bearer = authorization.partition(" ")
    token = bearer.strip() if kind.lower() == "bearer" else ""
    key = request.headers.get("x-api-key") or request.headers.get("apikey") or request.query.get("apikey")
    # clients without a signed-in user send the key as their token too; `of_key` accepts both
    claims = project.tokens.of_key(token or key or "")
    check(claims)
    return Caller(claims, x_headers(request))


def x_headers(request: web.Request) -> dict[str, str]:
    """The headers that policies can read."""
    return {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("x-")}


class Rest:
    """The two routes."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/realtime/v1/api/broadcast", self.batch),
            web.post("/realtime/v1/api/broadcast/{topic}/events/{event}", self.single),
        ]

    async def batch(self, request: web.Request) -> web.Response:
        """Send a batch. Messages that the caller may not send are dropped silently, as by the real server."""
        try:
            caller = caller_of(self._project, request)
        except TokenRefused:
            return _problem(401, "Unauthorized")
        try:
            body = msgspec.json.decode(await request.read())
        except msgspec.DecodeError:
            return _problem(400, "Bad Request")
        messages, errors = self._validate(body)
        if errors is not None:
            return web.json_response({"errors": {"messages": errors}}, status=422)
        if (refused := self._over_limit(len(messages))) is not None:
            return refused
        allowed: dict[str, bool] = {}
        try:
            for message in messages:
                if message.private and message.topic not in allowed:
                    allowed[message.topic] = await self._may_write(caller, message.topic)
        except DatabaseUnavailable:
            return _problem(422, "Tenant database unavailable")
        for message in messages:
            if not message.private or allowed[message.topic]:
                content = Broadcast(message.event, message.payload)
                self._project.hub.broadcast(message.topic, message.private, content)
        return self._accepted()

    async def single(self, request: web.Request) -> web.Response:
        try:
            caller = caller_of(self._project, request)
        except TokenRefused:
            return _problem(401, "Unauthorized")
        topic, event = request.match_info["topic"], request.match_info["event"]
        private = request.query.get("private") == "true"
        payload = await request.read()
        if request.content_type == "application/json":
            payload = payload or b"{}"
            try:
                msgspec.json.decode(payload, type=msgspec.Raw)
            except msgspec.DecodeError:
                return _problem(400, "Bad Request")
        elif request.content_type != "application/octet-stream":
            return _problem(415, "Unsupported Media Type")
        if len(payload) > self._project.hub.limits.payload_bytes:
            return web.json_response({"errors": {"payload": ["Payload size exceeds tenant limit"]}}, status=422)
        if (refused := self._over_limit(0)) is not None:
            return refused
        try:
            if private and not await self._may_write(caller, topic):
                return _problem(403, "Unauthorized")
        except DatabaseUnavailable:
            return _problem(422, "Tenant database unavailable")
        binary = request.content_type != "application/json"
        self._project.hub.broadcast(topic, private, Broadcast(event, payload, binary))
        return self._accepted()

    async def _may_write(self, caller: Caller, topic: str) -> bool:
        return await writable(self._project.database, caller, topic, "broadcast")

    def _validate(self, body: Any) -> tuple[list[_Message], Any]:
        """The messages of a batch, or a description of the errors in it."""
        given = body.get("messages") if isinstance(body, dict) else None
        if not isinstance(given, list) or not given:
            return [], [_BLANK if not given else _INVALID]
        messages, errors = [], []
        for one in given:
            message, wrong = self._validate_one(one if isinstance(one, dict) else {})
            errors.append(wrong)
            if message is not None:
                messages.append(message)
        return messages, errors if any(errors) else None

    def _validate_one(self, one: dict[str, Any]) -> tuple[_Message | None, dict[str, list[str]]]:
        wrong: dict[str, list[str]] = {}
        for name in ("topic", "event"):
            if not one.get(name):
                wrong[name] = [_BLANK]
            elif not isinstance(one[name], str):
                wrong[name] = [_INVALID]
        payload = b""
        if one.get("payload") is None:
            wrong["payload"] = [_BLANK]
        elif not isinstance(one["payload"], dict):
            wrong["payload"] = [_INVALID]
        else:
            payload = msgspec.json.encode(one["payload"])
            if len(payload) > self._project.hub.limits.payload_bytes:
                wrong["payload"] = ["Payload size exceeds tenant limit"]
        if wrong:
            return None, wrong
        return _Message(one["topic"], one["event"], payload, one.get("private") in (True, "true")), wrong

    def _over_limit(self, more: int) -> web.Response | None:
        rate = self._project.hub.messages
        if rate.exceeded:
            return _problem(429, "You have exceeded your rate limit")
        if rate.average + more > rate.limit:
            return _problem(429, "Too many messages to broadcast, please reduce the batch size")
        return None

    def _accepted(self) -> web.Response:
        rate = self._project.hub.messages
        headers = {
            "x-rate-rolling": f"{rate.average:.2f}",
            "x-rate-limit": f"{rate.limit:.0f}",
            "x-rate-limit-remaining": f"{max(0.0, rate.limit - rate.average):.0f}",
        }
        return web.Response(status=202, headers=headers)


def _problem(status: int, message: str) -> web.Response:
    return web.json_response({"message": message}, status=status)
