"""The toy's replies."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

from app.providers.answers import relay
from app.providers.dialect import Body, Dialect, Steps
from app.values import ChatRequest, StreamItem
from tests.toy.client import ToyClient, translated
from tests.toy.description import NAME
from tests.toy.wire import ToyDecoder


class ToyProvider:
    name = NAME

    def __init__(self, client: ToyClient) -> None:
        self._client = client

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        def build(_: Steps) -> Body:
            return {"model": request.model, "said": [message.content for message in request.messages]}

        send = partial(self._client.open, "/chat", model=request.model)
        return relay(request.model, Dialect(), build, send, ToyDecoder, translated)

    async def list_models(self) -> frozenset[str]:
        return frozenset(await self._client.call("/models", None, list[str]))

    async def aclose(self) -> None:
        await self._client.aclose()
