"""Chat with OpenAI and compatible servers: the official SDK opens the stream, our decoder reads it."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, cast

import httpx2
import msgspec
from openai import AsyncOpenAI, AsyncStream

from app.providers.answers import Response, names_in, relay
from app.providers.dialect import Body, Dialect, Option, Steps, form
from app.providers.openai import tools
from app.providers.openai.client import OWN_HOSTS, call, translated
from app.providers.openai.description import NAME
from app.providers.openai.reasoning import EFFORTS, EFFORTS_BESIDE_TOOLS, SWITCH, TEMPLATE, reasoning_of
from app.providers.openai.wire import OpenAIDecoder
from app.providers.transport import through
from app.providers.turns import SYSTEM, alternating, in_one_list
from app.providers.wire.calls import asked_of
from app.values import ChatRequest, StreamItem

USAGE = Option("stream_options", re.compile("stream_?options|include_?usage", re.IGNORECASE), by_name=True)
STREAM = Option(
    "stream",
    re.compile(r"\bstream(ing)?\b", re.IGNORECASE),
    # OpenAI: new models for organizations that are not verified, and the first reasoning models
    re.compile("verified to stream|(not|n't) support|unsupported", re.IGNORECASE),
)
LIMIT = Option(
    "max_tokens",
    re.compile("max_?(completion_?)?tokens", re.IGNORECASE),
    # only refusals of the name: when the value is too large, the request is wrong
    re.compile(
        r"^(?!.*(too |at (most|least)|m(ax|in)imum|less than|greater|between|exceed|must be))"
        r".*(un(supported|known|expected|recogni[sz]ed)|not (supported?|permitted|allowed)|extra|deprecated|forbidden)",
        re.IGNORECASE,
    ),
)
PATH = "/chat/completions"


class OpenAIProvider:
    """OpenAI's chat completions. The newer responses API is not used, because compatible servers lack it."""

    name = NAME

    def __init__(self, client: AsyncOpenAI) -> None:
        self._client = client
        self._host = client.base_url.host
        self._own = self._host.endswith(tuple(OWN_HOSTS))
        efforts = (*EFFORTS.values(), *EFFORTS_BESIDE_TOOLS.values())
        self._dialect = Dialect(USAGE, STREAM, LIMIT, TEMPLATE, SWITCH, *efforts, *tools.OPTIONS, SYSTEM)

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        """See `Provider.stream`."""
        build = partial(self._body, request)
        decoder_of = partial(OpenAIDecoder, asked=asked_of(request))
        return relay(request.model, self._dialect, build, self._send, decoder_of, translated, request)

    async def list_models(self) -> frozenset[str]:
        """See `Provider.list_models`."""
        return names_in(await call(self._client, "get", "/models", None, Any, model=None), provider=self.name)

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        await self._client.close()

    def _body(self, request: ChatRequest, steps: Steps) -> Body:
        streams = form(steps, STREAM, (True, False))
        system, turns = alternating(request.messages, steps, tools.accepted_ids(steps, own=self._own))
        called = partial(tools.called, host=self._host, model=request.model, steps=steps)
        messages = in_one_list(system, tools.acknowledged(turns, steps), called, tools.result)
        body: Body = {"model": request.model, "messages": messages, "stream": streams}
        if streams and form(steps, USAGE, (True, False)):
            body["stream_options"] = {"include_usage": True}
        if request.max_tokens is not None:
            # OpenAI's newer models refuse `max_tokens`; most other servers know only that
            names = ("max_completion_tokens", "max_tokens") if self._own else ("max_tokens", "max_completion_tokens")
            if name := form(steps, LIMIT, (*names, None)):
                body[name] = request.max_tokens
        if request.reasoning is not None:
            efforts = EFFORTS_BESIDE_TOOLS if request.tools else EFFORTS
            body |= reasoning_of(request.reasoning, request.model, self._host, efforts, steps, own=self._own)
        return body | tools.parameters(request, steps)

    async def _send(self, body: Body) -> Response:
        content = msgspec.json.encode(body)
        return await through(self._client._client, PATH, content, partial(self._by_sdk, content))

    async def _by_sdk(self, content: bytes) -> httpx2.Response:
        # The SDK's method for requests without a method of their own returns the raw response, so its models and event
        # objects are avoided: docs/decisions/0004-token-path.md. Its types do not say so, hence the cast.
        opened = await self._client.post(
            PATH, cast_to=httpx2.Response, content=content, stream=True, stream_cls=AsyncStream[object]
        )
        return cast("httpx2.Response", opened)
