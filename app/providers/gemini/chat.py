"""Chat with Gemini: Google's official SDK, google-genai, opens the stream, our decoder reads it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import cast
from urllib.parse import quote

import httpx2
import msgspec
from google.genai import Client

from app.providers.answers import relay
from app.providers.dialect import Body, Dialect, Steps
from app.providers.gemini import tools
from app.providers.gemini.client import call, model_path, translated
from app.providers.gemini.description import NAME
from app.providers.gemini.reasoning import EFFORTS, thinking_of
from app.providers.gemini.wire import GeminiDecoder
from app.providers.turns import SYSTEM, alternating
from app.providers.wire.calls import asked_of
from app.values import ChatRequest, StreamItem

PAGE_LIMIT = 10
"""The most pages of a list that are read, a hundred models each."""


class GeminiProvider:
    """The Gemini API's `streamGenerateContent`."""

    name = NAME

    def __init__(self, client: Client, http_client: httpx2.AsyncClient) -> None:
        self._client = client
        self._http_client = http_client
        self._dialect = Dialect(*EFFORTS.values(), *tools.OPTIONS, SYSTEM)

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        """See `Provider.stream`."""
        build, send = partial(self._body, request), partial(self._send, request.model)
        decoder_of = partial(GeminiDecoder, asked=asked_of(request))
        return relay(request.model, self._dialect, build, send, decoder_of, translated, request)

    async def list_models(self) -> frozenset[str]:
        """See `Provider.list_models`."""
        names: set[str] = set()
        page = ""
        for _ in range(PAGE_LIMIT):
            path = f"models?pageSize=100&pageToken={quote(page)}" if page else "models?pageSize=100"
            models = await call(self._client, "get", path, {}, _Models, model=None)
            names.update(model.name.removeprefix("models/") for model in models.models or ())
            page = models.next_page_token
            if not page:
                break
        return frozenset(names)

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        # the SDK does not close an HTTP client that was passed to it
        await self._http_client.aclose()
        self._client.close()

    def _body(self, request: ChatRequest, steps: Steps) -> Body:
        system, turns = alternating(request.messages, steps)
        body: Body = {"contents": tools.contents(turns, request.model, steps), **tools.parameters(request)}
        if system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        config = tools.generation(request, steps)
        if request.max_tokens is not None:
            config["maxOutputTokens"] = request.max_tokens
        if thinking := thinking_of(request.reasoning, request.model, request.max_tokens, steps):
            config["thinkingConfig"] = thinking
        if config:
            body["generationConfig"] = config
        return body

    async def _send(self, model: str, body: Body) -> httpx2.Response:
        # The SDK's streaming methods return parsed models only. These two methods below them build the request
        # (address, key, headers) and send it (errors). All its methods use them, but they are not public, so contract
        # tests check both.
        sdk = self._client._api_client
        path = f"{model_path(model)}:streamGenerateContent?alt=sse"
        opened = await sdk._async_request(sdk._build_request("post", path, body), stream=True)
        return cast("httpx2.Response", opened.response_stream)


class _Model(msgspec.Struct):
    name: str


class _Models(msgspec.Struct, rename="camel"):
    models: list[_Model] | None = None
    next_page_token: str = ""
