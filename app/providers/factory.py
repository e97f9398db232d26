"""Factory: makes the providers that the settings configure. Imports no SDK: each is imported when it is first used."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from app.providers.base import Embedder, Moderator, Provider
from app.providers.deferred import DeferredEmbedder, DeferredModerator, DeferredProvider
from app.providers.description import Configuration
from app.providers.registry import PROVIDERS
from app.values import ProviderName


def make_providers(configuration: Configuration) -> dict[ProviderName, Provider]:
    """The configured providers in the registry's order; if there are none, the stand-ins."""
    return {
        description.name: DeferredProvider(description.name, partial(description.make, configuration))
        for description in PROVIDERS.chosen(configuration)
    }


async def warm(providers: Iterable[Provider]) -> None:
    """Import the SDKs one after the other, so that no turn waits for an import."""
    for provider in providers:
        if isinstance(provider, DeferredProvider):
            await provider.warm()


def make_embedder(model: str, configuration: Configuration) -> Embedder | None:
    """The embedder of `model`, or None when no provider has such a model or the provider is not configured."""
    description = PROVIDERS.embedding(model)
    if description is None or description.embeddings is None or not description.is_configured(configuration):
        return None
    return DeferredEmbedder(model, partial(description.embeddings.make, configuration, model))


def make_moderator(name: str, configuration: Configuration) -> Moderator | None:
    """The moderator of the provider `name`, or None when there is no such provider (`off`) or it is not configured."""
    description = PROVIDERS[ProviderName(name)] if name in PROVIDERS else None
    if description is None or description.make_moderator is None or not description.is_configured(configuration):
        return None
    return DeferredModerator(partial(description.make_moderator, configuration))
