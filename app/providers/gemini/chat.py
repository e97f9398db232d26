"""Gemini: Google's official SDK, google-genai, opens the stream, our decoder reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar, cast
from urllib.parse import quote

import httpx2
import msgspec
from google.genai import Client, errors, types

from app.errors import BrokenStream
from app.messages import ChatRequest, Delta, Finish, ProviderName
from app.providers.answers import document, relay
from app.providers.failures import failure, retry_after, unreachable
from app.providers.gemini.wire import ErrorBody, GeminiDecoder, failure_of
from app.providers.transport import ANSWER_TIMEOUT_SECONDS, TRANSPORT_ERRORS, sdk_client
from app.providers.turns import alternating

T = TypeVar("T")

API_VERSION = "v1beta"
"""The version with system instructions and thinking, and the one that compatible servers have."""

PAGE_LIMIT = 10
"""Pages of a hundred models each that a list is read to."""


def make_client(api_key: str, base_url: str | None, connect_timeout: float) -> tuple[Client, httpx2.AsyncClient]:
    """Google's SDK without its retries and timeouts, and its HTTP client. `connect_timeout` in seconds."""
    # other people's base URLs end with the version
    url = base_url.rstrip("/").removesuffix(f"/{API_VERSION}") if base_url else None
    http_client = sdk_client(connect_timeout)
    options = types.HttpOptions(
        base_url=url,
        api_version=API_VERSION,
        httpx_async_client=http_client,
        # unasked, the SDK may try a lost connection again after some seconds
        retry_options=types.HttpRetryOptions(attempts=1),
    )
    return Client(vertexai=False, api_key=api_key, http_options=options), http_client


class GeminiProvider:
    """The Gemini API's `streamGenerateContent`."""

    name: ProviderName = "gemini"

    def __init__(self, client: Client, http_client: httpx2.AsyncClient) -> None:
        self._client = client
        self._http_client = http_client

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Finish]:
        """See `Provider.stream`."""
        return relay(partial(self._open, request), GeminiDecoder(request.model), translated(request.model))

    async def list_models(self) -> frozenset[str]:
        """See `Provider.list_models`."""
        names: set[str] = set()
        page = ""
        for _ in range(PAGE_LIMIT):
            path = f"models?pageSize=100&pageToken={quote(page)}" if page else "models?pageSize=100"
            models = await call(self._client, "get", path, {}, _Models, model=None)
            names.update(model.name.removeprefix("models/") for model in models.models)
            page = models.next_page_token
            if not page:
                break
        return frozenset(names)

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        # the SDK leaves a client that it was given open
        await self._http_client.aclose()
        self._client.close()

    def _body(self, request: ChatRequest) -> dict[str, object]:
        system, turns = alternating(request.messages)
        body: dict[str, object] = {
            "contents": [
                {"role": "model" if role == "assistant" else "user", "parts": [{"text": text}]} for role, text in turns
            ]
        }
        if system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        config: dict[str, object] = {}
        if request.max_tokens is not None:
            config["maxOutputTokens"] = request.max_tokens
        if request.temperature is not None:
            config["temperature"] = request.temperature
        if config:
            body["generationConfig"] = config
        return body

    async def _open(self, request: ChatRequest) -> httpx2.Response:
        # The SDK's streaming methods give out parsed models only. Its two steps below them, which every method of it
        # takes, build the request (address, key, headers) and send it (errors); they are not public, so a
        # contract test stands on each of them.
        sdk = self._client._api_client
        path = f"{model_path(request.model)}:streamGenerateContent?alt=sse"
        opened = await sdk._async_request(sdk._build_request("post", path, self._body(request)), stream=True)
        return cast("httpx2.Response", opened.response_stream)


class _Model(msgspec.Struct):
    name: str


class _Models(msgspec.Struct, rename="camel"):
    models: list[_Model] = msgspec.field(default_factory=list)
    next_page_token: str = ""


class _ErrorAnswer(msgspec.Struct):
    error: ErrorBody


def model_path(model: str) -> str:
    """The path of a model. A user may choose the name, so nothing in it can leave its place in the path."""
    return f"models/{quote(model.removeprefix('models/'), safe='')}"


async def call(
    client: Client, method: str, path: str, body: dict[str, object], type_: type[T], *, model: str | None
) -> T:
    """Ask Gemini for one JSON document. Raises `ProviderError`."""
    with translated(model):
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            answer = await client._api_client.async_request(method, path, body)
    return document(answer.body or "", type_, provider="gemini", model=model)


@contextmanager
def translated(model: str | None) -> Iterator[None]:
    """Raise the SDK's errors as ours."""
    try:
        yield
    except errors.APIError as exc:
        raise failure_of(_error(exc), model, _retry_after(exc)) from exc
    except TRANSPORT_ERRORS as exc:
        raise unreachable(exc, provider="gemini", model=model) from exc
    except ValueError as exc:
        # the SDK's own reading of an answer that is not JSON
        raise failure(BrokenStream, type(exc).__name__, provider="gemini", model=model) from exc


def _error(exc: errors.APIError) -> ErrorBody:
    try:
        error = msgspec.convert(exc.details, _ErrorAnswer).error
    except msgspec.ValidationError:
        error = ErrorBody()
    error.code = exc.code
    return error


def _retry_after(exc: errors.APIError) -> float | None:
    response = exc.response
    return retry_after(response.headers) if isinstance(response, httpx2.Response) else None
