"""Offers: the models that can be used now, from the catalog, the settings, the providers' lists and the breakers."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence

from app.errors import AppError, NoProviderConfigured
from app.observe import event
from app.providers.base import Provider
from app.providers.description import ProviderDescription
from app.providers.registry import PROVIDERS
from app.routing.availability import Availability, Listing
from app.routing.breaker import Breakers
from app.routing.catalog import Catalog, ModelSpec
from app.routing.router import Candidate, ModelPreference, Offer, is_named, preferred, route
from app.values import ProviderName

# Providers' lists hold models that cannot chat too, and tell them apart only by their names.
NOT_FOR_CHAT = ("embed", "minilm", "bge-")

MOST_ROUTED = 100
"""Preferences whose candidates are remembered. Users choose them, so their number has a limit."""

# Tokens of a prompt, none of them cached, and of a completion, by which prices are compared.
_SHORT = (1_000_000, 0, 200_000)


class Offers:
    """Makes the offers."""

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
        self._out_of_reach = {
            provider.name: self._all(catalog.models(provider.name), available=False)
            for provider in PROVIDERS
            if provider.name not in providers
        }
        """The offers of providers that are not configured, which nothing changes."""
        self._routed: dict[ModelPreference, tuple[list[Offer], tuple[Candidate, ...]]] = {}
        """What `route` has made of the latest offers, by preference."""

    async def candidates(self, preference: ModelPreference) -> tuple[Candidate, ...]:
        """The candidates for a turn, best first. Raises as `router.route` does, and `NoProviderConfigured`."""
        if not self._providers:
            raise NoProviderConfigured
        offers = await self._asked_for(preference)
        latest = self._routed.get(preference)
        if latest is not None and latest[0] == offers:
            return latest[1]
        candidates = route(offers, preference, self._providers, self._default_provider)
        if len(self._routed) >= MOST_ROUTED:
            self._routed.clear()
        self._routed[preference] = (offers, candidates)
        return candidates

    async def find(self, model: str) -> str:
        """The name under which a model that a user named is stored, see `bare`. When a provider's list is not
        available, the name is accepted unchecked. Raises as `router.preferred` does."""
        preference = ModelPreference(model=model)
        return preferred(await self._asked_for(preference), preference, self._providers)[0].spec.model

    async def all(self) -> tuple[Sequence[Offer], Candidate | None]:
        """All offers, and the candidate for a turn without a preference; None when none is available."""
        offers = await self._offers()
        try:
            best = route(offers, ModelPreference(), self._providers, self._default_provider)[0]
        except AppError:
            best = None
        return offers, best

    async def cheapest(self) -> list[ModelSpec]:
        """The models that can be called now and that, as far as is known, their providers list, the cheapest first;
        those without a known price last, and only the defaults of their providers. None of the stand-ins: they cost
        nothing and write nothing."""
        offers = [
            offer
            for offer in await self._offers()
            if offer.available
            and offer.wait <= 0
            and not PROVIDERS[offer.spec.provider].stand_in
            and (offer.default or offer.spec.price is not None)
        ]
        asked = tuple(dict.fromkeys(offer.spec.provider for offer in offers))
        listings = dict(zip(asked, await asyncio.gather(*map(self._availability.listing, asked)), strict=True))
        specs = [
            offer.spec
            for offer in offers
            if not (listing := listings[offer.spec.provider]).answered or is_listed(listing.models, offer.spec.model)
        ]
        return sorted(specs, key=_price)

    async def check_defaults(self) -> None:
        """Log each default model that its provider does not list. Done at the start: a turn would silently move on to
        the next provider."""
        for provider in self._providers:
            spec, setting = self._catalog.default(provider), PROVIDERS[provider].model_setting
            if spec is None or setting is None:
                continue
            listing = await self._availability.listing(provider)
            if listing.answered and not is_listed(listing.models, spec.model):
                event("provider.model_not_listed", provider=provider, model=spec.model, setting=setting.name)

    async def _offers(self) -> list[Offer]:
        """An offer for every model of the catalog, and for every listed model of the providers that are `listed`."""
        offers: list[Offer] = []
        for provider in PROVIDERS:
            if provider.name not in self._providers:
                if not provider.stand_in:
                    offers += self._out_of_reach[provider.name]
            elif provider.availability == "listed":
                offers += await self._listed(provider)
            else:
                refused = await self._availability.refuses(provider.name)
                offers += self._all(self._catalog.models(provider.name), available=not refused)
        return offers

    async def _listed(self, provider: ProviderDescription) -> list[Offer]:
        specs = {spec.model: spec for spec in self._catalog.models(provider.name)}
        listing = await self._availability.listing(provider.name)
        for model in sorted(set(map(provider.bare, listing.models))):
            if model not in specs and _chats(model):
                specs[model] = self._catalog.spec(provider.name, model)
        return self._all(specs.values(), available=listing.answered)

    async def _asked_for(self, preference: ModelPreference) -> list[Offer]:
        """All offers, and those of the providers' lists when `preference` names a model that is not among them."""
        offers = await self._offers()
        asked = [
            name for name in self._providers if preference.provider in (None, name) and not PROVIDERS[name].stand_in
        ]
        model, known = preference.model, len(offers)
        if model is None or any(offer.spec.provider in asked and is_named(offer.spec, model) for offer in offers):
            return offers
        listings = dict(zip(asked, await asyncio.gather(*map(self._availability.listing, asked)), strict=True))
        for provider, listing in listings.items():
            if is_listed(listing.models, PROVIDERS[provider].bare(model)):
                offers.append(self._named(provider, model, listing))
        if len(offers) > known:
            return offers
        # Offer what the providers list, since the refusal names it. Without a list the name may be right, so it is
        # offered: the call will tell.
        for provider, listing in listings.items():
            if listing.answered:
                others = sorted(filter(_chats, listing.models))
                offers += [self._offer(self._catalog.spec(provider, other), available=True) for other in others]
            elif not self._catalog.belongs_elsewhere(provider, PROVIDERS[provider].bare(model)):
                offers.append(self._named(provider, model, listing))
        return offers

    def _named(self, provider: ProviderName, model: str, listing: Listing) -> Offer:
        """The offer of a model that the catalog does not know."""
        description = PROVIDERS[provider]
        spec = self._catalog.spec(provider, description.bare(model))
        return self._offer(spec, available=listing.answered or description.availability == "configured")

    def _all(self, specs: Iterable[ModelSpec], *, available: bool) -> list[Offer]:
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


def _price(spec: ModelSpec) -> float:
    return math.inf if spec.price is None else spec.price.cost(*_SHORT)


def _chats(model: str) -> bool:
    return not any(part in model for part in NOT_FOR_CHAT)


def is_listed(listed: Collection[str], model: str) -> bool:
    """Whether a list has `model`, or a dated or numbered model (`…-20261021`, `…-2026-10-21`, `…-001`) of which it is
    the alias: the name without the number, or with `-latest`. Providers accept aliases but do not list all of them."""
    dated = re.compile(re.escape(model.removesuffix("-latest")) + r"(-\d{3,4}|-\d{4}-?\d\d-?\d\d)?")
    return model in listed or any(dated.fullmatch(name) for name in listed)
