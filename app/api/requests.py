"""Requests: each gets an id, a body that is JSON or refused, and one log line, whatever its route."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from litestar import Request
from litestar.enums import ScopeType
from litestar.exceptions import InternalServerException
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.utils import make_non_optional_union

from app import observe, watch
from app.api.bodies import JSON, decode, require_media_type
from app.api.in_flight import Body
from app.errors import AppError, InvalidRequest
from app.values import User

MAX_REQUEST_ID_CHARACTERS = 64
DOUBTLESS = "doubtless"
"""The option of a handler whose body is decoded without doubts, see `decode`: it is not stored, and looking for fields
that are there twice would take many bodies for doubtful, as messages have members of the same names."""


class JsonRequest(Request[Any, Any, Any]):
    """A request whose JSON is what its route declares as `data`.

    Litestar would take any media type for JSON, and convert leniently: "10" would be a number.
    """

    async def json(self) -> Any:
        """The body as the declared type, which Litestar then takes as it is. Raises `InvalidRequest`."""
        require_media_type(self.headers.get("content-type"), JSON)
        declared = self.route_handler.parsed_fn_signature.parameters["data"]
        # a body that may be left out may not be null: then it is there, and is none of what is described
        kind = make_non_optional_union(declared.annotation) if declared.is_optional else declared.annotation
        return decode(await self.body(), kind, doubts=not self.route_handler.opt.get(DOUBTLESS, False))

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """The body in pieces; Litestar reads any body by this. Raises `InvalidRequest` when it ends early,
        for which Litestar has a 500, and what `InFlight.take` raises."""
        held: Body | None = self.scope.get("parley.body")  # type: ignore[assignment]
        counted = held is None or held.complete
        try:
            async for piece in super().stream():
                if held is not None and not counted:
                    held.grow(len(piece))
                yield piece
        except InternalServerException:
            if not self.is_connected:
                raise  # not about the connection: the body has been read before
            refusal: AppError | None = self.scope.get("parley.refusal")  # type: ignore[assignment]
            raise refusal or InvalidRequest("The connection ended before the body did.", status=400) from None
        if held is not None:
            held.complete = True


class _Templates:
    """The paths of the routes, to know one by a request that the router did not let through to it."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._known = [(route.path_components, route) for route in routes]

    def find(self, path: str) -> str | None:
        """The route's path, which names its parameters instead of holding ids; None for a path of none."""
        route = self._route(path)
        return route.path_format if route is not None else None

    def allowed(self, path: str) -> bytes | None:
        """The methods of the route, as in `Allow`. Litestar 2.25 answers OPTIONS with those of one handler where a path
        has several."""
        route = self._route(path)
        return ", ".join(sorted(route.methods)).encode() if isinstance(route, HTTPRoute) else None

    def _route(self, path: str) -> BaseRoute | None:
        parts = [part for part in path.split("/") if part]
        for components, route in self._known:
            if len(components) == len(parts) and all(
                component == part or not isinstance(component, str)
                for component, part in zip(components, parts, strict=True)
            ):
                return route
        return None


def observed(app: ASGIApp, routes: Iterable[BaseRoute]) -> ASGIApp:
    """Around the whole application, so that unknown routes and preflights are seen too.

    A request's id is the caller's `X-Request-ID` where it is a plain one, else a new one. `request.done` is recorded
    when the response is over, that of a stream included; its path is the route's, which holds no ids.
    """

    templates = _Templates(routes)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await app(scope, receive, send)
            return
        request_id = _request_id(scope)
        observe.set_request_id(request_id)
        if traceparent := _header(scope, b"traceparent"):
            watch.set_caller(traceparent)
        status: int | None = None

        async def with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = message["headers"]
                if scope["method"] == "OPTIONS" and (allowed := templates.allowed(scope["path"])) is not None:
                    headers = [(name, allowed if name == b"allow" else value) for name, value in headers]
                message["headers"] = [*headers, (b"x-request-id", request_id.encode())]
            await send(message)

        started = time.perf_counter()
        try:
            await app(scope, receive, with_id)
        finally:
            user = scope.get("user")
            observe.event(
                "request.done",
                method=scope["method"],
                path=scope.get("path_template") or templates.find(scope["path"]),
                status=status,
                user_id=user.id if isinstance(user, User) else None,
                duration_ms=round((time.perf_counter() - started) * 1000, 1),
            )

    return answer


def _request_id(scope: Scope) -> str:
    given = _header(scope, b"x-request-id")
    plain = given.replace(b"-", b"").isalnum() and len(given) <= MAX_REQUEST_ID_CHARACTERS
    return given.decode() if plain else secrets.token_hex(8)


def _header(scope: Scope, name: bytes) -> bytes:
    """The first header of this name; empty without one."""
    return next((value for other, value in scope["headers"] if other == name), b"")
