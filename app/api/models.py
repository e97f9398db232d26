"""`GET /v1/models`: the models that may be chosen, and their health."""

from __future__ import annotations

from litestar import Router, get

from app.api.auth import Caller
from app.api.model_views import DefaultView, ModelsView, ModelView
from app.api.openapi import USER_TOKEN
from app.api.refusals import problems
from app.chat.choice import Choice


def model_routes(choice: Choice) -> Router:
    @get("/models", operation_id="listModels", response_description="The models.", responses=problems())
    async def models(user: Caller) -> ModelsView:
        """List the models that there are, whether they may be asked for, how healthy they are, and which answers when
        none is named."""
        found = await choice.models(user)
        default = DefaultView(found.default.provider, found.default.model) if found.default is not None else None
        return ModelsView(
            default,
            tuple(
                ModelView.of(offer, found.allowed.get((offer.spec.provider, offer.spec.model)))
                for offer in found.offers
            ),
        )

    return Router("/v1", route_handlers=[models], tags=["models"], security=USER_TOKEN)
