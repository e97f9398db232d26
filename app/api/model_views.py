"""Views of models: what may be chosen, and how healthy it is."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from app.api.views import described
from app.routing.router import BreakerState, Offer
from app.store.messages import AllowedModel
from app.values import ProviderName, TaskType


class PriceView(msgspec.Struct, frozen=True):
    """What a model costs, in micro-dollars per million tokens. `cached` are tokens of the prompt that the provider had
    read before."""

    input: int
    cached: int
    output: int


class ModelView(msgspec.Struct, frozen=True):
    """A model."""

    provider: ProviderName
    model: str
    available: Annotated[bool, described("Whether it may be chosen now.")]
    unavailable: Annotated[
        Literal["unreachable", "not_allowed"] | None,
        described(
            "Why it may not: `unreachable`, its provider is not configured or does not answer; `not_allowed`, the "
            "caller's plan does not allow it, or it has no known price, which a plan with a budget needs, and in every "
            "plan a model that neither the catalog nor a setting names."
        ),
    ]
    breaker: BreakerState
    streaming: Annotated[bool, described("Always true: every model's replies are streamed.")]
    context_tokens: Annotated[int | None, described("How much it takes in, prompt and reply; null if unknown.")]
    max_output_tokens: Annotated[int | None, described("Null if unknown.")]
    price: Annotated[PriceView | None, described("The operator's price, else the published one; null if unknown.")]
    task_types: tuple[TaskType, ...]

    @classmethod
    def of(cls, offer: Offer, allowed: AllowedModel | None) -> ModelView:
        """`allowed`: what the caller's plan says of it; None: the plan does not have it."""
        return cls(
            provider=offer.spec.provider,
            model=offer.spec.model,
            available=offer.available and allowed is not None,
            unavailable="unreachable" if not offer.available else None if allowed else "not_allowed",
            breaker=offer.breaker,
            streaming=True,
            context_tokens=offer.spec.context_tokens,
            max_output_tokens=offer.spec.max_output_tokens,
            price=_price(offer, allowed),
            task_types=offer.spec.task_types,
        )


def _price(offer: Offer, allowed: AllowedModel | None) -> PriceView | None:
    if allowed is not None and allowed.input is not None:
        return PriceView(allowed.input, allowed.cached or 0, allowed.output or 0)
    price = offer.spec.price
    return PriceView(price.input, price.cached, price.output) if price is not None else None


class DefaultView(msgspec.Struct, frozen=True):
    """The model that answers a turn without a preference."""

    provider: ProviderName
    model: str


class ModelsView(msgspec.Struct, frozen=True):
    """The models that there are, and the one that answers where none is named."""

    default: Annotated[DefaultView | None, described("Null while no model can answer.")]
    items: tuple[ModelView, ...]
