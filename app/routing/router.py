"""In charge of the order in which models are tried. Pure: what is on offer goes in, candidates come out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from app.errors import InvalidRequest, ProviderUnavailable
from app.messages import ProviderName, TaskType
from app.routing.catalog import PROVIDERS, ModelSpec

BreakerState = Literal["closed", "open", "half-open", "cooldown"]

# After the preference, the task's provider and the default one: how the rest follows each other.
FALLBACK_ORDER: tuple[ProviderName, ...] = ("gemini", "openai", "claude", "ollama", "demo")


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One model that could be asked, and how it is now."""

    spec: ModelSpec
    default: bool
    """It is the one that its provider is proposed with."""
    available: bool
    """Its provider is configured and, as far as can be known without asking it for a reply, there."""
    breaker: BreakerState = "closed"
    wait: float = 0.0
    """Seconds until the breaker may let a call through; 0: now."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn asks for. Names are the user's own words, not yet checked."""

    provider: str | None = None
    model: str | None = None
    task_type: TaskType | None = None
    max_tokens: int | None = None
    streaming: bool = True


class Candidate(msgspec.Struct, frozen=True):
    """One (provider, model) that may be asked, with its limits in tokens (None: unknown)."""

    provider: ProviderName
    model: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None


def route(offers: Sequence[Offer], wish: Wish, default_provider: ProviderName | None = None) -> tuple[Candidate, ...]:
    """The candidates for `wish`, best first, each once, never empty.

    Raises `InvalidRequest` (422) for a provider that does not exist or a model that nobody offers, and
    `ProviderUnavailable` when no offer can serve the wish now.
    """
    preferred = _preferred(offers, wish)
    defaults = {offer.spec.provider: offer for offer in offers if offer.default}
    task = wish.task_type or "general"
    by_task = [offer for offer in defaults.values() if task in offer.spec.task_types]
    fallback = [name for name in (default_provider, *FALLBACK_ORDER) if name is not None]
    ordered = [*preferred, *by_task, *(defaults[name] for name in fallback if name in defaults)]
    serving = [offer for offer in _unique(ordered) if _serves(offer, wish)]
    candidates = tuple(
        Candidate(
            provider=offer.spec.provider,
            model=offer.spec.model,
            context_tokens=offer.spec.context_tokens,
            max_output_tokens=offer.spec.max_output_tokens,
        )
        for offer in serving
        if offer.wait <= 0
    )
    if candidates:
        return candidates
    if serving:
        raise ProviderUnavailable(retry_after=retry_after(offer.wait for offer in serving))
    raise ProviderUnavailable("No AI provider that is available can serve this request", retry_after=30)


def retry_after(waits: Iterable[float]) -> int:
    """Whole seconds until the soonest of `waits` is over, at least 1."""
    # to the millisecond, lest a rounding error of the clock make another second
    return max(1, math.ceil(round(min(waits, default=1), 3)))


def _preferred(offers: Sequence[Offer], wish: Wish) -> list[Offer]:
    if wish.provider is not None and wish.provider not in PROVIDERS:
        raise InvalidRequest(f"There is no provider '{wish.provider}'", status=422)
    matching = [offer for offer in offers if wish.provider in (None, offer.spec.provider)]
    if wish.model is None:
        return [offer for offer in matching if offer.default] if wish.provider else []
    matching = [offer for offer in matching if offer.spec.model == wish.model]
    if not matching:
        whose = "No provider offers" if wish.provider is None else f"The provider '{wish.provider}' does not offer"
        raise InvalidRequest(f"{whose} the model '{wish.model}'", status=422)
    return matching


def _serves(offer: Offer, wish: Wish) -> bool:
    limit = offer.spec.max_output_tokens
    return (
        offer.available
        and (offer.spec.streaming or not wish.streaming)
        and (wish.max_tokens is None or limit is None or wish.max_tokens <= limit)
    )


def _unique(offers: Iterable[Offer]) -> list[Offer]:
    return list({(offer.spec.provider, offer.spec.model): offer for offer in offers}.values())
