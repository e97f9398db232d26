"""`GET /v1/usage`: what I have used, and what is left."""

from __future__ import annotations

from litestar import Router, get

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, problems
from app.store.usage import MyUsage, Usages


def usage_routes(usages: Usages) -> Router:
    @get("/usage", operation_id="readUsage", responses=problems())
    async def usage(user: Caller) -> MyUsage:
        """My tokens and their cost, today and this month, and what is left of my limits."""
        return await usages.mine(user.token)

    return Router("/v1", route_handlers=[usage], tags=["usage"], security=USER_TOKEN)
