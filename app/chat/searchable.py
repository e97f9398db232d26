"""What is not indexed while it is written becomes searchable here: long messages, and what is older than the index."""

from __future__ import annotations

import asyncio
from typing import Protocol

from app import observe
from app.errors import AppError

LOOK_SECONDS = 5.0
"""So long a long message may have to wait."""
PAUSE_SECONDS = 0.2
"""Between two calls that each take a second of the database at most."""


class WaitingTexts(Protocol):
    async def index_waiting_texts(self) -> bool: ...


async def make_searchable(store: WaitingTexts) -> None:
    """Index for as long as the process runs."""
    while True:
        try:
            more = await store.index_waiting_texts()
        except AppError as error:
            observe.event("search.not_indexed", code=error.code)
            more = False
        await asyncio.sleep(PAUSE_SECONDS if more else LOOK_SECONDS)
