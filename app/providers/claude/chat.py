"""Chat with Claude: Anthropic's official SDK opens the stream, our decoder reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, cast

import httpx2
import msgspec
from anthropic import AsyncAnthropic, AsyncStream

from app.providers.answers import Response, document, names_in, relay
from app.providers.call_ids import plain
from app.providers.claude import tools
from app.providers.claude.client import translated
from app.providers.claude.description import NAME
from app.providers.claude.reasoning import EFFORTS, LIMIT, Beside, reasoning_of, with_format
from app.providers.claude.wire import ClaudeDecoder
from app.providers.dialect import Body, Dialect, Steps
from app.providers.transport import ANSWER_TIMEOUT_SECONDS, through
from app.providers.turns import SYSTEM, alternating
from app.values import ChatRequest, StreamItem

PATH = "/v1/messages"


class ClaudeProvider:
    """Anthropic's messages API."""

    name = NAME

    def __init__(self, client: AsyncAnthropic) -> None:
        self._client = client
        efforts = (option for efforts in EFFORTS.values() for option in efforts.values())
        self._dialect = Dialect(*tools.OPTIONS, *efforts, LIMIT, SYSTEM)

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        """See `Provider.stream`."""
        build = partial(self._body, request)
        decoder_of = partial(ClaudeDecoder, asked=tools.asked(request))
        return relay(request.model, self._dialect, build, self._send, decoder_of, translated, request)

    async def list_models(self) -> frozenset[str]:
        """See `Provider.list_models`. Anthropic has far fewer than the 1000 models of a page."""
        with translated(None):
            async with asyncio.timeout(ANSWER_TIMEOUT_SECONDS):
                answer = await self._client.get("/v1/models?limit=1000", cast_to=httpx2.Response)
        return names_in(document(answer.content, Any, provider=self.name, model=None), provider=self.name)

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        await self._client.close()

    def _body(self, request: ChatRequest, steps: Steps) -> Body:
        system, turns = alternating(request.messages, steps, plain)
        body: Body = {
            "model": request.model,
            "messages": [{"role": turn.speaker, "content": tools.content(turn)} for turn in turns],
            "stream": True,
            **tools.parameters(request, turns, steps),
        }
        beside: Beside = "forced" if tools.forces(body) else "tools" if "tools" in body else "nothing"
        answers = bool(turns and turns[-1].results)
        reasoning = reasoning_of(request.reasoning, request.model, request.max_tokens, steps, beside, answers=answers)
        output = tools.output_format(request, steps)
        body |= reasoning if output is None else with_format(reasoning, output)
        if system:
            body["system"] = system
        return body

    async def _send(self, body: Body) -> Response:
        content = msgspec.json.encode(body)
        return await through(self._client._client, PATH, content, partial(self._by_sdk, content))

    async def _by_sdk(self, content: bytes) -> httpx2.Response:
        # the SDK's method for requests without a method of their own, see `app/providers/openai/chat.py`
        opened = await self._client.post(
            PATH, cast_to=httpx2.Response, content=content, stream=True, stream_cls=AsyncStream[object]
        )
        return cast("httpx2.Response", opened)
