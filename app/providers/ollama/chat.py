"""Chat with Ollama: the official client's connection carries the stream, our decoder reads it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

import httpx
from ollama import AsyncClient

from app.providers.answers import names_in, relay
from app.providers.dialect import Body, Dialect, Steps, form, per_effort
from app.providers.ollama import tools
from app.providers.ollama.client import call, send, translated
from app.providers.ollama.context import Contexts
from app.providers.ollama.description import NAME
from app.providers.ollama.wire import OllamaDecoder
from app.providers.turns import SYSTEM, alternating, in_one_list
from app.values import ChatRequest, ReasoningEffort, StreamItem

EFFORTS = per_effort("think")
"""Models without thinking refuse the option; versions before 0.11 refuse a level."""


class OllamaProvider:
    """Ollama's own API. Its OpenAI-compatible API lacks some of the options."""

    name = NAME

    def __init__(self, client: AsyncClient, contexts: Contexts) -> None:
        self._client = client
        self._contexts = contexts
        self._dialect = Dialect(*EFFORTS.values(), SYSTEM)

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        """See `Provider.stream`."""
        build, send = partial(self._body, request), partial(self._send, request)
        read = partial(self._contexts.counted, request)
        decoder_of = partial(OllamaDecoder, read=read, asked=tools.asked(request))
        return relay(request.model, self._dialect, build, send, decoder_of, translated, request)

    async def list_models(self) -> frozenset[str]:
        """The models that have been pulled. A model tagged `latest` is listed also without the tag."""
        names = names_in(await call(self._client, "GET", "/api/tags", None, Any, model=None), provider=self.name)
        return frozenset(names | {name.removesuffix(":latest") for name in names})

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        await self._client.close()  # type: ignore[no-untyped-call]

    def _body(self, request: ChatRequest, steps: Steps) -> Body:
        messages = in_one_list(*alternating(request.messages, steps), tools.called, tools.result)
        body: Body = {"model": request.model, "messages": messages, "stream": True, **tools.parameters(request)}
        if options := tools.options(request):
            body["options"] = options
        if request.reasoning is not None:
            think = form(steps, EFFORTS[request.reasoning], _thinking(request.reasoning, request.model))
            if think is not None:
                body["think"] = think
        return body

    async def _send(self, request: ChatRequest, body: Body) -> httpx.Response:
        if (num_ctx := await self._contexts.num_ctx(request)) is not None:
            body = {**body, "options": tools.options(request) | {"num_ctx": num_ctx}}
        return await send(self._client, "POST", "/api/chat", body, model=request.model, stream=True)


def _thinking(effort: ReasoningEffort, model: str) -> tuple[bool | str | None, ...]:
    """The values of `think`, the best first. gpt-oss has levels and no off: https://docs.ollama.com/capabilities/thinking"""
    if effort == "off":
        return ("low", None) if "gpt-oss" in model else (False, None)
    return (effort, True, None)
