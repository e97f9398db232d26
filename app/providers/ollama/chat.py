"""Ollama: the official client's connection, our decoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import httpx
import msgspec
from ollama import AsyncClient

from app.messages import ChatRequest, Delta, Finish, ProviderName
from app.providers.answers import document, relay
from app.providers.failures import retry_after, unreachable
from app.providers.ollama.wire import ErrorBody, OllamaDecoder, failure_of
from app.providers.transport import (
    ANSWER_TIMEOUT_SECONDS,
    TRANSPORT_ERRORS,
    httpx_timeout,
    httpx_transport,
)

T = TypeVar("T")


def make_client(base_url: str, connect_timeout: float) -> AsyncClient:
    """Ollama's client with our transport and timeouts. `connect_timeout` in seconds."""
    return AsyncClient(
        host=base_url,
        timeout=httpx_timeout(connect_timeout),
        transport=httpx_transport(),
        follow_redirects=False,
    )


class OllamaProvider:
    """Ollama's own API, which every version has; its copy of OpenAI's leaves out some of the settings."""

    name: ProviderName = "ollama"

    def __init__(self, client: AsyncClient) -> None:
        self._client = client

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Finish]:
        """See `Provider.stream`."""
        return relay(partial(self._open, request), OllamaDecoder(request.model), translated(request.model))

    async def list_models(self) -> frozenset[str]:
        """The models that have been pulled; one tagged `latest` also under its bare name, as Ollama takes it."""
        tags = await call(self._client, "GET", "/api/tags", None, _Tags, model=None)
        names = {model.name for model in tags.models}
        return frozenset(names | {name.removesuffix(":latest") for name in names})

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        await self._client.close()  # type: ignore[no-untyped-call]

    def _body(self, request: ChatRequest) -> dict[str, object]:
        body: dict[str, object] = {
            "model": request.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "stream": True,
        }
        options: dict[str, object] = {}
        if request.max_tokens is not None:
            options["num_predict"] = request.max_tokens
        if request.temperature is not None:
            options["temperature"] = request.temperature
        if options:
            body["options"] = options
        return body

    async def _open(self, request: ChatRequest) -> httpx.Response:
        return await _send(self._client, "POST", "/api/chat", self._body(request), model=request.model, stream=True)


class _Tag(msgspec.Struct):
    name: str


class _Tags(msgspec.Struct):
    models: list[_Tag] = msgspec.field(default_factory=list)


class _ErrorAnswer(msgspec.Struct):
    error: ErrorBody | str | None = None


async def call(client: AsyncClient, method: str, path: str, body: object, type_: type[T], *, model: str | None) -> T:
    """Ask Ollama for one JSON document. Raises `ProviderError`."""
    with translated(model):
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            response = await _send(client, method, path, body, model=model)
    return document(response.content, type_, provider="ollama", model=model)


async def _send(
    client: AsyncClient, method: str, path: str, body: object, *, model: str | None, stream: bool = False
) -> httpx.Response:
    """Send a request through the client's own connection, which has its address, headers and key.

    The client's methods give out parsed models only, and it has no other door.
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
        raise unreachable(exc, provider="ollama", model=model) from exc


def _error(body: bytes) -> ErrorBody | str | None:
    try:
        return msgspec.json.decode(body, type=_ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
