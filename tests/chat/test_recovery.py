"""Recovery in virtual time: when it looks for replies whose writer is gone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from app.chat.recovery import GRACE_SECONDS, RECOVERY_SECONDS, recover
from app.errors import SupabaseUnavailable
from tests.support.scripted_database import in_virtual_time
from tests.support.scripted_providers import clock


class Store:
    """A database that is out from one moment to another; when it was asked to recover, and did."""

    def __init__(self, out_from: float, out_until: float) -> None:
        self._began = clock()
        self._out = (out_from, out_until)
        self.recovered: list[float] = []

    async def reachable(self) -> bool:
        return not self._out[0] <= clock() - self._began < self._out[1]

    async def recover_replies(self) -> list[str]:
        if not await self.reachable():
            raise SupabaseUnavailable
        self.recovered.append(clock() - self._began)
        return []


async def recovered_within(store: Store, seconds: float) -> list[float]:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await recover(store)
    return store.recovered


@in_virtual_time
async def test_at_the_start_and_every_few_seconds() -> None:
    times = await recovered_within(Store(1e9, 1e9), 4 * RECOVERY_SECONDS - 1)
    assert times == [0, RECOVERY_SECONDS, 2 * RECOVERY_SECONDS, 3 * RECOVERY_SECONDS]


@in_virtual_time
async def test_after_an_outage_the_living_renew_their_leases_first() -> None:
    end = 62.0
    _, again, *_ = await recovered_within(Store(1, end), end + GRACE_SECONDS + 2 * RECOVERY_SECONDS)
    assert end + GRACE_SECONDS <= again <= end + GRACE_SECONDS + RECOVERY_SECONDS
