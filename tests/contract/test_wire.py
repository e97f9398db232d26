"""Every adapter against bytes that no polite mock sends: lost, late, broken, or more than was asked for."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from app.errors import BrokenStream, ContentFiltered, RequestRefused, ServerError
from app.providers import transport
from app.values import Delta, Finish, Opened, ProviderName, Usage
from tests.contract.conftest import ask, collect, heard, served
from tests.support.raw_upstream import Exchange
from tests.support.wires import WIRES, Wire

USAGE: dict[str, Usage] = {
    "openai": Usage(12, 34, 5),
    "claude": Usage(12, 34, 5),
    "gemini": Usage(12, 34, 5, 4),
    "ollama": Usage(12, 34),
}

SOON = 5
"""Seconds within which something must happen that happens at once."""


@pytest.fixture
def wire(adapter: ProviderName) -> Wire:
    return WIRES[adapter]


async def test_reply(adapter: ProviderName, wire: Wire) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening, wire.token, wire.token, wire.ending)

    async with served(adapter, answer) as (provider, upstream):
        text, finish = await collect(provider, ask())

    assert (text, finish.reason) == ("tokentoken", "stop")
    assert finish.usage == USAGE[adapter]
    assert (upstream.exchanges[0].method, upstream.exchanges[0].path) == ("POST", wire.path)


async def test_headers_are_a_sign_of_life(adapter: ProviderName, wire: Wire) -> None:
    """A server that has taken the request, and whose model has said nothing yet."""
    seen = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        await asyncio.wait_for(seen.wait(), SOON)
        exchange.send(wire.token, wire.ending)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert await anext(events) == Opened()
        seen.set()
        assert await heard(events) == Delta("token")


async def test_tokens_arrive_before_the_end(adapter: ProviderName, wire: Wire) -> None:
    seen = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening, wire.token)
        await asyncio.wait_for(seen.wait(), SOON)
        exchange.send(wire.ending)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert await heard(events) == Delta("token")
        seen.set()
        assert isinstance(await heard(events), Finish)


async def test_connection_is_used_again(adapter: ProviderName, wire: Wire) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening + wire.token + wire.ending)

    async with served(adapter, answer) as (provider, upstream):
        for _ in range(3):
            # as a consumer does that stops at the finish
            async with aclosing(provider.stream(ask())) as events:
                async for event in events:
                    if isinstance(event, Finish):
                        break

        assert len(upstream.connections) == 1


# Gemini's stream has no last event, only an end
@pytest.mark.parametrize("adapter", ["openai", "claude", "ollama"], indirect=True)
async def test_connection_is_used_again_though_its_stream_ends_late(adapter: ProviderName, wire: Wire) -> None:
    finished = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening + wire.token + wire.ending)
        await asyncio.wait_for(finished.wait(), SOON)

    async with served(adapter, answer) as (provider, upstream):
        for _ in range(2):
            finished.clear()
            async with aclosing(provider.stream(ask())) as events:
                async for event in events:
                    if isinstance(event, Finish):
                        finished.set()
                        break

        assert len(upstream.connections) == 1


async def test_closing_hangs_up(adapter: ProviderName, wire: Wire) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening, wire.token)
        await exchange.gone.wait()

    async with served(adapter, answer) as (provider, upstream):
        events = provider.stream(ask())
        await heard(events)
        await events.aclose()

        await asyncio.wait_for(upstream.exchanges[0].gone.wait(), SOON)


@pytest.mark.parametrize("begun", [False, True], ids=["before the answer", "inside the answer"])
async def test_cancelling_hangs_up(adapter: ProviderName, wire: Wire, begun: bool) -> None:
    asked = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        if begun:
            exchange.start()
            exchange.send(wire.opening)
        asked.set()
        await exchange.gone.wait()

    async with served(adapter, answer) as (provider, upstream):
        waiting = asyncio.create_task(collect(provider, ask()))
        await asyncio.wait_for(asked.wait(), SOON)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        await asyncio.wait_for(upstream.exchanges[0].gone.wait(), SOON)


async def test_stall_ends_when_the_caller_gives_up(adapter: ProviderName, wire: Wire) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening, wire.token)
        await exchange.gone.wait()

    async with served(adapter, answer) as (provider, upstream), aclosing(provider.stream(ask())) as events:
        assert await heard(events) == Delta("token")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await heard(events)

        await asyncio.wait_for(upstream.exchanges[0].gone.wait(), SOON)


async def test_broken_off_streams_leave_no_connection_behind(
    adapter: ProviderName, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "CONNECTION_LIMIT", 2)

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening, wire.token)
        await exchange.gone.wait()

    async with served(adapter, answer) as (provider, upstream):
        for _ in range(5):
            async with asyncio.timeout(SOON), aclosing(provider.stream(ask())) as events:
                assert await heard(events) == Delta("token")

        assert len(upstream.connections) == 5


async def test_error_inside_the_stream(adapter: ProviderName, wire: Wire) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening + wire.token + wire.overloaded)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert await heard(events) == Delta("token")
        with pytest.raises(ServerError):
            await heard(events)


@pytest.mark.parametrize("adapter", ["openai", "claude", "gemini"], indirect=True)
async def test_filter_inside_the_stream(adapter: ProviderName, wire: Wire) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening + wire.token + wire.filtered)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert await heard(events) == Delta("token")
        with pytest.raises(ContentFiltered) as raised:
            await heard(events)

    assert raised.value.usage == USAGE[adapter]


async def test_stream_without_a_finish(adapter: ProviderName, wire: Wire) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening + wire.token)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert await heard(events) == Delta("token")
        with pytest.raises(BrokenStream):
            await heard(events)


async def test_connection_cut_inside_the_stream(adapter: ProviderName, wire: Wire) -> None:
    seen = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(wire.opening + wire.token)
        await asyncio.wait_for(seen.wait(), SOON)
        exchange.abort()

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert await heard(events) == Delta("token")
        seen.set()
        with pytest.raises(BrokenStream):
            await heard(events)


@pytest.mark.parametrize("adapter", ["openai", "claude", "gemini"], indirect=True)
async def test_server_that_does_not_stream(adapter: ProviderName, wire: Wire) -> None:
    async def answer(exchange: Exchange) -> None:
        assert wire.whole is not None
        exchange.reply(200, wire.whole)

    async with served(adapter, answer) as (provider, _):
        text, finish = await collect(provider, ask())

    assert (text, finish.reason) == ("token", "stop")


async def test_redirect_is_not_followed(adapter: ProviderName) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(307, b"", {"location": "/elsewhere"})

    async with served(adapter, answer) as (provider, upstream):
        with pytest.raises(RequestRefused):
            await collect(provider, ask())

    assert len(upstream.exchanges) == 1
