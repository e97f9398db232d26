"""Streams are closed in the call that asks for it, or by one task from there on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from app.providers.closing import begin_to_close, closes_at_once
from app.values import Delta, StreamItem


class Stream:
    """A stream that waits for `gate` while it is closed."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.gate = gate
        self.seen: list[str] = []
        self.closers: list[asyncio.Task[None] | None] = []

    @closes_at_once
    async def at_once(self) -> AsyncGenerator[StreamItem]:
        try:
            yield Delta("text")
        finally:
            await self.close()

    async def by_a_task(self) -> AsyncGenerator[StreamItem]:
        try:
            yield Delta("text")
        finally:
            await self.close()

    async def close(self) -> None:
        self.seen.append("closing")
        self.closers.append(asyncio.current_task())
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.seen.append("cancelled")
                raise
        self.seen.append("closed")
        self.closers.append(asyncio.current_task())


async def test_stream_with_nothing_to_wait_for_is_closed_in_the_call() -> None:
    stream = Stream()
    items = stream.at_once()
    await anext(items)
    assert begin_to_close(items) is None
    assert stream.seen == ["closing", "closed"]


async def test_rest_of_a_closing_is_awaited_by_any_task() -> None:
    stream = Stream(asyncio.Event())
    items = stream.at_once()
    await anext(items)
    rest = begin_to_close(items)
    assert rest is not None
    assert stream.seen == ["closing"]
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    assert stream.gate is not None
    stream.gate.set()
    await task
    assert stream.seen == ["closing", "closed"]


async def test_rest_of_a_closing_is_told_that_it_is_cancelled() -> None:
    stream = Stream(asyncio.Event())
    items = stream.at_once()
    await anext(items)
    rest = begin_to_close(items)
    assert rest is not None
    task = asyncio.ensure_future(rest)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait((task,))
    assert task.cancelled()
    assert stream.seen == ["closing", "cancelled"]


async def test_other_streams_are_closed_by_one_task() -> None:
    stream = Stream()
    items = stream.by_a_task()
    await anext(items)
    rest = begin_to_close(items)
    assert rest is not None
    assert stream.seen == []
    task = asyncio.ensure_future(rest)
    await task
    assert stream.closers == [task, task]


async def test_error_while_closing_is_nobodys() -> None:
    @closes_at_once
    async def items() -> AsyncGenerator[StreamItem]:
        try:
            yield Delta("text")
        finally:
            raise ConnectionError

    stream = items()
    await anext(stream)
    assert begin_to_close(stream) is None
