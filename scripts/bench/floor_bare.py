"""A floor of the bench: an ASGI function that sends each read of a provider's answer on, and stores nothing.

`python -m scripts.bench.floor_bare PORT UPSTREAM_PORT`, on the same server and client libraries as the API.
"""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
import uvicorn

CONNECTIONS = 10_000
_START: dict[str, Any] = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/event-stream")],
}


def make_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS))


def serve(make_app: Any) -> None:
    """Run what `make_app` makes of the provider's URL, with the ports that the command line has."""
    port, upstream_port = int(sys.argv[1]), int(sys.argv[2])
    app = make_app(f"http://127.0.0.1:{upstream_port}/v1/chat/completions")
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False, ws="none", lifespan="off")


def make_app(url: str) -> Any:
    session: aiohttp.ClientSession | None = None

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal session
        if scope["method"] == "GET":
            await send({**_START, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body"})
            return
        if session is None:
            session = make_session()
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        async with session.post(url, data=body, headers={"content-type": "application/json"}) as answer:
            await send(_START)
            async for piece in answer.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    return app


if __name__ == "__main__":
    serve(make_app)
