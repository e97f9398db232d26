"""Answers: sends a request to a provider and reads the answer, a stream through its decoder or one JSON document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol, TypeVar

import msgspec

from app.errors import BrokenStream, ProviderError
from app.exchange import Exchange
from app.providers.arrivals import through
from app.providers.closing import closes_at_once
from app.providers.dialect import Body, Dialect, Steps
from app.providers.parameters import check_depth, has_structure, named_refusal
from app.providers.transport import EXCHANGE, TRANSPORT_ERRORS
from app.providers.wire.decoder import ALIVE, Decoder
from app.values import ChatRequest, Opened, ProviderName, StreamItem

T = TypeVar("T")

REST_TIMEOUT_SECONDS = 0.1
"""How long to wait for a finished stream to end by itself, so that its connection can be used again."""

LAST_EVENTS_SECONDS = 10.0
"""How long to wait, after the reason to finish, for the usage, for the end of the stream, or for more text: some
providers send text after a reason. It must be less than the deadline between two tokens, because the reply is complete
and a server that leaves its connection open has not failed."""

LAST_EVENTS_LIMIT_SECONDS = 60.0
"""The limit for the whole wait, for servers that keep sending signs of life."""

OPENED = Opened()

# the event loop keeps only weak references to tasks, and these tasks outlive the generators that start them
_closing: set[asyncio.Task[None]] = set()


class Response(Protocol):
    """The part of httpx's and httpx2's responses that a stream needs."""

    @property
    def extensions(self) -> Mapping[str, Any]: ...

    def aiter_bytes(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None: ...


@closes_at_once
async def relay(
    model: str,
    dialect: Dialect,
    build: Callable[[Steps], Body],
    send: Callable[[Body], Awaitable[Response]],
    decoder_of: Callable[[str], Decoder[Any]],
    translated: Callable[[str], AbstractContextManager[None]],
    request: ChatRequest | None = None,
) -> AsyncGenerator[StreamItem]:
    """Send the request to `model` and yield the items of its stream, as `Provider.stream` specifies.

    `translated` translates errors of sending. When the server refuses a part of the request that `dialect` knows, the
    request is sent again without that part; when it refuses a parameter of `request` that must not be left out, it is
    a `ParameterRefused`. The request's tally learns what the provider counts while it streams, and its `take` is
    offered the items as they arrive. However the generator ends, the connection is closed; a second cancellation does
    not interrupt that.
    """
    steps = dialect.steps(model)
    body = build(steps)
    if request is not None and has_structure(request):
        check_depth(body, request, decoder_of(model).provider)
    while True:
        try:
            with translated(model):
                response = await send(body)
        except ProviderError as error:
            if (fewer := dialect.conceded(error, steps, body, build)) is None:
                raise _named(error, request) from error.__cause__
            steps, body = fewer
            continue
        decoder = decoder_of(model)
        if request is not None and request.tally is not None:
            request.tally.take(decoder.counted_so_far)
        exchange = _plain(response)
        chunks = response.aiter_bytes() if exchange is None else exchange
        take = request.take if request is not None else None
        answered = False
        until: float | None = None
        try:
            yield OPENED
            while True:
                if answered and exchange is not None and take is not None and not decoder.complete:
                    # nearly all of a reply passes here, without waking this task
                    items, failure = await through(exchange, decoder, take)
                    for item in items:
                        yield item
                    if failure is not None:
                        raise failure
                    if decoder.finished:
                        return
                    if items:
                        continue
                try:
                    if decoder.complete:
                        until = until or asyncio.get_running_loop().time() + LAST_EVENTS_LIMIT_SECONDS
                        data = await _last(chunks, until)
                    else:
                        until = None
                        data = await anext(chunks)
                except StopAsyncIteration:
                    data = None
                except TRANSPORT_ERRORS as exc:
                    if not decoder.complete:
                        message = f"the connection was lost: {type(exc).__name__}"
                        raise BrokenStream(message, provider=decoder.provider, model=model) from exc
                    data = None
                for event in decoder.eof() if data is None else decoder.feed(data):
                    if not answered and event is not ALIVE:
                        answered = True
                        if steps:
                            dialect.keep(model, steps)
                    yield event
                if decoder.finished:
                    return
        except ProviderError as error:
            if answered:
                raise
            if (fewer := dialect.conceded(error, steps, body, build)) is None:
                raise _named(error, request) from error.__cause__
            steps, body = fewer
        finally:
            if exchange is None:
                closing = asyncio.create_task(_close(response, chunks, decoder.finished))
                _closing.add(closing)
                closing.add_done_callback(_closing.discard)
                await asyncio.shield(closing)
            elif decoder.finished:
                await exchange.leave(REST_TIMEOUT_SECONDS)
            else:
                exchange.close()


def _named(error: ProviderError, request: ChatRequest | None) -> ProviderError:
    return error if request is None else named_refusal(error, request)


def _plain(response: Response) -> Exchange | None:
    """The exchange that brings the body, unless that is compressed or aiohttp reads it."""
    exchange = response.extensions.get(EXCHANGE)
    if not isinstance(exchange, Exchange) or exchange.header(b"content-encoding") is not None:
        return None
    return exchange


async def _last(chunks: AsyncIterator[bytes], until: float) -> bytes:
    """The next read after the reason to finish. Raises `TimeoutError`."""
    async with asyncio.timeout_at(min(asyncio.get_running_loop().time() + LAST_EVENTS_SECONDS, until)):
        return await anext(chunks)


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
    """Decode the JSON document `body` as `type_`. Raises `BrokenStream` when that is not possible."""
    try:
        return msgspec.json.decode(body, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise BrokenStream("the answer could not be decoded", provider=provider, model=model) from exc


def names_in(listing: object, *, provider: ProviderName) -> frozenset[str]:
    """The names in a list of models: an array (Together), or an object whose `data` (OpenAI), `models` (Ollama, Cohere)
    or `result` (Cloudflare) is an array or null, which means an empty list. Raises `BrokenStream` for anything else."""
    if isinstance(listing, dict):
        listing = next((listing[name] or [] for name in ("data", "models", "result") if name in listing), None)
    if not isinstance(listing, list):
        raise BrokenStream("the answer is not a list of models", provider=provider)
    return frozenset(name for entry in listing if (name := _name_of(entry)))


def _name_of(entry: object) -> str | None:
    names = [entry.get(field) for field in ("id", "name", "model")] if isinstance(entry, dict) else [entry]
    return next((name for name in names if isinstance(name, str) and name), None)
