"""What the service and its plans allow: the settings that all replicas share, and the limits of each plan."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.store.client import Supabase


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that is None is the settings'; a budget that is None is none. `users` have it now, for `expired` it has
    ended."""

    plan: str
    premium: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    monthly_budget_micro_usd: int | None
    users: int
    expired: int


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the API wrote of its environment."""

    require_premium: bool
    requests_per_minute: int
    tokens_per_minute: int


class LimitsView(msgspec.Struct, frozen=True):
    settings: LimitSettings
    plans: tuple[Plan, ...]
    made: bool
    """The plan was made by this call."""


class Limits:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def configure_limits(
        self, *, require_premium: bool, requests_per_minute: int, tokens_per_minute: int, screen_input: bool
    ) -> object:
        """Set the limits of every plan that names none of its own, and whether messages are checked, for all
        replicas."""
        arguments = {
            "p_require_premium": require_premium,
            "p_requests_per_minute": requests_per_minute,
            "p_tokens_per_minute": tokens_per_minute,
            "p_screen_input": screen_input,
        }
        return await self._supabase.service_rpc("configure_limits", arguments, object)

    async def show(self, plan: str | None = None, changes: Mapping[str, int | bool | None] | None = None) -> LimitsView:
        """The limits of all plans, or of one; with `changes`, make or change that one. Raises `InvalidRequest`."""
        arguments = {"p_plan": plan, "p_changes": changes or {}}
        return await self._supabase.service_rpc("admin_limits", arguments, LimitsView)
