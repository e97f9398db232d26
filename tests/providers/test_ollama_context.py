"""The context that Ollama is told to give a model, and the prompt that it cuts without a word."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import ContextTooLong
from app.providers.base import Provider
from app.providers.description import Configuration
from app.providers.factory import make_providers
from app.providers.ollama.context import LEAST_CUT_TOKENS
from app.values import ChatRequest, Finish, Message, Usage
from tests.support.raw_upstream import Exchange, raw_upstream

pytestmark = pytest.mark.usefixtures("default_log")

CONTEXT = 16_384
"""What is asked to be fitted, as for a model of which nothing is known."""


class Ollama:
    """As the real one, except that a token is four characters: a prompt beyond the context is cut to it."""

    def __init__(self, *, longest: int | None = 131_072, parameters: str = "", default: int = 4096) -> None:
        self.longest = longest
        self.parameters = parameters
        self.default = default
        self.loaded: int | None = None
        """The context that the model is loaded with."""
        self.loads: list[int] = []
        self.chats: list[Any] = []
        self.says_context = True
        self.ignores_num_ctx = False

    async def answer(self, exchange: Exchange) -> None:
        if exchange.path == "/api/chat":
            self._chat(exchange)
        elif self.longest is None:
            exchange.reply(404, b'{"error": "not here"}')
        elif exchange.path == "/api/show":
            info = {"general.architecture": "llama", "llama.context_length": self.longest}
            self._reply(exchange, {"parameters": self.parameters, "model_info": info, "template": "…"})
        elif exchange.path == "/api/ps":
            size = {"context_length": self.loaded} if self.says_context else {}
            self._reply(exchange, {"models": [{"name": "m:latest", **size}] if self.loaded else []})

    def _chat(self, exchange: Exchange) -> None:
        body = exchange.json
        self.chats.append(body)
        wanted = None if self.ignores_num_ctx else body.get("options", {}).get("num_ctx")
        size = min(wanted or self.default, self.longest or 1_000_000)
        if size != self.loaded:
            self.loaded = size
            self.loads.append(size)
        prompt = sum(len(message["content"]) // 4 + 5 for message in body["messages"])
        line = {"message": {"content": "Hi"}, "done": True, "done_reason": "stop", "eval_count": 1}
        exchange.start(content_type="application/x-ndjson")
        exchange.send(json.dumps({**line, "prompt_eval_count": min(prompt, size)}).encode() + b"\n")

    @staticmethod
    def _reply(exchange: Exchange, body: object) -> None:
        exchange.reply(200, json.dumps(body).encode())

    @property
    def sent(self) -> list[int | None]:
        """The `num_ctx` of each chat."""
        return [chat.get("options", {}).get("num_ctx") for chat in self.chats]


@asynccontextmanager
async def served(ollama: Ollama, configured: int | None = None) -> AsyncIterator[Provider]:
    async with raw_upstream(ollama.answer) as upstream:
        contexts = {} if configured is None else {("ollama", "m"): configured}
        settings = Configuration({"OLLAMA_BASE_URL": upstream.url}, context_tokens=contexts)
        provider = make_providers(settings)["ollama"]
        yield provider
        await provider.aclose()


async def ask(provider: Provider, tokens: int, max_tokens: int | None = None, context: int | None = CONTEXT) -> Finish:
    request = ChatRequest("m", (Message("user", "x" * 4 * tokens),), max_tokens, context_tokens=context)
    events = [event async for event in provider.stream(request)]
    assert isinstance(events[-1], Finish)
    return events[-1]


async def test_a_short_prompt_is_left_to_ollama() -> None:
    ollama = Ollama()
    async with served(ollama) as provider:
        await ask(provider, 500)
    assert ollama.sent == [None]


@pytest.mark.parametrize(
    ("tokens", "max_tokens", "size"),
    [(1_500, None, 4096), (5_000, None, 8192), (500, 4_000, 8192), (12_000, 4_000, CONTEXT)],
)
async def test_a_longer_one_is_read_whole(tokens: int, max_tokens: int | None, size: int) -> None:
    ollama = Ollama(default=2048)
    async with served(ollama) as provider:
        finish = await ask(provider, tokens, max_tokens)
    assert ollama.sent == [size]
    assert finish.usage == Usage(tokens + 5, 1)


async def test_a_growing_conversation_loads_the_model_seldom() -> None:
    ollama = Ollama()
    async with served(ollama) as provider:
        for tokens in (*range(200, 12_000, 200), 100, 5_000):
            finish = await ask(provider, tokens)
            assert finish.usage is not None
            assert finish.usage.prompt_tokens == tokens + 5
    assert ollama.loads == [4096, 8192, CONTEXT]


async def test_many_at_once_load_it_once() -> None:
    ollama = Ollama()
    async with served(ollama) as provider:
        await asyncio.gather(*(ask(provider, 5_000) for _ in range(20)))
    assert ollama.loads == [8192]


async def test_what_the_settings_name_is_sent_always() -> None:
    ollama = Ollama()
    async with served(ollama, configured=6_000) as provider:
        for tokens in (10, 4_000):
            await ask(provider, tokens, context=6_000)
    assert ollama.sent == [6_000, 6_000]
    assert ollama.loads == [6_000]


async def test_a_model_that_is_loaded_with_enough_is_not_loaded_anew() -> None:
    ollama = Ollama(default=32_768)
    async with served(ollama) as provider:
        for tokens in (10, 8_000, 12_000):
            await ask(provider, tokens)
    assert ollama.loads == [32_768]


async def test_the_context_that_a_modelfile_names_is_kept() -> None:
    ollama = Ollama(parameters='stop "<|im_end|>"\nnum_ctx      10000\ntemperature 0.7', default=10_000)
    async with served(ollama) as provider:
        await ask(provider, 4_000)
    assert ollama.sent == [10_000]


async def test_a_model_with_less_than_is_needed_refuses_before_it_is_asked() -> None:
    ollama = Ollama(longest=8192)
    async with served(ollama) as provider:
        with pytest.raises(ContextTooLong) as refused:
            await ask(provider, 9_000)
        assert refused.value.limit == 8192
        assert ollama.chats == []
        await ask(provider, 5_000, context=8192)
    assert ollama.sent == [8192]


async def test_a_stand_in_that_says_nothing_of_its_models_is_asked_all_the_same() -> None:
    ollama = Ollama(longest=None)
    async with served(ollama) as provider:
        await ask(provider, 5_000)
    assert ollama.sent == [8192]


# ── a prompt that was cut ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_prompt_that_was_cut_is_said_and_the_next_one_is_read_whole() -> None:
    """Such as by an Ollama that gives its models little by its own settings."""
    ollama = Ollama(default=300)
    async with served(ollama) as provider:
        with capture_logs() as logs:
            await ask(provider, 700)
        (cut,) = [log for log in logs if log["event"] == "provider.prompt_cut"]
        assert (cut["model"], cut["estimated"], cut["counted"], cut["limit"]) == ("m", 705, 300, None)
        finish = await ask(provider, 700)
    assert finish.usage == Usage(705, 1)
    assert ollama.sent == [None, 4096]


@pytest.mark.parametrize("says_context", [True, False], ids=["said", "not said"])
async def test_when_ollama_does_not_take_the_size_the_next_prompt_is_shorter(says_context: bool) -> None:
    ollama = Ollama(default=2048)
    ollama.ignores_num_ctx, ollama.says_context = True, says_context
    async with served(ollama) as provider:
        with capture_logs() as logs:
            await ask(provider, 6_000)
        assert [log["limit"] for log in logs if log["event"] == "provider.prompt_cut"] == [16_384]
        with pytest.raises(ContextTooLong) as refused:
            await ask(provider, 6_000)
        assert refused.value.limit == 2048


@pytest.mark.parametrize(
    ("tokens", "counted"), [(LEAST_CUT_TOKENS - 10, 1), (4_000, 2_100), (4_000, 9_000), (7_000, 7_168)]
)
async def test_a_count_that_differs_from_the_estimate_is_no_cut(tokens: int, counted: int) -> None:
    assert await cuts_said(tokens, counted) == []


@pytest.mark.parametrize(("tokens", "counted"), [(6_000, 4_096), (3_000, 2_048), (700, 2_048), (9_000, 8_192)])
async def test_a_prompt_that_is_exactly_a_context_was_cut(tokens: int, counted: int) -> None:
    """Whatever share of it was left out: text may have more tokens than are estimated, too."""
    assert [log["counted"] for log in await cuts_said(tokens, counted)] == [counted]


async def cuts_said(tokens: int, counted: int) -> list[Any]:
    """What is said of prompts that were cut, when Ollama has counted so many tokens."""

    async def answer(exchange: Exchange) -> None:
        if exchange.path != "/api/chat":
            exchange.reply(404, b"{}")
            return
        line = {"message": {"content": "Hi"}, "done": True, "prompt_eval_count": counted, "eval_count": 1}
        exchange.start(content_type="application/x-ndjson")
        exchange.send(json.dumps(line).encode() + b"\n")

    async with raw_upstream(answer) as upstream:
        provider = make_providers(Configuration({"OLLAMA_BASE_URL": upstream.url}))["ollama"]
        with capture_logs() as logs:
            await ask(provider, tokens)
        await provider.aclose()
    return [log for log in logs if log["event"] == "provider.prompt_cut"]
