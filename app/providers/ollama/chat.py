"""Ollama: the official client's connection, our decoder."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

import httpx
import msgspec
from ollama import AsyncClient

from app.messages import ChatRequest, Delta, Finish
from app.providers.answers import relay
from app.providers.ollama.client import call, send, translated
from app.providers.ollama.description import NAME
from app.providers.ollama.wire import OllamaDecoder


class OllamaProvider:
    """Ollama's own API, which every version has; its copy of OpenAI's leaves out some of the settings."""

    name = NAME

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
        return await send(self._client, "POST", "/api/chat", self._body(request), model=request.model, stream=True)


class _Tag(msgspec.Struct):
    name: str


class _Tags(msgspec.Struct):
    models: list[_Tag] = msgspec.field(default_factory=list)
