"""In charge of what can be proposed right now: the catalog, what is configured, what answers, and the breakers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

import msgspec

from app.errors import AppError, NoProviderConfigured
from app.messages import ProviderName, TaskType
from app.providers.base import Provider
from app.routing.availability import Availability
from app.routing.breaker import Breakers
from app.routing.catalog import PROVIDERS, Catalog, ModelSpec
from app.routing.router import BreakerState, Candidate, Offer, Wish, route

HOSTED: tuple[ProviderName, ...] = ("openai", "gemini", "claude")
LATEST = ":latest"
"""Ollama's tag for a model that was named without one; such a model is listed under both names."""
# Ollama lists these beside the models that can chat, and says no more of them than their name.
NOT_FOR_CHAT = ("embed", "minilm", "bge-")


class ModelView(msgspec.Struct, frozen=True):
    """One entry of `GET /v1/models`. `max_output_tokens` is null where it is not known."""

    provider: ProviderName
    model: str
    available: bool
    breaker: BreakerState
    streaming: bool
    max_output_tokens: int | None
    task_types: tuple[TaskType, ...]


class DefaultView(msgspec.Struct, frozen=True):
    """The model that a turn without a wish is answered by."""

    provider: ProviderName
    model: str


class ModelsView(msgspec.Struct, frozen=True):
    """The body of `GET /v1/models`. `default` is null while nothing can answer."""

    default: DefaultView | None
    items: tuple[ModelView, ...]


class Offers:
    """Knows what is on offer."""

    def __init__(
        self,
        providers: Mapping[ProviderName, Provider],
        catalog: Catalog,
        availability: Availability,
        breakers: Breakers,
        default_provider: ProviderName | None,
    ) -> None:
        self._providers = providers
        self._catalog = catalog
        self._availability = availability
        self._breakers = breakers
        self._default_provider = default_provider

    async def candidates(self, wish: Wish) -> tuple[Candidate, ...]:
        """Whom to ask for this turn, best first. Raises as `router.route` does, and `NoProviderConfigured`."""
        if not self._providers:
            raise NoProviderConfigured
        return route([*await self._offers(), *await self._named(wish)], wish, self._default_provider)

    async def models(self) -> ModelsView:
        """What may be chosen, and how it is."""
        offers = await self._offers()
        try:
            best = route(offers, Wish(), self._default_provider)[0]
        except AppError:
            default = None
        else:
            default = DefaultView(best.provider, best.model)
        return ModelsView(default, tuple(_view(offer) for offer in offers))

    async def _offers(self) -> list[Offer]:
        """Every model of the catalog, and every model of an Ollama."""
        offers: list[Offer] = []
        for provider in HOSTED:
            offers += self._all(provider, self._catalog.models(provider), available=True)
        offers += await self._ollama()
        if "demo" in self._providers:
            offers += self._all("demo", self._catalog.models("demo"), available=True)
        return offers

    async def _ollama(self) -> list[Offer]:
        specs = {spec.model: spec for spec in self._catalog.models("ollama")}
        if "ollama" not in self._providers:
            return self._all("ollama", specs.values(), available=False)
        listing = await self._availability.listing("ollama")
        for model in sorted(listing.models):
            if model not in specs and model.removesuffix(LATEST) not in specs and _chats(model):
                specs[model] = self._catalog.spec("ollama", model)
        return self._all("ollama", specs.values(), available=listing.answered)

    async def _named(self, wish: Wish) -> list[Offer]:
        """Offers of a model that the user names and the catalog does not know, from whoever lists it."""
        model = wish.model
        asked = [name for name in PROVIDERS if wish.provider in (None, name) and name != "demo"]
        if model is None or any(spec.model == model for name in asked for spec in self._catalog.models(name)):
            return []
        offers = await asyncio.gather(*(self._asked(name, model, wish) for name in asked))
        return [offer for offer in offers if offer is not None]

    async def _asked(self, provider: ProviderName, model: str, wish: Wish) -> Offer | None:
        spec = self._catalog.spec(provider, model)
        if provider not in self._providers:
            # it may well have the model, so asking for it is no mistake; it is merely not available
            return self._offer(spec, available=False) if wish.provider == provider else None
        listing = await self._availability.listing(provider)
        if model in listing.models:
            return self._offer(spec, available=listing.answered or provider != "ollama")
        return None if listing.answered else self._offer(spec, available=False)

    def _all(self, provider: ProviderName, specs: Iterable[ModelSpec], *, available: bool) -> list[Offer]:
        """Offers of a provider's models; the first is its default."""
        return [self._offer(spec, available=available, default=index == 0) for index, spec in enumerate(specs)]

    def _offer(self, spec: ModelSpec, *, available: bool, default: bool = False) -> Offer:
        health = self._breakers.health(spec.provider, spec.model)
        return Offer(
            spec=spec,
            default=default,
            available=available and spec.provider in self._providers,
            breaker=health.breaker,
            wait=health.wait,
        )


def _chats(model: str) -> bool:
    return not any(part in model for part in NOT_FOR_CHAT)


def _view(offer: Offer) -> ModelView:
    return ModelView(
        provider=offer.spec.provider,
        model=offer.spec.model,
        available=offer.available,
        breaker=offer.breaker,
        streaming=offer.spec.streaming,
        max_output_tokens=offer.spec.max_output_tokens,
        task_types=offer.spec.task_types,
    )
