"""`GET /v1/models`: the models that may be chosen, and their health."""

from __future__ import annotations

from litestar import Router, get

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN
from app.api.refusals import problems
from app.api.views import DefaultView, ModelsView, ModelView
from app.routing.offers import Offers


def model_routes(offers: Offers) -> Router:
    @get("/models", operation_id="listModels", response_description="The models.", responses=problems())
    async def models(user: Caller) -> ModelsView:
        """List the models that may be asked for, how healthy they are, and which answers when none is named."""
        offered, best = await offers.all()
        default = DefaultView(best.provider, best.model) if best is not None else None
        return ModelsView(default, tuple(map(ModelView.of, offered)))

    return Router("/v1", route_handlers=[models], tags=["models"], security=USER_TOKEN)
