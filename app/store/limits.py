"""Limits: the settings that all replicas share, and the limits of each plan. Called with the service's key."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.store.client import Supabase


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan. A limit of None means the default of the settings; a budget of None means no budget. `max_…` limits how
    much one user may have at a time. `users` counts who has it now, `expired` those for whom it has ended."""

    plan: str
    premium: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    monthly_budget_micro_usd: int | None
    max_conversations: int | None
    max_messages: int | None
    max_documents: int | None
    max_passages: int | None
    max_document_bytes: int | None
    users: int
    expired: int


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of plans that set none of their own. The API has written the first three from its environment."""

    require_premium: bool
    requests_per_minute: int
    tokens_per_minute: int
    max_conversations: int
    max_messages: int
    max_documents: int
    max_passages: int
    max_document_bytes: int


class LimitsView(msgspec.Struct, frozen=True):
    settings: LimitSettings
    plans: tuple[Plan, ...]
    made: bool
    """Whether this call created the plan."""


class Limits:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def configure_limits(
        self,
        *,
        require_premium: bool,
        requests_per_minute: int,
        tokens_per_minute: int,
        screen_input: bool,
        embeddings: Mapping[str, object],
    ) -> object:
        """Set the limits of plans without their own, whether messages are moderated, and what documents are embedded
        with, {provider, model, input: the price in micro-dollars per million tokens, prices: those of all models}, for
        all replicas."""
        arguments = {
            "p_require_premium": require_premium,
            "p_requests_per_minute": requests_per_minute,
            "p_tokens_per_minute": tokens_per_minute,
            "p_screen_input": screen_input,
            "p_embeddings": embeddings,
        }
        return await self._supabase.service_rpc("configure_limits", arguments, object)

    async def configure_documents(self, *, max_bytes: int, max_passages: int) -> object:
        """Set how large one document may be, for all replicas and for whoever calls the database's functions."""
        arguments = {"p_max_bytes": max_bytes, "p_max_passages": max_passages}
        return await self._supabase.service_rpc("configure_documents", arguments, object)

    async def show(self, plan: str | None = None, changes: Mapping[str, int | bool | None] | None = None) -> LimitsView:
        """The limits of all plans, or of one. `changes` are applied to that one, which is created if it does not exist.
        Raises `InvalidRequest`."""
        arguments = {"p_plan": plan, "p_changes": changes or {}}
        return await self._supabase.service_rpc("admin_limits", arguments, LimitsView)
