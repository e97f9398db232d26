"""Availability: which models each provider lists. Lists are cached; only the first request for one waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec

from app.errors import AuthenticationRefused, ProviderError
from app.observe import event, unforeseen
from app.providers.base import Provider
from app.providers.factory import warm
from app.providers.registry import PROVIDERS
from app.values import ProviderName

LIST_SECONDS = 2.0
"""How long a provider may take to list its models."""
RETRY_SECONDS = 15.0
"""The pause after a failed list. How long a good list lasts is in the provider's description."""
MOST_MODELS = 5_000
"""Models of a list beyond this number are ignored. The longest known list, OpenRouter's, has about 500."""


class Listing(msgspec.Struct, frozen=True):
    """The last list of a provider."""

    models: frozenset[str]
    """The models of the last good answer; empty when there was none."""
    answered: bool
    """Whether the provider answered the last time."""
    refused: bool
    """Whether the provider said that our key is wrong, so that none of its models can be used."""
    asked: float
    """When it was asked, on the clock."""
    until: float
    """When to ask again, on the clock."""


class Availability:
    """A cache of the providers' lists."""

    def __init__(
        self, providers: Mapping[ProviderName, Provider], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._providers = providers
        self._clock = clock
        self._listings: dict[ProviderName, Listing] = {}
        self._asking: dict[ProviderName, asyncio.Task[Listing]] = {}

    async def listing(self, provider: ProviderName) -> Listing:
        """The list of a configured provider. Only the first call waits for it, at most `LIST_SECONDS`.

        When a list has expired, it is still returned at once, and a new one is fetched in the background.
        """
        known = self._listings.get(provider)
        if known is not None and self._clock() < known.until:
            return known
        asking = self._asking.get(provider)
        if asking is None:
            asking = self._asking[provider] = asyncio.create_task(self._ask(provider))
        return known if known is not None else await asyncio.shield(asking)

    async def refuses(self, provider: ProviderName) -> bool:
        """Whether the provider said that our key is wrong when it was last asked. Does not wait for the provider."""
        known = self._listings.get(provider)
        return known is not None and known.refused and (await self.listing(provider)).refused

    def doubt(self, provider: ProviderName) -> None:
        """Ask for the list again, because the provider has just refused our key. Does nothing within `RETRY_SECONDS` of
        the last request."""
        known = self._listings.get(provider)
        recently = known is not None and self._clock() < known.asked + RETRY_SECONDS
        if provider not in self._asking and not recently:
            self._asking[provider] = asyncio.create_task(self._ask(provider))

    async def aclose(self) -> None:
        """Stop asking."""
        for asking in tuple(self._asking.values()):
            asking.cancel()
        await asyncio.gather(*self._asking.values(), return_exceptions=True)

    async def _ask(self, provider: ProviderName) -> Listing:
        known = self._listings.get(provider)
        models: frozenset[str] | None = None
        refused = False
        try:
            # the import of the SDK must not count towards the provider's time
            await warm((self._providers[provider],))
            async with asyncio.timeout(LIST_SECONDS):
                models = frozenset(sorted(await self._providers[provider].list_models())[:MOST_MODELS])
        except (ProviderError, TimeoutError) as error:
            event("provider.list_failed", provider=provider, error=type(error).__name__)
            refused = isinstance(error, AuthenticationRefused) and error.wrong
        except Exception as error:
            unforeseen("provider.list_failed", error, provider=provider)
        finally:
            del self._asking[provider]
        good = RETRY_SECONDS if models is None else PROVIDERS[provider].list_fresh_seconds
        listing = self._listings[provider] = Listing(
            models=models if models is not None else known.models if known else frozenset(),
            answered=models is not None,
            refused=refused,
            asked=self._clock(),
            until=self._clock() + good,
        )
        return listing
