"""Transport: the HTTP clients for the SDKs. They use aiohttp, and our timeouts instead of the SDKs' own."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import aiohttp
import httpx
import httpx2
from httpx_aiohttp import AiohttpTransport
from httpx_aiohttp.httpx2 import AiohttpTransport as Httpx2AiohttpTransport
from httpx_aiohttp.httpx2 import Httpx2AiohttpClient
from httpx_aiohttp.httpx2.transport import map_aiohttp_exceptions
from httpx_aiohttp.transport import map_aiohttp_exceptions as map_httpx_exceptions
from multidict import CIMultiDict
from yarl import URL

from app.exchange import Address, Exchange, exchanging

CONNECTION_LIMIT = 1000
"""Connections of one client, one per stream. Beyond it, a call waits for a free one within its connect timeout."""

KEEP_ALIVE_SECONDS = 30

ANSWER_TIMEOUT_SECONDS = 30
"""How long an answer that is not streamed may take: a list of models, a batch of vectors, a moderation."""

EXCHANGE = "exchange"
"""The extension of a response that has its `Exchange`, unless aiohttp had to make the request itself."""

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


class Stream(httpx.AsyncByteStream, httpx2.AsyncByteStream):
    """The body of an answer, for the SDKs."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with map_aiohttp_exceptions():
            while data := await self.exchange.read():
                yield data

    async def aclose(self) -> None:
        self.exchange.close()


class _SdkTransport(Httpx2AiohttpTransport):
    """Posts are exchanges, unless there is a proxy, which would have to be told of each of them."""

    def get_client(self) -> aiohttp.ClientSession:
        return exchanging(super().get_client())

    def address(self, request: httpx2.Request) -> Address | None:
        """Where requests such as this one are posted; None if aiohttp has to send them itself."""
        if self.proxy is not None or request.method != "POST":
            return None
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        return _address(self.client, request)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if (address := self.address(request)) is None:
            return await super().handle_async_request(request)
        with map_aiohttp_exceptions():
            exchange = await address.post(request.content)
        return _response(exchange)


def _response(exchange: Exchange) -> httpx2.Response:
    return httpx2.Response(
        exchange.status, headers=exchange.headers, stream=Stream(exchange), extensions={EXCHANGE: exchange}
    )


def _address(session: aiohttp.ClientSession, request: httpx2.Request | httpx.Request) -> Address:
    limits = request.extensions["timeout"]
    fields = CIMultiDict(request.headers.multi_items())
    return Address(
        session, URL(str(request.url)), fields, connect_seconds=limits["connect"], pool_seconds=limits["pool"]
    )


class Answer:
    """A streamed answer that has begun, with what `answers.relay` needs of a response."""

    def __init__(self, exchange: Exchange) -> None:
        self.status = exchange.status
        self.extensions = {EXCHANGE: exchange}
        self._exchange = exchange

    def response(self) -> httpx2.Response:
        """The same as httpx2's response."""
        return _response(self._exchange)

    def aiter_bytes(self) -> AsyncIterator[bytes]:
        """The body, decompressed."""
        return self.response().aiter_bytes()

    async def aclose(self) -> None:
        self._exchange.close()


_opening: ContextVar[str | None] = ContextVar("opening", default=None)
_answered: ContextVar[httpx2.Response | None] = ContextVar("answered", default=None)


class SdkClient(Httpx2AiohttpClient):
    """One request, one response. There are no redirects, cookies, authentication flows or log lines: no provider needs
    them, and they would take a tenth of a reply's CPU. The SDKs pass complete URLs and all headers."""

    def __init__(self, query: str, **options: Any) -> None:
        super().__init__(**options)
        self._query = query
        self._doors: dict[str, Address] = {}

    async def again(self, door: str, content: bytes) -> Answer | None:
        """Post `content` through a door that an SDK has used before; None before that."""
        address = self._doors.get(door)
        if address is None:
            return None
        with map_aiohttp_exceptions():
            return Answer(await address.post(content))

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
            door = _opening.get() if response.is_success else None
            address = transport.address(request) if door is not None and isinstance(transport, _SdkTransport) else None
            if door is not None and address is not None:
                self._doors[door] = address
        response.request = request
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response


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
    """As `_SdkTransport`."""

    def __init__(self, query: str, **options: Any) -> None:
        super().__init__(**options)
        self._query = query

    def get_client(self) -> aiohttp.ClientSession:
        return exchanging(super().get_client())

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self._query:
            request.url = httpx.URL(_with_query(str(request.url), self._query))
        if request.method != "POST":
            return await super().handle_async_request(request)
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        with map_httpx_exceptions():
            exchange = await _address(self.client, request).post(request.content)
        return httpx.Response(
            exchange.status, headers=exchange.headers, stream=Stream(exchange), extensions={EXCHANGE: exchange}
        )


def httpx_timeout(connect_timeout: float) -> httpx.Timeout:
    """The same timeouts for httpx."""
    return httpx.Timeout(None, connect=connect_timeout, pool=connect_timeout)


def _with_query(url: str, query: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{query}"


@lru_cache
def _ssl_context() -> ssl.SSLContext:
    # cached, because making one takes about 20 ms and every client needs one
    return httpx2.create_ssl_context()
