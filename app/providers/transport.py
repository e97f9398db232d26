"""Transport: the HTTP clients for the SDKs. They use aiohttp, and our timeouts instead of the SDKs' own."""

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
"""Connections of one client, one per stream. Beyond it, a call waits for a free one within its connect timeout."""

KEEP_ALIVE_SECONDS = 30

ANSWER_TIMEOUT_SECONDS = 30
"""How long an answer that is not streamed may take: a list of models, a batch of vectors, a moderation."""

TRANSPORT_ERRORS = (httpx2.RequestError, httpx.RequestError, aiohttp.ClientError, OSError)
"""What the transports raise when a connection fails. `OSError` covers `TimeoutError` and `ssl.SSLError`."""


def sdk_client(connect_timeout: float, query: str = "") -> httpx2.AsyncClient:
    """An HTTP client for the SDKs that speak httpx2: OpenAI's, Anthropic's and Google's. Honours proxy settings.

    `connect_timeout` in seconds includes the wait for a free connection. The time between two reads is not limited
    here: the caller has the deadlines of a reply, and cancels. `query` is the query of the base URL, which is added
    here to every request. The SDKs get a base URL without it, because they would append their paths to it or lose it.
    """
    return _SdkClient(
        query,
        timeout=httpx2.Timeout(None, connect=connect_timeout, pool=connect_timeout),
        limits=httpx2.Limits(max_connections=CONNECTION_LIMIT, keepalive_expiry=KEEP_ALIVE_SECONDS),
        verify=_ssl_context(),
    )


class _SdkClient(Httpx2AiohttpClient):
    """One request, one response. There are no redirects, cookies, authentication flows or log lines: no provider needs
    them, and they would take a tenth of a reply's CPU. The SDKs pass complete URLs and all headers."""

    def __init__(self, query: str, **options: Any) -> None:
        super().__init__(**options)
        self._query = query

    def build_request(self, method: str, url: httpx2.URL | str, **parts: Any) -> httpx2.Request:
        if self._query:
            url = _with_query(str(url), self._query)
        # replaces the SDK's timeouts: Google's has none, the other two have ten minutes
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
    # cached, because making one takes about 20 ms and every client needs one
    return httpx2.create_ssl_context()
