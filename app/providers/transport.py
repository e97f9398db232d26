"""The HTTP clients that the SDKs are given: aiohttp underneath, our timeouts whatever an SDK would choose."""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import Any

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


def sdk_client(connect_timeout: float, query: str = "") -> httpx2.AsyncClient:
    """An HTTP client for the SDKs that speak httpx2: OpenAI's, Anthropic's and Google's. Honours proxy settings.

    `connect_timeout` in seconds covers the wait for a connection too. Nothing limits the time between two reads:
    the deadlines of a reply are the caller's, who cancels. `query` is the base URL's: the SDKs append their paths to
    it or lose it, so they are given a base URL without, and it is added here to every request.
    """
    return _SdkClient(
        query,
        timeout=httpx2.Timeout(None, connect=connect_timeout, pool=connect_timeout),
        limits=httpx2.Limits(max_connections=CONNECTION_LIMIT, keepalive_expiry=KEEP_ALIVE_SECONDS),
        verify=_ssl_context(),
    )


class _SdkClient(Httpx2AiohttpClient):
    """One request, one response: no redirects, cookies, authentication rounds or log lines, which cost a tenth of a
    reply's CPU and which no call of a provider has a use for. The SDKs pass whole addresses and all headers.
    """

    def __init__(self, query: str, **options: Any) -> None:
        super().__init__(**options)
        self._query = query

    def build_request(self, method: str, url: httpx2.URL | str, **parts: Any) -> httpx2.Request:
        if self._query:
            url = _with_query(str(url), self._query)
        # Google's SDK asks for no timeout at all, the other two for ten minutes
        parts["extensions"] = {"timeout": self.timeout.as_dict()}
        known = ("content", "params", "headers", "extensions")
        return httpx2.Request(method, url, **{name: parts[name] for name in known if name in parts})

    async def send(self, request: httpx2.Request, *, stream: bool = False, **_: Any) -> httpx2.Response:
        response = await self._transport_for_url(request.url).handle_async_request(request)
        response.request = request
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response


def httpx_transport(query: str = "") -> httpx.AsyncBaseTransport:
    """The same transport, with the base URL's `query`, for the SDK that speaks httpx: Ollama's."""
    limits = httpx.Limits(max_connections=CONNECTION_LIMIT, keepalive_expiry=KEEP_ALIVE_SECONDS)
    return _Transport(query, limits=limits, verify=_ssl_context())


class _Transport(AiohttpTransport):
    def __init__(self, query: str, **options: Any) -> None:
        super().__init__(**options)
        self._query = query

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._query:
            request.url = httpx.URL(_with_query(str(request.url), self._query))
        return await super().handle_async_request(request)


def httpx_timeout(connect_timeout: float) -> httpx.Timeout:
    """The same timeouts for httpx."""
    return httpx.Timeout(None, connect=connect_timeout, pool=connect_timeout)


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"


@lru_cache
def _ssl_context() -> ssl.SSLContext:
    # some 20 ms each, and every client would make its own
    return httpx2.create_ssl_context()
