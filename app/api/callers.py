"""Callers: every request below `/v1` is given its user before anything of it is read, or is refused.

Requests without a valid token are limited by address, in this process: guessed tokens cost neither the parsing of
the body nor, beyond the limit, the check of a signature. The address is the connection's; behind a proxy that
`FORWARDED_ALLOW_IPS` names, what uvicorn makes of `X-Forwarded-For`.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Middleware, Receive, Scope, Send

from app.api.auth import TokenVerifier
from app.errors import RateLimited, Unauthenticated
from app.values import Quota

MAX_ADDRESSES = 10_000
"""Addresses that are remembered; beyond them the one whose last refusal is longest ago is forgotten."""


class AddressLimit:
    """Counts refusals by address, `per_minute` for each; from then on those with tokens not seen before wait. The same
    algorithm as in the database: GCRA."""

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


def identified(verifier: TokenVerifier, limit: AddressLimit) -> Middleware:
    """The middleware that sets the user of a request."""

    def middleware(app: ASGIApp) -> ASGIApp:
        async def identify(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == ScopeType.HTTP and scope["path"].startswith("/v1/") and scope["method"] != "OPTIONS":
                authorization = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
                token = authorization.decode("latin-1")
                address = _address(scope)
                if (refusal := limit.refusal(address)) is not None and not verifier.knows(token):
                    raise refusal
                try:
                    scope["user"] = await verifier.verify(token)
                except Unauthenticated:
                    limit.count(address)
                    raise
            await app(scope, receive, send)

        return identify

    return middleware


def _address(scope: Scope) -> str:
    """The caller's address; of an IPv6 one the network, which is one caller's to choose from."""
    client = scope["client"]
    if client is None:
        return ""
    host = client[0]
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return host
