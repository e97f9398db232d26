"""Unfinished requests: answers those that are still being worked on when the process ends, as a problem like any other.

The server cancels them after its patience. uvicorn 0.54 would answer them with 500 and a plain text, and log each of
them, or each response that is cut off, as an error of the application.
"""

from __future__ import annotations

import asyncio

from litestar.types import ASGIApp, Message, Middleware, Receive, Scope, Send

from app.errors import Draining
from app.line import Line


def told_at_the_end() -> Middleware:
    """The middleware around all others. A response that has begun is cut off, which its reader notices."""

    def middleware(app: ASGIApp) -> ASGIApp:
        async def tell(scope: Scope, receive: Receive, send: Send) -> None:
            begun = False

            async def begin(message: Message) -> None:
                nonlocal begun
                begun = True
                await send(message)

            try:
                await app(scope, receive, begin)
            except asyncio.CancelledError:
                if begun:
                    line: Line | None = scope.get("parley.line")  # type: ignore[assignment]  # our server's
                    if line is None:
                        raise
                    line.abort()
                    await asyncio.sleep(0)  # the server is told of it, and takes it for a client that has left
                    return
                raise Draining(
                    "This server has ended before it could answer. What was asked may have been done all the same.",
                    retry_after=1,
                ) from None

        return tell

    return middleware
