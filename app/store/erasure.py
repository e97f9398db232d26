"""Deleting everything of a user, always with the user's own token."""

from __future__ import annotations

import msgspec

from app.store.client import Supabase


class ErasedPart(msgspec.Struct, frozen=True):
    """What one call has deleted. `more`: call again. `ended`: the replies that were being written."""

    more: bool
    ended: tuple[str, ...]
    conversations: int
    messages: int
    documents: int


class Erasure:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def part(self, token: str) -> ErasedPart:
        """Delete the next part."""
        return await self._supabase.user_rpc(token, "delete_my_data", {}, ErasedPart)
