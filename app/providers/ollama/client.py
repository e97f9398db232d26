"""Ollama's official client: makes it, sends requests and translates its errors."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx
import msgspec
from ollama import AsyncClient

from app.providers.answers import document
from app.providers.base_url import BaseUrl
from app.providers.description import Configuration
from app.providers.failures import WORDS_LIMIT, retry_after, unreachable
from app.providers.ollama.description import BASE_URL, NAME
from app.providers.ollama.wire import failure_of
from app.providers.transport import ANSWER_TIMEOUT_SECONDS, TRANSPORT_ERRORS, httpx_timeout, httpx_transport

T = TypeVar("T")

APPENDED = ("/api/chat", "/api", "/v1")
"""Endings of a base URL that are removed: `/api` begins the paths of Ollama's own API, `/v1` those of its
OpenAI-compatible one."""


def make_client(configuration: Configuration) -> AsyncClient:
    """Ollama's client with our transport and timeouts."""
    base = BaseUrl.parse(configuration.required(BASE_URL)).without(APPENDED)
    return AsyncClient(
        host=base.url,
        timeout=httpx_timeout(configuration.connect_timeout),
        transport=httpx_transport(base.query),
        follow_redirects=False,
    )


async def call(client: AsyncClient, method: str, path: str, body: object, type_: type[T], *, model: str | None) -> T:
    """Request one JSON document from Ollama. Raises `ProviderError`."""
    with translated(model):
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            response = await send(client, method, path, body, model=model)
    return document(response.content, type_, provider=NAME, model=model)


async def send(
    client: AsyncClient, method: str, path: str, body: object, *, model: str | None, stream: bool = False
) -> httpx.Response:
    """Send a request through the client's private HTTP client, which has the address, headers and key.

    The client's public methods return parsed models only.
    """
    http: httpx.AsyncClient = client._client
    request = http.build_request(method, path, json=body)
    response = await http.send(request, stream=stream)
    if response.is_success:
        return response
    try:
        raise failure_of(_error(await response.aread()), model, response.status_code, retry_after(response.headers))
    finally:
        await response.aclose()


@contextmanager
def translated(model: str | None) -> Iterator[None]:
    """Raise the errors of the connection as ours."""
    try:
        yield
    except TRANSPORT_ERRORS as exc:
        raise unreachable(exc, provider=NAME, model=model) from exc


def _error(body: bytes) -> object:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body[:WORDS_LIMIT].decode(errors="replace")
    return answer.get("error") or answer if isinstance(answer, dict) else answer
