"""Views of models: what may be chosen, and how healthy it is."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from app.api.views import described
from app.routing.router import BreakerState, Offer
from app.values import ProviderName, TaskType


class ModelView(msgspec.Struct, frozen=True):
    """A model."""

    provider: ProviderName
    model: str
    available: Annotated[bool, described("Whether it may be chosen now.")]
    unavailable: Annotated[
        Literal["unreachable", "not_allowed"] | None,
        described(
            "Why it may not: `unreachable`, its provider is not configured or does not answer; `not_allowed`, the "
            "caller's plan does not allow it, or it has no price, which a plan with a budget needs."
        ),
    ]
    breaker: BreakerState
    streaming: Annotated[bool, described("Always true: every model's replies are streamed.")]
    max_output_tokens: Annotated[int | None, described("Null if unknown.")]
    task_types: tuple[TaskType, ...]

    @classmethod
    def of(cls, offer: Offer, *, allowed: bool) -> ModelView:
        return cls(
            provider=offer.spec.provider,
            model=offer.spec.model,
            available=offer.available and allowed,
            unavailable="unreachable" if not offer.available else None if allowed else "not_allowed",
            breaker=offer.breaker,
            streaming=True,
            max_output_tokens=offer.spec.max_output_tokens,
            task_types=offer.spec.task_types,
        )


class DefaultView(msgspec.Struct, frozen=True):
    """The model that answers a turn without a preference."""

    provider: ProviderName
    model: str


class ModelsView(msgspec.Struct, frozen=True):
    """The models that there are, and the one that answers where none is named."""

    default: Annotated[DefaultView | None, described("Null while no model can answer.")]
    items: tuple[ModelView, ...]
