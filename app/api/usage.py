"""`GET /v1/usage`: the caller's usage, and what is left of the limits."""

from __future__ import annotations

from litestar import Router, get

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN
from app.api.refusals import problems
from app.store.usage import MyUsage, Usages


def usage_routes(usages: Usages) -> Router:
    @get("/usage", operation_id="readUsage", response_description="The sums.", responses=problems())
    async def usage(user: Caller) -> MyUsage:
        """Read my usage of today and of this month, and what is left of my limits.

        Days and months are UTC. Costs are in millionths of a dollar.
        """
        return await usages.mine(user.token)

    return Router("/v1", route_handlers=[usage], tags=["usage"], security=USER_TOKEN)
