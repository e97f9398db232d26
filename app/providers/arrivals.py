"""Arrivals: the body of an answer is read in the call that receives it, so that no task is woken for a token."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

from app.exchange import Exchange
from app.providers.wire.decoder import Decoder
from app.values import StreamItem, Take


class Left(NamedTuple):
    """What was decoded and not taken, and the failure that follows it."""

    items: list[StreamItem]
    failure: Exception | None


async def through(exchange: Exchange, decoder: Decoder[Any], take: Take) -> Left:
    """Decode what arrives, and have each item taken in the same call.

    Ends when an item is not taken, when the decoder fails, when it has read the reason to finish, and when the body
    ends; its end and its errors are then seen by the next ordinary read.
    """
    over: asyncio.Future[Left] = asyncio.get_running_loop().create_future()

    def arrived() -> None:
        if over.done():  # the task was just cancelled: what has come stays
            return
        left: list[StreamItem] = []
        failure: Exception | None = None
        try:
            if data := exchange.take():
                for item in decoder.feed(data):
                    if left or not take(item):
                        left.append(item)
        except Exception as error:
            failure = error
        if left or failure is not None or exchange.over or decoder.complete:
            exchange.listener = None
            over.set_result(Left(left, failure))

    arrived()
    if over.done():
        return over.result()
    exchange.listener = arrived
    try:
        return await over
    finally:
        exchange.listener = None
