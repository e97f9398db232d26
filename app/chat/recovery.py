"""Replies whose writer is gone end as interrupted: looked for by every replica, at its start and every few seconds."""

from __future__ import annotations

import asyncio
from typing import Protocol

from app import observe
from app.errors import AppError

RECOVERY_SECONDS = 5.0
"""With the lease of 15 s in the database, a dead writer's reply ends within 20 s."""


class RecoveryStore(Protocol):
    async def recover_replies(self) -> list[str]: ...


async def recover(store: RecoveryStore) -> None:
    """Recover for as long as the process runs."""
    while True:
        try:
            recovered = await store.recover_replies()
        except AppError as error:
            observe.event("recovery.failed", code=error.code)
        else:
            if recovered:
                observe.event("recovery.interrupted", replies=len(recovered))
        await asyncio.sleep(RECOVERY_SECONDS)
