"""The context that Ollama gives a model (`num_ctx`): large enough for the prompt, which is silently cut otherwise."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
from ollama import AsyncClient

from app.errors import ContextTooLong, ProviderError
from app.observe import event
from app.providers.ollama.client import call
from app.providers.ollama.description import NAME, OLLAMA
from app.values import ChatRequest, estimate_request

T = TypeVar("T")

DEFAULT_TOKENS = 2048
"""The least context that any version of Ollama gives a model by default. For a request that fits into it, no `num_ctx`
is sent, because Ollama loads the model again for a size other than the one it is loaded with."""
MARGIN = 1.25
"""Factor on the estimate of a prompt, which may be too low."""
REPLY_TOKENS = 1024
"""Room for a reply without a limit."""
CUT = 2
"""A prompt was cut if Ollama counts less than its estimate divided by this. No estimate is wrong by so much."""
STEP = 1024
"""Context sizes are multiples of this."""
LEAST_CUT_TOKENS = 512
"""Prompts with a shorter estimate are not checked for that."""
LOOK_SECONDS = 2.0
"""How long to wait for Ollama's answer about a model."""
MOST_MODELS = 256
"""Beyond this number of models, the sizes of all are forgotten."""

_NUM_CTX = re.compile(r"^num_ctx\s+(\d+)", re.MULTILINE)


class Contexts:
    """The context sizes of the models. They only grow, by doubling, since Ollama loads the model again for each."""

    def __init__(self, client: AsyncClient, configured: Mapping[str, int]) -> None:
        """`configured` are the sizes that the settings name."""
        self._client = client
        self._configured = configured
        self._sizes: dict[str, int] = {}
        self._cut: dict[str, int] = {}
        """Models that cut a prompt although `num_ctx` was large enough, with half of that prompt's estimate."""

    async def num_ctx(self, request: ChatRequest) -> int | None:
        """The `num_ctx` to send for `request`; None: send none, the default is enough. Raises `ContextTooLong` when the
        model's context cannot be made large enough."""
        if (configured := self._configured.get(request.model)) is not None:
            return configured
        model, needed = request.model, _needed(request)
        if model in self._cut:
            await self._believe(model, needed)
        if needed > self._sizes.get(model, DEFAULT_TOKENS):
            if len(self._sizes) > MOST_MODELS:
                self._sizes.clear()
            larger = await self._larger(request, needed)
            self._sizes[model] = max(larger, self._sizes.get(model, 0))
        return self._sizes.get(model)

    def counted(self, request: ChatRequest, tokens: int) -> None:
        """Ollama has counted `tokens` in the prompt of `request`. Remember it if the prompt was cut."""
        estimate = estimate_request(request)
        size = self._configured.get(request.model, self._sizes.get(request.model))
        filled = tokens == (size or DEFAULT_TOKENS) or (tokens < estimate and tokens % STEP == 0)
        if estimate < LEAST_CUT_TOKENS or not (filled or tokens * CUT < estimate):
            return
        event("provider.prompt_cut", provider=NAME, model=request.model, estimated=estimate, counted=tokens, limit=size)
        if size is None:
            # send `num_ctx` from now on
            self._sizes[request.model] = _doubled(_needed(request))
        elif len(self._cut) < MOST_MODELS:
            self._cut[request.model] = tokens if filled else estimate // CUT

    async def _larger(self, request: ChatRequest, needed: int) -> int:
        """A size that fits the request, within what the model can have."""
        shown, loaded = await asyncio.gather(self._shown(request.model), self._loaded(request.model))
        longest = shown.longest
        if longest is not None and needed > longest and (request.context_tokens or math.inf) > longest:
            raise _too_long(request.model, longest)
        own = max(loaded or 0, shown.own or 0)
        if own >= needed:
            return own
        return int(min(_doubled(needed), longest or math.inf, request.context_tokens or math.inf))

    async def _believe(self, model: str, needed: int) -> None:
        half = self._cut.pop(model)
        limit = await self._loaded(model) or half
        if needed > limit:
            raise _too_long(model, limit)

    async def _shown(self, model: str) -> _Shown:
        return await _look(call(self._client, "POST", "/api/show", {"model": model}, _Shown, model=model)) or _Shown()

    async def _loaded(self, model: str) -> int | None:
        """The context with which the model is loaded; None when it is not loaded or that is not known."""
        running = await _look(call(self._client, "GET", "/api/ps", None, _Running, model=model)) or _Running()
        names = (model, f"{model}{OLLAMA.alias_suffix}")
        return next((one.context_length for one in running.models if one.name in names), None)


class _Shown(msgspec.Struct):
    """The answer of `/api/show` for a model."""

    parameters: str = ""
    model_info: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def longest(self) -> int | None:
        """The longest context that the model supports."""
        sizes = (value for name, value in self.model_info.items() if name.endswith(".context_length"))
        return next((size for size in sizes if isinstance(size, int) and size > 0), None)

    @property
    def own(self) -> int | None:
        """The context that the Modelfile sets."""
        named = _NUM_CTX.search(self.parameters)
        return int(named[1]) if named else None


class _Loaded(msgspec.Struct):
    name: str
    context_length: int | None = None


class _Running(msgspec.Struct):
    """The answer of `/api/ps`. Versions before 0.11 do not name the context."""

    models: list[_Loaded] = msgspec.field(default_factory=list)


async def _look(answer: Awaitable[T]) -> T | None:
    """The answer, or None when there is none: servers that imitate Ollama lack these paths."""
    with suppress(ProviderError, TimeoutError):
        async with asyncio.timeout(LOOK_SECONDS):
            return await answer
    return None


def _needed(request: ChatRequest) -> int:
    return math.ceil(estimate_request(request) * MARGIN) + (request.max_tokens or REPLY_TOKENS)


def _doubled(tokens: int) -> int:
    """The first of 4096, 8192, … that is at least `tokens`."""
    size = 2 * DEFAULT_TOKENS
    while size < tokens:
        size *= 2
    return size


def _too_long(model: str, limit: int) -> ContextTooLong:
    error = ContextTooLong(f"the model has a context of {limit} tokens", provider=NAME, model=model)
    error.limit = limit
    return error
