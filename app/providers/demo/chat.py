"""Chat without an AI provider: a fresh installation answers with this until a key is set, and every reply says so."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator

from app.errors import ParameterRefused
from app.providers.demo.description import NAME
from app.providers.parameters import refusal
from app.providers.registry import PROVIDERS
from app.values import ChatRequest, Delta, Finish, Message, Usage

PACE_SECONDS = 0.025
"""The pause between two words, so that the demo writes about as fast as a real model."""

_QUOTE_LIMIT = 200
_PASSAGES = re.compile(r"<passages>\n(.*?)\n?</passages>", re.DOTALL)
_PASSAGE = re.compile(r"^(\[\d+\]) .*\n> Title: (.*)\n((?:>.*\n?)*)", re.MULTILINE)


class DemoProvider:
    """Streams, word by word, a fixed notice, the user's message, and the passages found in their documents."""

    name = NAME

    def __init__(self, pace: float = PACE_SECONDS) -> None:
        self._pace = pace

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Delta | Finish]:
        """See `Provider.stream`. A word counts as a token, both for the usage and for the limit."""
        if request.response_format not in (None, "text"):
            raise _refused("response_format")
        if request.tools and request.tool_choice != "none":
            raise _refused("tools")
        words = re.findall(r"\s*\S+", _reply(request))
        limit = len(words) if request.max_tokens is None else request.max_tokens
        for word in words[:limit]:
            yield Delta(word)
            await asyncio.sleep(self._pace)
        prompt = sum(len(message.content.split()) for message in request.messages)
        usage = Usage(prompt, min(limit, len(words)))
        yield Finish("stop" if limit >= len(words) else "length", usage)

    async def list_models(self) -> frozenset[str]:
        """See `Provider.list_models`."""
        return frozenset({NAME})

    async def aclose(self) -> None:
        """Nothing is open."""


def _refused(parameter: str) -> ParameterRefused:
    return refusal(parameter, "the demo has no model", provider=NAME, model=NAME)


def _reply(request: ChatRequest) -> str:
    paragraphs = [_notice()]
    said = [message for message in request.messages if message.role == "user"]
    if said and (question := _PASSAGES.sub("", said[-1].content).strip()):
        paragraphs.append(f"You wrote: “{_shortened(question)}”")
    passages = _passages(said)
    if passages:
        quotes = "\n".join(f"- {passage}" for passage in passages)
        paragraphs.append(f"Your documents say about it:\n\n{quotes}")
    return "\n\n".join(paragraphs)


def _notice() -> str:
    enabling = [description.enabled_by.name for description in PROVIDERS if description.enabled_by is not None]
    return (
        "This is Parley's offline demo: no AI provider is configured, so no model has read your message. "
        f"Set {', '.join(enabling[:-1])} or {enabling[-1]} in .env and start again for real replies."
    )


def _passages(messages: list[Message]) -> list[str]:
    """The passages in the prompt, each as `[n] title: text`, shortened."""
    blocks = [block for message in messages for block in _PASSAGES.findall(message.content)]
    found = [passage for block in blocks for passage in _PASSAGE.findall(block)]
    return [
        _shortened(f"{number} {title}: {re.sub('^> ?', '', lines, flags=re.MULTILINE)}")
        for number, title, lines in found
    ]


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _QUOTE_LIMIT else text[:_QUOTE_LIMIT].rstrip() + "…"
