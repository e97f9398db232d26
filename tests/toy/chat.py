"""The toy's replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

from app.messages import ChatRequest, StreamItem
from app.providers.answers import relay
from tests.toy.client import ToyClient, translated
from tests.toy.description import NAME
from tests.toy.wire import ToyDecoder


class ToyProvider:
    name = NAME

    def __init__(self, client: ToyClient) -> None:
        self._client = client

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        body = {"model": request.model, "said": [message.content for message in request.messages]}
        opening = partial(self._client.open, "/chat", body, model=request.model)
        return relay(opening, ToyDecoder(request.model), translated(request.model))

    async def list_models(self) -> frozenset[str]:
        return frozenset(await self._client.call("/models", None, list[str]))

    async def aclose(self) -> None:
        await self._client.aclose()
