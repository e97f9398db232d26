"""OpenAI and every server that speaks its chat completions: the official SDK opens the stream, our decoder reads it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import cast

import httpx2
import msgspec
from openai import AsyncOpenAI, AsyncStream

from app.messages import ChatRequest, Delta, Finish
from app.providers.answers import relay
from app.providers.openai.client import OWN_HOSTS, call, translated
from app.providers.openai.description import NAME
from app.providers.openai.wire import OpenAIDecoder


class OpenAIProvider:
    """Chat completions rather than responses: the endpoint that every compatible server has."""

    name = NAME

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client
        # OpenAI's newer models refuse `max_tokens`; most other servers know nothing else
        own = client.base_url.host.endswith(tuple(OWN_HOSTS))
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
