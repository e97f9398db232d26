"""Recovery: every replica ends replies whose writer is gone as interrupted, at its start and every few seconds."""

from __future__ import annotations

import asyncio
from typing import Protocol

from app import observe
from app.errors import AppError, SupabaseRefused

RECOVERY_SECONDS = 5.0
"""With the lease of 15 s in the database, a dead writer's reply ends within 20 s."""
GRACE_SECONDS = 12.0
"""After an outage. Leases ran out while nobody could renew them: a living writer gets as long as a call of its journal
and the pause before it may take to do so first."""


class RecoveryStore(Protocol):
    async def recover_replies(self) -> list[str]: ...
    async def reachable(self) -> bool: ...


async def recover(store: RecoveryStore) -> None:
    """Recover for as long as the process runs."""
    while True:
        try:
            recovered = await store.recover_replies()
        except AppError as error:
            if isinstance(error, SupabaseRefused):
                # said here, as no other call is made so regularly
                observe.event("supabase.refused", setting=error.setting, detail=str(error))
            else:
                observe.event("recovery.failed", code=error.code)
            while not await store.reachable():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(RECOVERY_SECONDS)
            await asyncio.sleep(GRACE_SECONDS)
        else:
            if recovered:
                observe.event("recovery.interrupted", replies=len(recovered))
            await asyncio.sleep(RECOVERY_SECONDS)
