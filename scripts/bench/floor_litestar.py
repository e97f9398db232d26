"""A floor of the bench: the least Litestar application that passes a provider's answer on, and stores nothing.

`python -m scripts.bench.floor_litestar PORT UPSTREAM_PORT`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

import aiohttp
import msgspec
from litestar import Litestar, get, post
from litestar.params import JSONBody
from litestar.response import Stream

from scripts.bench.floor_bare import make_session, serve


class Asked(msgspec.Struct):
    model: str
    messages: list[dict[str, str]]


def make_app(url: str) -> Litestar:
    sessions: list[aiohttp.ClientSession] = []

    @get("/")
    async def ready() -> None:
        """It runs."""

    @post("/v1/chat/completions", status_code=200)
    async def stream(data: JSONBody[Asked]) -> Stream:
        if not sessions:
            sessions.append(make_session())
        body = msgspec.json.encode({"model": data.model, "messages": data.messages, "stream": True})

        async def pieces() -> AsyncGenerator[bytes]:
            async with sessions[0].post(url, data=body, headers={"content-type": "application/json"}) as answer:
                async for piece in answer.content.iter_any():
                    yield piece

        return Stream(pieces(), media_type="text/event-stream")

    return Litestar([ready, stream], openapi_config=None, logging_config=None)


if __name__ == "__main__":
    serve(make_app)
