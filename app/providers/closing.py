"""Closing a stream in the call that asks for it, as far as that needs no waiting: a task for it would be one a turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from types import CodeType
from typing import Any, ParamSpec

from app.values import StreamItem

P = ParamSpec("P")

CLOSE_SECONDS = 5.0
"""How long a turn waits for a stream to close. Closing continues in the background after that."""

_at_once: set[CodeType] = set()
_closing: set[asyncio.Future[None]] = set()


def closes_at_once(make: Callable[P, AsyncGenerator[StreamItem]]) -> Callable[P, AsyncGenerator[StreamItem]]:
    """Marks a generator function whose generators take no notice of the task that begins to close them. Those of others
    may: what httpx opens must be closed by one task, and `asyncio.timeout` cancels the one that has entered it."""
    _at_once.add(make.__code__)
    return make


async def close(stream: AsyncGenerator[StreamItem]) -> None:
    """Close `stream` and its connection. Waits for `CLOSE_SECONDS` at most; a cancellation ends only the waiting."""
    rest = begin_to_close(stream)
    if rest is None:
        return
    closing = asyncio.ensure_future(rest)
    _closing.add(closing)
    closing.add_done_callback(_closed)
    # unlike a plain await, `wait` does not cancel the closing when this task is cancelled
    await asyncio.wait((closing,), timeout=CLOSE_SECONDS)


def begin_to_close(stream: AsyncGenerator[StreamItem]) -> Awaitable[None] | None:
    """Begin to close `stream`. Returns what is left to be awaited, by any task; None when nothing is."""
    closing = stream.aclose()
    if getattr(stream, "ag_code", None) not in _at_once:
        return closing
    steps = closing.__await__()
    try:
        awaited = next(steps)
    except StopIteration:
        return None
    except Exception:  # nobody needs the stream any longer
        return None
    return _Rest(steps, awaited)


def _closed(closing: asyncio.Future[None]) -> None:
    _closing.discard(closing)
    if not closing.cancelled():
        # an error while closing does not matter, but asyncio warns about exceptions that nobody has retrieved
        closing.exception()


class _Rest:
    """What is left of a coroutine that has begun to wait."""

    def __init__(self, steps: Generator[Any, Any, None], awaited: object) -> None:
        self._steps = steps
        self._awaited = awaited

    def __await__(self) -> Generator[Any, Any, None]:
        awaited = self._awaited
        try:
            while True:
                try:
                    sent = yield awaited
                except BaseException as error:
                    awaited = self._steps.throw(error)
                else:
                    awaited = self._steps.send(sent)
        except StopIteration:
            return
