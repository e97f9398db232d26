"""`GET /v1/models`: what may be chosen, and how healthy it is."""

from __future__ import annotations

import msgspec
from litestar import Router, get

from app.api.auth import Caller
from app.api.openapi import USER_TOKEN, problems
from app.messages import ProviderName, TaskType
from app.routing.offers import Offers
from app.routing.router import BreakerState, Offer


class ModelView(msgspec.Struct, frozen=True):
    """One entry of `GET /v1/models`. `max_output_tokens` is null where it is not known."""

    provider: ProviderName
    model: str
    available: bool
    breaker: BreakerState
    streaming: bool
    max_output_tokens: int | None
    task_types: tuple[TaskType, ...]

    @classmethod
    def of(cls, offer: Offer) -> ModelView:
        return cls(
            provider=offer.spec.provider,
            model=offer.spec.model,
            available=offer.available,
            breaker=offer.breaker,
            streaming=offer.spec.streaming,
            max_output_tokens=offer.spec.max_output_tokens,
            task_types=offer.spec.task_types,
        )


class DefaultView(msgspec.Struct, frozen=True):
    """The model that answers a turn without a preference."""

    provider: ProviderName
    model: str


class ModelsView(msgspec.Struct, frozen=True):
    """The body of `GET /v1/models`. `default` is null while nothing can answer."""

    default: DefaultView | None
    items: tuple[ModelView, ...]


def model_routes(offers: Offers) -> Router:
    @get("/models", operation_id="listModels", responses=problems())
    async def models(user: Caller) -> ModelsView:
        """The models that may be asked for, and the one that answers when none is."""
        offered, best = await offers.all()
        default = DefaultView(best.provider, best.model) if best is not None else None
        return ModelsView(default, tuple(map(ModelView.of, offered)))

    return Router("/v1", route_handlers=[models], tags=["models"], security=USER_TOKEN)
