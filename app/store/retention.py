"""What is removed when it is old enough, step by step. Called with the service's key."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import msgspec

from app.store.client import Supabase


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one step has removed, or would have; `messages` of conversations. `next` is where the next one begins."""

    rows: int
    messages: int = 0
    next: str | None


class Retention:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def retire(self, kind: str, days: int, *, dry_run: bool) -> AsyncGenerator[Step]:
        """Remove what is older than `days`, or only count it. Each step is whole by itself: whoever stops reading, or
        is cut off, may begin again. Raises `InvalidRequest`."""
        after: str | None = None
        while True:
            arguments = {"p_kind": kind, "p_days": days, "p_after": after, "p_dry_run": dry_run}
            step = await self._supabase.service_rpc("retire", arguments, Step)
            yield step
            if step.next is None:
                return
            after = step.next
