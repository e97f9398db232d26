"""Channels of the official Python client: how they are configured, subscribed to, and what they receive."""

from __future__ import annotations

import asyncio
from typing import Any

from realtime import (
    AsyncRealtimeChannel,
    RealtimeSubscribeStates,
)

PATIENCE_SECONDS = 10.0


class Inbox:
    """What callbacks were given; `next` waits for the one nobody has taken yet."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Any] = asyncio.Queue()

    def put(self, *item: Any) -> None:
        self._items.put_nowait(item[0] if len(item) == 1 else item)

    async def next(self) -> Any:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._items.get()

    @property
    def empty(self) -> bool:
        return self._items.empty()


def config(private: bool = False, **broadcast: Any) -> Any:
    return {"config": {"broadcast": broadcast or None, "presence": None, "private": private}}


async def subscribe(channel: AsyncRealtimeChannel) -> tuple[Inbox, str, str]:
    """Subscribe; the statuses to come, the first one, and its error's text."""
    statuses = Inbox()
    await channel.subscribe(lambda status, error: statuses.put(status.value, str(error or "")))
    first, error = await statuses.next()
    return statuses, first, error


SUBSCRIBED = RealtimeSubscribeStates.SUBSCRIBED.value


CHANNEL_ERROR = RealtimeSubscribeStates.CHANNEL_ERROR.value


CLOSED = RealtimeSubscribeStates.CLOSED.value
