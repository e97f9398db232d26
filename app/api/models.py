"""`GET /v1/models`: what may be chosen, and how healthy it is."""

from __future__ import annotations

from litestar import Router, get

from app.api.auth import User
from app.routing.offers import ModelsView, Offers


def model_routes(offers: Offers) -> Router:
    @get("/models", operation_id="listModels")
    async def models(user: User) -> ModelsView:
        """The models that may be asked for, and the one that answers when none is."""
        return await offers.models()

    return Router("/v1", route_handlers=[models], tags=["models"])
