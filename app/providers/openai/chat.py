"""OpenAI and every server that speaks its chat completions: the official SDK opens the stream, our decoder reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar, cast

import httpx2
import msgspec
import openai
from openai import AsyncOpenAI, AsyncStream

from app.errors import RequestRefused
from app.messages import ChatRequest, Delta, Finish, ProviderName
from app.providers.answers import document, relay
from app.providers.failures import failure, retry_after, unreachable
from app.providers.openai.wire import ErrorBody, OpenAIDecoder, failure_of
from app.providers.transport import ANSWER_TIMEOUT_SECONDS, TRANSPORT_ERRORS, sdk_client

T = TypeVar("T")


def make_client(api_key: str, base_url: str, connect_timeout: float) -> AsyncOpenAI:
    """OpenAI's SDK without its retries and timeouts. `connect_timeout` in seconds."""
    http_client = sdk_client(connect_timeout)
    return AsyncOpenAI(api_key=api_key, base_url=base_url, max_retries=0, http_client=http_client)


class OpenAIProvider:
    """Chat completions rather than responses: the endpoint that every compatible server has."""

    name: ProviderName = "openai"

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client
        # OpenAI's newer models refuse `max_tokens`; most other servers know nothing else
        own = client.base_url.host.endswith(("api.openai.com", ".openai.azure.com"))
        self._max_tokens_field = "max_completion_tokens" if own else "max_tokens"

    def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Finish]:
        """See `Provider.stream`."""
        return relay(partial(self._open, request), OpenAIDecoder(request.model), translated(request.model))

    async def list_models(self) -> frozenset[str]:
        """See `Provider.list_models`."""
        models = await call(self._client, "get", "/models", None, _Models, model=None)
        return frozenset(model.id for model in models.data)

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        await self._client.close()

    def _body(self, request: ChatRequest) -> dict[str, object]:
        body: dict[str, object] = {
            "model": request.model,
            "messages": [{"role": message.role, "content": message.content} for message in request.messages],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.max_tokens is not None:
            body[self._max_tokens_field] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        return body

    async def _open(self, request: ChatRequest) -> httpx2.Response:
        # The SDK's door for requests it has no method for hands out the response itself: the way without its models
        # and event objects, see docs/decisions/0004-token-path.md. Its types do not know that.
        opened = await self._client.post(
            "/chat/completions",
            cast_to=httpx2.Response,
            content=msgspec.json.encode(self._body(request)),
            stream=True,
            stream_cls=AsyncStream[object],
        )
        return cast("httpx2.Response", opened)


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


async def call(client: AsyncOpenAI, method: str, path: str, body: object, type_: type[T], *, model: str | None) -> T:
    """Ask OpenAI for one JSON document. Raises `ProviderError`."""
    with translated(model):
        async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
            if method == "get":
                response = await client.get(path, cast_to=httpx2.Response)
            else:
                response = await client.post(path, cast_to=httpx2.Response, body=body)
    return document(response.content, type_, provider="openai", model=model)


@contextmanager
def translated(model: str | None) -> Iterator[None]:
    """Raise the SDK's errors as ours."""
    try:
        yield
    except openai.APIStatusError as exc:
        wait = retry_after(exc.response.headers)
        raise failure_of(_error(exc.body), model, exc.status_code, wait) from exc
    except (openai.APIConnectionError, *TRANSPORT_ERRORS) as exc:
        raise unreachable(exc, provider="openai", model=model) from exc
    except openai.OpenAIError as exc:
        raise failure(RequestRefused, exc, provider="openai", model=model) from exc


def _error(body: object) -> ErrorBody | str:
    try:
        return msgspec.convert(body, ErrorBody)
    except msgspec.ValidationError:
        return ErrorBody()
