"""Titles that the service gives to conversations: claimed, charged and set, with the service's key."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.store.client import Supabase
from app.store.messages import AllowedModel, OfferedModel
from app.store.replies import Charge


class BegunTitle(msgspec.Struct, frozen=True):
    """The models that may be asked for a title, the cheapest first."""

    models: tuple[AllowedModel, ...]


class StoredTitles:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def begin(
        self,
        user_id: str,
        conversation_id: str,
        title_id: str,
        models: Sequence[OfferedModel],
        *,
        prompt_tokens: int,
        output_tokens: int,
    ) -> BegunTitle | None:
        """Claim the conversation, and hold what a call of so many tokens costs. None where it has a title, is gone, or
        another process gives it one. Raises what the database function raises, see its comment."""
        arguments = {
            "p_conversation_id": conversation_id,
            "p_user_id": user_id,
            "p_title_id": title_id,
            "p_models": models,
            "p_prompt_tokens": prompt_tokens,
            "p_output_tokens": output_tokens,
        }
        return await self._supabase.service_rpc("begin_title", arguments, BegunTitle | None)  # type: ignore[arg-type]

    async def finish(
        self, user_id: str, conversation_id: str, title_id: str, title: str | None, calls: Sequence[Charge]
    ) -> bool:
        """Charge the calls, and set the title where the conversation has none. Returns whether it was set."""
        arguments = {
            "p_conversation_id": conversation_id,
            "p_user_id": user_id,
            "p_title_id": title_id,
            "p_title": title,
            "p_calls": calls,
        }
        return await self._supabase.service_rpc("finish_title", arguments, bool)
