"""Transport: the HTTP clients for the SDKs. They use aiohttp, and our timeouts instead of the SDKs' own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, NamedTuple

import aiohttp
import httpx
import httpx2
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.httpx2 import AiohttpTransport as Httpx2AiohttpTransport
from httpx_aiohttp.httpx2 import Httpx2AiohttpClient
from httpx_aiohttp.httpx2.transport import AiohttpResponseStream, map_aiohttp_exceptions
from multidict import CIMultiDict
from yarl import URL

from app.providers.arrivals import listening

CONNECTION_LIMIT = 1000
"""Connections of one client, one per stream. Beyond it, a call waits for a free one within its connect timeout."""

KEEP_ALIVE_SECONDS = 30

ANSWER_TIMEOUT_SECONDS = 30
"""How long an answer that is not streamed may take: a list of models, a batch of vectors, a moderation."""

TRANSPORT_ERRORS = (httpx2.RequestError, httpx.RequestError, aiohttp.ClientError, OSError)
"""What the transports raise when a connection fails. `OSError` covers `TimeoutError` and `ssl.SSLError`."""


def sdk_client(connect_timeout: float, query: str = "") -> SdkClient:
    """An HTTP client for the SDKs that speak httpx2: OpenAI's, Anthropic's and Google's. Honours proxy settings.

    `connect_timeout` in seconds includes the wait for a free connection. The time between two reads is not limited
    here: the caller has the deadlines of a reply, and cancels. `query` is the query of the base URL, which is added
    here to every request. The SDKs get a base URL without it, because they would append their paths to it or lose it.
    """
    return SdkClient(
        query,
        timeout=httpx2.Timeout(None, connect=connect_timeout, pool=connect_timeout),
        limits=httpx2.Limits(max_connections=CONNECTION_LIMIT, keepalive_expiry=KEEP_ALIVE_SECONDS),
        verify=_ssl_context(),
    )


class _SdkTransport(Httpx2AiohttpTransport):
    def get_client(self) -> aiohttp.ClientSession:
        return listening(super().get_client())


class _Door(NamedTuple):
    """How an SDK calls one path: what all its requests to it have in common."""

    session: aiohttp.ClientSession
    url: URL
    fields: CIMultiDict[str]
    timeout: aiohttp.ClientTimeout


class Answer:
    """A streamed answer that has begun, with what `answers.relay` needs of a response."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer
        self.status = answer.status
        self.headers = answer.headers
        self.stream = AiohttpResponseStream(answer)

    def response(self) -> httpx2.Response:
        """The same as httpx2's response."""
        answer = self._answer
        return httpx2.Response(answer.status, headers=list(answer.raw_headers), stream=self.stream)

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, decompressed."""
        return self.response().aiter_bytes()

    async def aclose(self) -> None:
        await self.stream.aclose()


_opening: ContextVar[str | None] = ContextVar("opening", default=None)
_answered: ContextVar[httpx2.Response | None] = ContextVar("answered", default=None)


class SdkClient(Httpx2AiohttpClient):
    """One request, one response. There are no redirects, cookies, authentication flows or log lines: no provider needs
    them, and they would take a tenth of a reply's CPU. The SDKs pass complete URLs and all headers."""

    def __init__(self, query: str, **options: Any) -> None:
        super().__init__(**options)
        self._query = query
        self._doors: dict[str, _Door] = {}

    async def again(self, door: str, content: bytes) -> Answer | None:
        """Post `content` through a door that an SDK has used before; None before that."""
        known = self._doors.get(door)
        if known is None:
            return None
        with map_aiohttp_exceptions():
            answer = await known.session.post(
                known.url,
                headers=known.fields,
                data=content,
                timeout=known.timeout,
                allow_redirects=False,
                auto_decompress=False,
            )
        return Answer(answer)

    def _init_transport(self, *_: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        return _SdkTransport(**options)

    def _init_proxy_transport(self, proxy: httpx2.Proxy, *_: Any, **options: Any) -> httpx2.AsyncBaseTransport:
        return _SdkTransport(proxy=proxy, **options)

    def build_request(self, method: str, url: httpx2.URL | str, **parts: Any) -> httpx2.Request:
        if self._query:
            url = _with_query(str(url), self._query)
        # replaces the SDK's timeouts: Google's has none, the other two have ten minutes
        parts["extensions"] = {"timeout": self.timeout.as_dict()}
        known = ("content", "params", "headers", "extensions")
        return httpx2.Request(method, url, **{name: parts[name] for name in known if name in parts})

    async def send(self, request: httpx2.Request, *, stream: bool = False, **_: Any) -> httpx2.Response:
        response = _answered.get()
        if response is None:
            transport = self._transport_for_url(request.url)
            response = await transport.handle_async_request(request)
            if response.is_success and (door := _opening.get()) is not None:
                self._keep(door, request, transport)
        response.request = request
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response

    def _keep(self, door: str, request: httpx2.Request, transport: object) -> None:
        if not isinstance(transport, _SdkTransport) or transport.proxy is not None:
            return  # aiohttp would have to be told of the proxy each time: left to the SDK's way
        session = transport.client
        if isinstance(session, aiohttp.ClientSession):
            fields = CIMultiDict((name, value) for name, value in request.headers.items() if name != "content-length")
            timeout = aiohttp.ClientTimeout(sock_connect=self.timeout.connect, connect=self.timeout.pool)
            self._doors[door] = _Door(session, URL(str(request.url)), fields, timeout)


async def through(
    client: httpx2.AsyncClient, door: str, content: bytes, by_sdk: Callable[[], Awaitable[httpx2.Response]]
) -> httpx2.Response | Answer:
    """What `by_sdk` does: post `content`, and return the answer with its body unread, or raise the SDK's error.

    An SDK needs as much CPU to build a request as all the rest of a call takes. So it builds the first request to each
    path, the `door`, and later ones take the address and the header fields from there. An answer that is an error is
    handed to the SDK, as if the SDK had sent the request. `client` is the SDK's; any but ours leaves all to the SDK.
    """
    answer = await client.again(door, content) if isinstance(client, SdkClient) else None
    if answer is not None and answer.status < 300:
        return answer
    variable, value = (_opening, door) if answer is None else (_answered, answer.response())
    token = variable.set(value)  # type: ignore[arg-type]
    try:
        return await by_sdk()
    finally:
        variable.reset(token)  # type: ignore[arg-type]


def httpx_transport(query: str = "") -> httpx.AsyncBaseTransport:
    """The same transport, with the base URL's `query`, for the SDK that speaks httpx: Ollama's."""
    limits = httpx.Limits(max_connections=CONNECTION_LIMIT, keepalive_expiry=KEEP_ALIVE_SECONDS)
    return _Transport(query, limits=limits, verify=_ssl_context())


class _Transport(AiohttpTransport):
    def __init__(self, query: str, **options: Any) -> None:
        super().__init__(**options)
        self._query = query

    def get_client(self) -> aiohttp.ClientSession:
        return listening(super().get_client())

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
