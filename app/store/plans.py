"""Plans of users, as the operator grants, revokes, shows and deletes them. Called with the service's key."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime

import msgspec

from app.store.client import Supabase
from app.store.usage import Totals


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may do now. `allowed`: the plan is premium, or premium is not required."""

    plan: str
    allowed: bool
    requests_per_minute: int
    tokens_per_minute: int
    monthly_budget_micro_usd: int | None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the operator sees them: their plan, the limits that follow from it, and their usage this month."""

    user_id: str
    email: str
    plan: str | None
    valid_until: str | None
    limits: Allowance
    month: Totals


class Entitled(msgspec.Struct, frozen=True, kw_only=True):
    """A user who has or had a plan. `email` is None for a user without an address. `known`: the plan exists."""

    user_id: str
    email: str | None
    plan: str
    valid_until: str | None
    expired: bool
    known: bool


PAGE = 1000


class Plans:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def grant(self, email: str, plan: str, until: datetime | None) -> UserView:
        """Give a user a plan. Raises `NotFound` and `InvalidRequest`."""
        arguments = {"p_email": email, "p_plan": plan, "p_until": until}
        return await self._supabase.service_rpc("admin_grant", arguments, UserView)

    async def revoke(self, email: str) -> UserView:
        """Take a user's plan away. Raises `NotFound`."""
        return await self._supabase.service_rpc("admin_revoke", {"p_email": email}, UserView)

    async def show(self, email: str) -> UserView:
        """Raises `NotFound`."""
        return await self._supabase.service_rpc("admin_show", {"p_email": email}, UserView)

    async def users(self, plan: str | None) -> AsyncGenerator[Entitled]:
        """The users with a plan, or with the plan `plan`, also expired ones, in the order of their ids. Reads pages."""
        after: str | None = None
        while True:
            arguments = {"p_plan": plan, "p_after": after, "p_limit": PAGE}
            page = await self._supabase.service_rpc("admin_users", arguments, list[Entitled])
            for user in page:
                yield user
            if len(page) < PAGE:
                return
            after = page[-1].user_id

    async def delete(self, plan: str) -> None:
        """Delete a plan. Raises `Conflict` while a user has it, and `InvalidRequest`."""
        await self._supabase.service_rpc("admin_delete_plan", {"p_plan": plan}, object)
