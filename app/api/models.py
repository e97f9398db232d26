"""`GET /v1/models`: what may be chosen, and how healthy it is."""

from __future__ import annotations

from litestar import Router, get

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, problems
from app.routing.offers import ModelsView, Offers


def model_routes(offers: Offers) -> Router:
    @get("/models", operation_id="listModels", responses=problems())
    async def models(user: Caller) -> ModelsView:
        """The models that may be asked for, and the one that answers when none is."""
        return await offers.models()

    return Router("/v1", route_handlers=[models], tags=["models"], security=USER_TOKEN)
