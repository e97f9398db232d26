"""Deletes everything of a user, part by part, and ends the replies that are being written."""

from __future__ import annotations

import asyncio
from typing import Protocol

import msgspec

from app.chat.turn import Turns
from app.store.erasure import ErasedPart
from app.values import User

SETTLE_SECONDS = 3.0
"""How long replies of other replicas may take to enter what they used: each hears of its end with its next write."""
PAUSE_SECONDS = 0.1
MOST_PARTS = 1000
"""Ten times what a user of the largest default plan can have; somebody who goes on writing meanwhile keeps the rest."""


class ErasureStore(Protocol):
    async def part(self, token: str) -> ErasedPart: ...


class Erased(msgspec.Struct, frozen=True):
    """How many there were."""

    conversations: int
    messages: int
    documents: int


async def erase(store: ErasureStore, turns: Turns, user: User) -> Erased:
    """Delete everything. After an error on the way, the same call goes on."""
    time = asyncio.get_running_loop().time
    gone = Erased(0, 0, 0)
    waiting_since: float | None = None
    for _ in range(MOST_PARTS):
        part = await store.part(user.token)
        turns.deleted_replies(part.ended)
        gone = Erased(
            gone.conversations + part.conversations, gone.messages + part.messages, gone.documents + part.documents
        )
        if not part.more:
            break
        if part.conversations or part.messages or part.documents:
            waiting_since = None
            continue
        waiting_since = waiting_since or time()
        if time() - waiting_since > SETTLE_SECONDS:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    return gone
