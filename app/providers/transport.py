"""The HTTP clients that the SDKs are given: aiohttp underneath, our timeouts whatever an SDK would choose."""

from __future__ import annotations

import ssl
from functools import lru_cache

import aiohttp
import httpx
import httpx2
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.httpx2 import Httpx2AiohttpClient

CONNECTION_LIMIT = 1000
"""Connections one client may have, one per stream. Beyond it a call waits as long as it may take to connect."""

KEEP_ALIVE_SECONDS = 30

ANSWER_TIMEOUT_SECONDS = 30
"""How long an answer that is not streamed may take: a list of models, a batch of vectors, a moderation."""

TRANSPORT_ERRORS = (httpx2.RequestError, httpx.RequestError, aiohttp.ClientError, OSError)
"""What the transports raise when a connection fails. `OSError` covers `TimeoutError` and `ssl.SSLError`."""


def sdk_client(connect_timeout: float) -> httpx2.AsyncClient:
    """An HTTP client for the SDKs that speak httpx2: OpenAI's, Anthropic's and Google's. Honours proxy settings.

    `connect_timeout` in seconds covers the wait for a connection too. Nothing limits the time between two reads:
    the deadlines of a reply are the caller's, who cancels.
    """
    timeout = httpx2.Timeout(None, connect=connect_timeout, pool=connect_timeout)

    async def keep_our_timeout(request: httpx2.Request) -> None:
        # Google's SDK asks for no timeout at all, the other two for ten minutes
        request.extensions["timeout"] = timeout.as_dict()

    return Httpx2AiohttpClient(
        timeout=timeout,
        limits=httpx2.Limits(max_connections=CONNECTION_LIMIT, keepalive_expiry=KEEP_ALIVE_SECONDS),
        verify=_ssl_context(),
        event_hooks={"request": [keep_our_timeout]},
    )


def httpx_transport() -> httpx.AsyncBaseTransport:
    """The same transport for the SDK that speaks httpx: Ollama's."""
    limits = httpx.Limits(max_connections=CONNECTION_LIMIT, keepalive_expiry=KEEP_ALIVE_SECONDS)
    return AiohttpTransport(limits=limits, verify=_ssl_context())


def httpx_timeout(connect_timeout: float) -> httpx.Timeout:
    """The same timeouts for httpx."""
    return httpx.Timeout(None, connect=connect_timeout, pool=connect_timeout)


@lru_cache
def _ssl_context() -> ssl.SSLContext:
    # some 20 ms each, and every client would make its own
    return httpx2.create_ssl_context()
