"""Lag: measures how late the event loop does what is due. What is late here is late for every token and request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

SECONDS = 0.5


async def measure_lag(observe: Callable[[float], object]) -> None:
    """Tell `observe` of the lag in seconds, for as long as the process runs."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + SECONDS
        await asyncio.sleep(SECONDS)
        observe(max(0.0, loop.time() - due))
