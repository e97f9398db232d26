"""Proxies in front: whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed, and which address is the client's.

uvicorn goes through `X-Forwarded-For` from its end and takes the first address that is not trusted. Where everybody is
trusted, uvicorn 0.54 takes the first entry, which is the client's own word behind every proxy that appends: a client
could then have a new address for each request. Here the last entry counts in that case, as the nearest proxy wrote it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

FORWARDED_FOR = b"x-forwarded-for"

Headers = list[tuple[bytes, bytes]]


def behind_proxies(app: ASGI3Application, trusted: Sequence[str], *, everybody: bool) -> ASGI3Application:
    """`app` with the client's address and scheme as the `trusted` proxies name them. `everybody` says that no address
    is missing among these."""
    forwarded = ProxyHeadersMiddleware(app, list(trusted))
    if not everybody:
        return forwarded

    async def by_the_nearest(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] == "http":
            scope["headers"] = _last_entry_only(list(scope["headers"]))
        await forwarded(scope, receive, send)

    return by_the_nearest


def _last_entry_only(headers: Headers) -> Headers:
    """The headers without all but the last entry of `X-Forwarded-For`, which may be in several fields."""
    fields = [value for name, value in headers if name == FORWARDED_FOR]
    if not fields:
        return headers
    others = [field for field in headers if field[0] != FORWARDED_FOR]
    return [*others, (FORWARDED_FOR, fields[-1].rpartition(b",")[2].strip())]
