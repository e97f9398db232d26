"""Reads what a provider answers: a stream through its decoder, or one JSON document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Protocol, TypeVar

import msgspec

from app.errors import BrokenStream
from app.messages import Delta, Finish, ProviderName
from app.providers.transport import TRANSPORT_ERRORS
from app.providers.wire.decoder import Decoder

T = TypeVar("T")

REST_TIMEOUT_SECONDS = 0.1
"""How long a finished stream may take to end by itself, so that its connection can be used again."""

LAST_EVENTS_SECONDS = 10.0
"""How long to wait, once the reason to finish is known, for the usage and the end of the stream. Below the deadline
between two tokens: the reply is whole, so a server that leaves its connection open has not failed."""

# the loop keeps only weak references to tasks, and these outlive the generator that started them
_closing: set[asyncio.Task[None]] = set()


class Response(Protocol):
    """The part of httpx's and httpx2's responses that a stream needs."""

    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def stream(self) -> object: ...

    def aiter_bytes(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


async def relay(
    open_: Callable[[], Awaitable[Response]], decoder: Decoder, translated: AbstractContextManager[None]
) -> AsyncGenerator[Delta | Finish]:
    """Open a stream and yield what `decoder` reads from it, as `Provider.stream` promises.

    Errors while opening are translated by `translated`. Whatever ends the generator also ends the connection, and a
    second cancellation does not interrupt that.
    """
    with translated:
        response = await open_()
    chunks = _reads(response)
    try:
        while True:
            try:
                data = await (_last(chunks) if decoder.complete else anext(chunks, None))
            except TRANSPORT_ERRORS as exc:
                if not decoder.complete:
                    message = f"the connection was lost: {type(exc).__name__}"
                    raise BrokenStream(message, provider=decoder.provider, model=decoder.model) from exc
                data = None
            for event in decoder.eof() if data is None else decoder.feed(data):
                yield event
            if decoder.finished:
                return
    finally:
        closing = asyncio.create_task(_close(response, chunks, decoder.finished))
        _closing.add(closing)
        closing.add_done_callback(_closing.discard)
        await asyncio.shield(closing)


def _reads(response: Response) -> AsyncIterator[bytes]:
    """The body, read by read. The response's own way goes through three more generators, only to decompress."""
    body = response.stream
    if "content-encoding" in response.headers or not isinstance(body, AsyncIterable):
        return response.aiter_bytes()
    return aiter(body)


async def _last(chunks: AsyncIterator[bytes]) -> bytes | None:
    async with asyncio.timeout(LAST_EVENTS_SECONDS):
        return await anext(chunks, None)


async def _close(response: Response, chunks: AsyncIterator[bytes], finished: bool) -> None:
    with suppress(*TRANSPORT_ERRORS):
        if finished:
            async with asyncio.timeout(REST_TIMEOUT_SECONDS):
                async for _ in chunks:
                    pass
    with suppress(*TRANSPORT_ERRORS):
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
        await response.aclose()


def document(body: bytes | str, type_: type[T], *, provider: ProviderName, model: str | None) -> T:
    """The JSON document `body` as a `type_`. Raises `BrokenStream` when it is none."""
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BrokenStream("the answer could not be decoded", provider=provider, model=model) from exc
