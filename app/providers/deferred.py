"""Deferred providers: made when they are first used, since importing an SDK takes up to a second."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

from app.providers.base import Embedder, EmbeddingKind, Moderator, Provider, Verdict
from app.values import ChatRequest, ProviderName, StreamItem

T = TypeVar("T")

# when two threads import packages that import each other, one may see a half-imported package
_one_at_a_time = threading.Lock()


class Deferred(Generic[T]):
    """A value that `make` makes once, in a thread, when it is first needed."""

    def __init__(self, make: Callable[[], T]) -> None:
        self.value: T | None = None
        self._make = make
        self._making: asyncio.Future[T] | None = None

    async def get(self) -> T:
        """The value. Cancelling a caller does not stop `make`, since other callers may wait for it."""
        if self.value is None:
            if self._making is None:
                self._making = _in_a_thread(self._made)
            self.value = await asyncio.shield(self._making)
        return self.value

    def _made(self) -> T:
        with _one_at_a_time:
            return self._make()


class DeferredProvider:
    """A `Provider` whose SDK is imported with the first call, or by `warm`."""

    def __init__(self, name: ProviderName, make: Callable[[], Provider]) -> None:
        self.name: ProviderName = name
        self._provider = Deferred(make)

    def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        """See `Provider.stream`."""
        provider = self._provider.value
        return self._first_stream(request) if provider is None else provider.stream(request)

    async def warm(self) -> None:
        """Import the SDK and make the client now, without a request to the provider."""
        await self._provider.get()

    async def list_models(self) -> frozenset[str]:
        """See `Provider.list_models`."""
        return await (await self._provider.get()).list_models()

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        if (provider := self._provider.value) is not None:
            await provider.aclose()

    async def _first_stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        events = (await self._provider.get()).stream(request)
        try:
            async for event in events:
                yield event
        finally:
            await events.aclose()


class DeferredEmbedder:
    """An `Embedder` whose SDK is imported with the first call."""

    def __init__(self, model: str, make: Callable[[], Embedder]) -> None:
        self.model = model
        self._embedder = Deferred(make)

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        """See `Embedder.embed`."""
        return await (await self._embedder.get()).embed(texts, kind)

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        if (embedder := self._embedder.value) is not None:
            await embedder.aclose()


class DeferredModerator:
    """A `Moderator` whose SDK is imported with the first call."""

    def __init__(self, make: Callable[[], Moderator]) -> None:
        self._moderator = Deferred(make)

    async def check(self, text: str) -> Verdict:
        """See `Moderator.check`."""
        return await (await self._moderator.get()).check(text)

    async def aclose(self) -> None:
        """See `Moderator.aclose`."""
        if (moderator := self._moderator.value) is not None:
            await moderator.aclose()


def _in_a_thread(make: Callable[[], T]) -> asyncio.Future[T]:
    """What `make` returns. Its thread is a daemon: unlike those of asyncio, it does not keep a process that is about to
    end waiting for an import."""
    loop = asyncio.get_running_loop()
    made: asyncio.Future[T] = loop.create_future()

    def tell(say: Callable[[Any], None], result: object) -> None:
        if not made.done():
            say(result)

    def run() -> None:
        try:
            say, result = made.set_result, make()
        except BaseException as error:
            say, result = made.set_exception, error  # type: ignore[assignment]
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(tell, say, result)

    threading.Thread(target=run, daemon=True, name="deferred").start()
    return made
