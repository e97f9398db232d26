"""Items that are taken in the call that receives them: what is taken, what comes the usual way, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from app.errors import BrokenStream
from app.providers.base import Provider
from app.providers.description import Configuration
from app.providers.openai.chat import OpenAIProvider
from app.providers.openai.client import make_client
from app.values import Alive, ChatRequest, Delta, Finish, Message, Opened, StreamItem, Take
from tests.support.upstream import MODEL, Upstream


@pytest.fixture
async def upstream() -> AsyncGenerator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def provider(upstream: Upstream) -> AsyncGenerator[Provider]:
    provider = OpenAIProvider(make_client(Configuration({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": upstream.url})))
    yield provider
    await provider.aclose()


def request(take: Take) -> ChatRequest:
    return ChatRequest(MODEL, (Message("user", "Hello"),), take=take)


async def read_into(seen: list[StreamItem], items: AsyncGenerator[StreamItem]) -> None:
    async for item in items:
        seen.append(item)  # noqa: PERF401 - what came before an error is kept


async def no_call_is_open(upstream: Upstream) -> None:
    """Wait until the server has noticed the end of each connection."""
    while upstream.open_calls:  # noqa: ASYNC110 - it does not say when
        await asyncio.sleep(0.01)


def text_of(items: list[StreamItem]) -> str:
    return "".join(item.text for item in items if isinstance(item, Delta))


async def test_text_is_taken_without_waking_its_reader(upstream: Upstream, provider: Provider) -> None:
    upstream.script = {"tokens": 5, "stepped": True, "id": "it"}
    taken: list[StreamItem] = []
    came: list[StreamItem] = []
    changed = asyncio.Event()

    def take(item: StreamItem) -> bool:
        changed.set()
        if isinstance(item, Delta):
            taken.append(item)
        return isinstance(item, Delta | Alive)

    async def read() -> None:
        async for item in provider.stream(request(take)):
            came.append(item)
            changed.set()

    reading = asyncio.create_task(read())
    call = await upstream.call("it")
    for number in range(4):
        call.step()
        while f"tok{number} " not in text_of(came + taken):
            changed.clear()
            await changed.wait()
    # the first text comes the usual way: it shows which of several requests is answered
    assert text_of(came) == "tok0 "
    assert text_of(taken) == "tok1 tok2 tok3 "
    call.step()
    await reading
    assert text_of(taken) == "tok1 tok2 tok3 tok4 "
    assert [type(item) for item in came] == [Opened, *([Alive] * (len(came) - 3)), Delta, Finish]


async def test_what_is_not_taken_comes_the_usual_way_and_in_order(upstream: Upstream, provider: Provider) -> None:
    upstream.script = {"tokens": 50}
    seen: list[StreamItem] = []

    def take(item: StreamItem) -> bool:
        if isinstance(item, Delta) and "tok7" not in item.text:
            seen.append(item)
            return True
        return False

    await read_into(seen, provider.stream(request(take)))
    assert text_of(seen) == "".join(f"tok{number} " for number in range(50))
    assert isinstance(seen[-1], Finish)


async def test_a_connection_that_is_lost_is_a_broken_stream_after_all_text(
    upstream: Upstream, provider: Provider
) -> None:
    upstream.script = {"tokens": 50, "break_after": 20, "gap": 0.001}
    seen: list[StreamItem] = []

    def take(item: StreamItem) -> bool:
        seen.append(item)
        return True

    with pytest.raises(BrokenStream):
        await read_into(seen, provider.stream(request(take)))
    assert text_of(seen) == "".join(f"tok{number} " for number in range(20))


async def test_what_taking_raises_ends_the_stream(upstream: Upstream, provider: Provider) -> None:
    upstream.script = {"tokens": 50, "gap": 0.001}

    def take(item: StreamItem) -> bool:
        raise LookupError

    with pytest.raises(LookupError):
        await read_into([], provider.stream(request(take)))
    await no_call_is_open(upstream)


async def test_a_cancelled_reader_closes_the_connection(upstream: Upstream, provider: Provider) -> None:
    upstream.script = {"tokens": 50, "stepped": True, "id": "it"}
    began, taken = asyncio.Event(), asyncio.Event()

    def take(_: StreamItem) -> bool:
        taken.set()
        return True

    async def read() -> None:
        async for item in provider.stream(request(take)):
            if isinstance(item, Delta):
                began.set()

    reading = asyncio.create_task(read())
    call = await upstream.call("it")
    call.step()
    await began.wait()
    call.step()
    await taken.wait()
    reading.cancel()
    await asyncio.wait({reading})
    assert reading.cancelled()
    await no_call_is_open(upstream)
    assert call.cancelled
