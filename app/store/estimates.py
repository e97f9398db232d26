"""What a message would take, and which models a plan allows; always with the user's own token."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.store.client import Supabase
from app.store.messages import AllowedModel, OfferedModel, follows
from app.store.usage import Budget
from app.values import Quota


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of the limits: `requests` counts turns, `budget` is null when the plan has none."""

    requests: Quota
    tokens: Quota
    budget: Budget | None


class Estimated(msgspec.Struct, frozen=True, kw_only=True):
    """What `estimate_turn` answers. Tokens of the prompt are estimated as they are held; an output of None has no
    limit."""

    models: tuple[AllowedModel, ...]
    prompt_tokens: int
    messages: int
    untitled: bool = False
    """After a complete reply, the conversation may be given a title."""
    output_tokens: int | None
    """What the reply may have if the message is sent now."""
    most_output_tokens: int | None
    """What it may have in any minute."""
    embedding_micro_usd: int
    left: Left


class Estimates:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def turn(
        self,
        token: str,
        content: str,
        *,
        conversation_id: str | None,
        parent_id: str | msgspec.UnsetType | None = msgspec.UNSET,
        max_tokens: int | None,
        models: Sequence[OfferedModel],
        passage_tokens: int,
        system_tokens: int,
    ) -> Estimated:
        """`parent_id` as for `Send`. Raises what the database function raises, see its comment."""
        arguments = {
            "p_content": content,
            "p_offer": {"models": models, "passage_tokens": passage_tokens, "system_tokens": system_tokens},
            "p_conversation_id": conversation_id,
            "p_max_tokens": max_tokens,
            **follows(parent_id),
        }
        return await self._supabase.user_rpc(token, "estimate_turn", arguments, Estimated)

    async def allowed(self, token: str, models: Sequence[OfferedModel]) -> list[AllowedModel]:
        """Those that the user's plan allows, in the same order, with the prices that count."""
        return await self._supabase.user_rpc(token, "my_models", {"p_models": models}, list[AllowedModel])
