"""What users have chosen for all of their conversations, always with the user's own token."""

from __future__ import annotations

import msgspec

from app.store.client import Supabase


class UserSetting(msgspec.Struct, frozen=True):
    """A row of `user_settings`; a user without one has chosen nothing."""

    instructions: str | None = None


class UserSettings:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def get(self, token: str) -> UserSetting:
        async with self._supabase.for_user(token) as client:
            answer = await client.from_("user_settings").select("instructions").limit(1).execute()
        return next(iter(msgspec.convert(answer.data, list[UserSetting])), UserSetting())

    async def save(self, token: str, instructions: str | None) -> UserSetting:
        """Raises `InvalidRequest` for instructions that are too long or blank."""
        return await self._supabase.user_rpc(token, "save_settings", {"p_instructions": instructions}, UserSetting)
