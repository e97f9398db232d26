"""Files of any length as answers: written piece by piece, at the reader's pace."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from typing import Any

from litestar import Request, Response
from litestar.types import Receive, Scope, Send

from app import observe
from app.api.reply_stream import disconnected
from app.errors import AppError, RateLimited
from app.line import Line

FILES_AT_ONCE = 3
"""Of a user, in this process. Each holds one piece at a time."""
STALL_SECONDS = 30.0
"""A reader that takes nothing for so long is cut off."""
PIECE_BYTES = 65_536


class OpenFiles:
    """How many files each user is being sent."""

    def __init__(self) -> None:
        self._of_user: Counter[str] = Counter()

    def open(self, user_id: str) -> Callable[[], None]:
        """Take a place and return what gives it back. Raises `RateLimited`."""
        if self._of_user[user_id] >= FILES_AT_ONCE:
            raise RateLimited(f"At most {FILES_AT_ONCE} exports of a user run at once.", retry_after=5)
        self._of_user[user_id] += 1

        def close() -> None:
            self._of_user[user_id] -= 1
            if not self._of_user[user_id]:
                del self._of_user[user_id]

        return close


class FileResponse(Response[Any]):
    """The response that sends `pieces`. When they fail on the way, or nobody takes them, the connection is cut, so that
    no reader takes a part for the whole. Make it with `send_file`."""

    def __init__(self, first: bytes, pieces: AsyncGenerator[bytes], name: str, kind: str, close: Callable[[], None]):
        super().__init__(None)
        self._first, self._pieces, self._close = first, pieces, close
        self._head = [
            (b"content-type", f"{kind}; charset=utf-8".encode()),
            (b"content-disposition", f'attachment; filename="{name}"'.encode()),
            (b"cache-control", b"no-store"),
        ]

    def to_asgi_response(self, request: Request[Any, Any, Any], **_: Any) -> Any:  # type: ignore[override]
        return self._respond

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        leaving = asyncio.create_task(disconnected(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self._head})
            waiting = bytearray(self._first)
            async for piece in self._pieces:
                if leaving.done():
                    return
                waiting += piece
                if len(waiting) >= PIECE_BYTES:
                    await self._send(send, bytes(waiting), more=True)
                    waiting.clear()
            await self._send(send, bytes(waiting), more=False)
        except (AppError, TimeoutError) as error:
            observe.event("export.cut", error=error.code if isinstance(error, AppError) else "stalled")
            line: Line = scope["parley.line"]  # type: ignore[typeddict-item]  # our server's, see app/line.py
            line.abort()
            # the server knows of it a moment later, and would log an answer that is not whole
            await leaving
        finally:
            leaving.cancel()
            self._close()
            await self._pieces.aclose()

    async def _send(self, send: Send, body: bytes, *, more: bool) -> None:
        async with asyncio.timeout(STALL_SECONDS):
            await send({"type": "http.response.body", "body": body, "more_body": more})


async def send_file(
    files: OpenFiles, user_id: str, pieces: AsyncGenerator[bytes], *, name: str, kind: str
) -> FileResponse:
    """The response with `pieces`; what fails before the first one is answered with a problem."""
    close = files.open(user_id)
    try:
        return FileResponse(await anext(pieces), pieces, name, kind, close)
    except BaseException:
        close()
        raise
