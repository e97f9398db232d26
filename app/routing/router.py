"""Router: orders the models in which a turn tries them. Pure functions from offers to candidates."""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

import msgspec

from app.errors import ProviderUnavailable, UnknownModel
from app.providers.registry import PROVIDERS
from app.routing.catalog import ModelSpec
from app.values import ProviderName, TaskType

BreakerState = Literal["closed", "open", "half-open", "cooldown"]

MOST_NAMED = 20
"""The most models that a refusal names."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """One model that could answer, and its current state."""

    spec: ModelSpec
    default: bool
    """Whether it is its provider's default model."""
    available: bool
    """Whether its provider is configured and, as far as is known without a call, reachable."""
    breaker: BreakerState = "closed"
    wait: float = 0.0
    """Seconds until the breaker may let a call through; 0: now."""


class ModelPreference(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn asks for. The names come from the user and are not checked yet."""

    provider: str | None = None
    model: str | None = None
    task_type: TaskType | None = None
    max_tokens: int | None = None


class Candidate(msgspec.Struct, frozen=True):
    """One (provider, model) that a turn may call, with its limits in tokens (None: unknown)."""

    provider: ProviderName
    model: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    density: float = 1.0
    """Tokens of the model for each estimated token, learnt from a refusal in this turn."""

    @classmethod
    def of(cls, spec: ModelSpec) -> Candidate:
        return cls(spec.provider, spec.model, spec.context_tokens, spec.max_output_tokens)


def route(
    offers: Sequence[Offer],
    preference: ModelPreference,
    configured: Collection[ProviderName],
    default_provider: ProviderName | None = None,
) -> tuple[Candidate, ...]:
    """The candidates for `preference`, best first, without duplicates, never empty.

    Raises what `preferred` raises, and `ProviderUnavailable` when no offer can serve the preference now.
    """
    ordered = preferred(offers, preference, configured)
    defaults = {offer.spec.provider: offer for offer in offers if offer.default}
    ordered += [offer for offer in defaults.values() if preference.task_type in offer.spec.task_types]
    fallback = [name for name in (default_provider, *PROVIDERS.names) if name is not None]
    ordered += [defaults[name] for name in fallback if name in defaults]
    serving = [offer for offer in _unique(ordered) if _serves(offer, preference)]
    candidates = tuple(Candidate.of(offer.spec) for offer in serving if offer.wait <= 0)
    if candidates:
        return candidates
    if serving:
        raise ProviderUnavailable(retry_after=retry_after(offer.wait for offer in serving))
    raise ProviderUnavailable("No available AI provider can serve this request", retry_after=30)


def retry_after(waits: Iterable[float]) -> int:
    """Whole seconds until the shortest of `waits` is over, at least 1."""
    # rounded to milliseconds first, since a rounding error of the clock could add a whole second
    return max(1, math.ceil(round(min(waits, default=1), 3)))


def preferred(
    offers: Sequence[Offer], preference: ModelPreference, configured: Collection[ProviderName]
) -> list[Offer]:
    """The offers that `preference` names; none when it names neither a provider nor a model.

    Raises `UnknownModel`, which names the valid choices, for a provider that is not configured, a model that no
    configured provider offers, and a model that the named provider does not offer.
    """
    if preference.provider is not None and preference.provider not in configured:
        what = (
            f"The provider '{preference.provider}' is not configured"
            if preference.provider in PROVIDERS
            else f"There is no provider '{preference.provider}'"
        )
        raise UnknownModel(f"{what}. Available: {', '.join(configured)}.")
    asked = [
        offer
        for offer in offers
        if offer.spec.provider in configured and preference.provider in (None, offer.spec.provider)
    ]
    if preference.model is None:
        return [offer for offer in asked if offer.default and preference.provider is not None]
    if named := [offer for offer in asked if is_named(offer.spec, preference.model)]:
        return named
    owners = dict.fromkeys(offer.spec.provider for offer in offers if is_named(offer.spec, preference.model))
    missing = [owner for owner in owners if owner not in configured]
    if preference.provider is not None:
        what = f"The provider '{preference.provider}' does not offer the model '{preference.model}'"
    elif missing:
        what = f"The model '{preference.model}' belongs to '{missing[0]}', which is not configured"
    else:
        what = f"No provider offers the model '{preference.model}'"
    raise UnknownModel(f"{what}. {_what_there_is(asked, preference.model)}")


def is_named(spec: ModelSpec, model: str) -> bool:
    """Whether `model` is a name of the model `spec`."""
    bare = PROVIDERS[spec.provider].bare
    return bare(spec.model) == bare(model)


def _what_there_is(offers: Iterable[Offer], model: str) -> str:
    """A sentence that lists at most `MOST_NAMED` models, those with names similar to `model` first."""
    names = list(dict.fromkeys(offer.spec.model for offer in offers))
    alike = difflib.get_close_matches(model, names, n=MOST_NAMED)
    shown = list(dict.fromkeys((*alike, *names)))[:MOST_NAMED]
    if not shown:
        return "No model is available."
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return f"Available: {', '.join(shown)}{more}."


def _serves(offer: Offer, preference: ModelPreference) -> bool:
    limit = offer.spec.max_output_tokens
    return offer.available and (preference.max_tokens is None or limit is None or preference.max_tokens <= limit)


def _unique(offers: Iterable[Offer]) -> list[Offer]:
    return list({(offer.spec.provider, offer.spec.model): offer for offer in offers}.values())
