"""Callers: every request below `/v1` and `/openai` is given its user before anything of it is read, or is refused.

Requests without a valid token are limited by address, in this process: beyond the limit they are answered with 429. A
valid token is always accepted, so other users of the same address are not locked out; therefore every token is checked.
The address is that of the connection or, behind a proxy that `FORWARDED_ALLOW_IPS` names, the one that
`app/proxies.py` takes from `X-Forwarded-For`.
"""

from __future__ import annotations

import functools
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Middleware, Receive, Scope, Send

from app import observe
from app.api.in_flight import InFlight
from app.errors import RateLimited, Unauthenticated
from app.values import Quota, User

MAX_ADDRESSES = 10_000
"""Addresses that are remembered; beyond them the one whose last refusal is longest ago is forgotten."""
MAX_PROXIES_LOGGED = 10
"""The log names at most this many, because anybody can send `X-Forwarded-For`."""
METHODS_WITH_BODIES = ("POST", "PUT", "PATCH")


class AddressLimit:
    """Counts refusals by address. After `per_minute` of them, further ones are told when to come back. The algorithm is
    GCRA, as in the database."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def refusal(self, address: str) -> RateLimited | None:
        """What the address is told when it has nothing left, else None."""
        wait = self._full_at.get(address, 0.0) + 60 / self._per_minute - 60 - self._clock()
        if wait <= 0:
            return None
        seconds = math.ceil(wait)
        error = RateLimited("Too many requests without a valid access token.", retry_after=seconds)
        error.quotas = {"unauthenticated": Quota(self._per_minute, 0, seconds)}
        return error

    def count(self, address: str) -> None:
        """One more refusal."""
        full_at = max(self._full_at.pop(address, 0.0), self._clock()) + 60 / self._per_minute
        self._full_at[address] = full_at
        if len(self._full_at) > MAX_ADDRESSES:
            self._full_at.popitem(last=False)


class UnnamedProxies:
    """Logs each proxy that `FORWARDED_ALLOW_IPS` does not name, once."""

    def __init__(self) -> None:
        self._logged: set[str] = set()

    def look(self, address: str, forwarded_for: bytes) -> None:
        """`address` is the caller's, as the server sees it; if `forwarded_for` was trusted, it is in there."""
        if address in self._logged or len(self._logged) >= MAX_PROXIES_LOGGED:
            return
        if address not in forwarded_for.decode("latin-1"):
            self._logged.add(address)
            detail = (
                "Its X-Forwarded-For is not trusted. If this is your proxy, name it in FORWARDED_ALLOW_IPS: "
                "until then all its users count as this one address."
            )
            observe.event("proxy.unnamed", address=address, detail=detail)


Authenticate = Callable[[str, str], Awaitable[User]]
"""The user whom an `Authorization` header names that came from an address. Raises `Unauthenticated`."""


def identified(callers: Mapping[str, Authenticate], limit: AddressLimit, in_flight: InFlight) -> Middleware:
    """The middleware that sets the user of a request and the account of its body. `callers` are the beginnings of the
    paths that need a user, each with the function that knows them; requests to other paths have none."""
    proxies = UnnamedProxies()

    async def known(scope: HTTPScope, authenticate: Authenticate) -> User:
        authorization = forwarded_for = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = authorization or value
            elif name == b"x-forwarded-for" and value:
                forwarded_for += b"," + value  # each proxy may have written a field of its own
        if forwarded_for:
            proxies.look(_host(scope), forwarded_for)
        address = _address(_host(scope))
        try:
            return await authenticate(authorization.decode("latin-1"), address)
        except Unauthenticated:
            if (refusal := limit.refusal(address)) is not None:
                raise refusal from None
            limit.count(address)
            raise

    def middleware(app: ASGIApp) -> ASGIApp:
        async def identify(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != ScopeType.HTTP or scope["method"] == "OPTIONS":
                await app(scope, receive, send)
                return
            authenticate = next((one for path, one in callers.items() if scope["path"].startswith(path)), None)
            if authenticate is None:
                await app(scope, receive, send)
                return
            scope["user"] = user = await known(scope, authenticate)
            if scope["method"] not in METHODS_WITH_BODIES:
                await app(scope, receive, send)
                return
            body = in_flight.body_of(user.id)
            scope["parley.body"] = body  # type: ignore[typeddict-unknown-key]
            try:
                await app(scope, receive, send)
            finally:
                body.release()

        return identify

    return middleware


def _host(scope: Scope) -> str:
    client = scope["client"]
    return client[0] if client is not None else ""


@functools.lru_cache(maxsize=1024)
def _address(host: str) -> str:
    """The caller's address; of an IPv6 one the network, which is one caller's to choose from."""
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return host
