"""Wiring: builds the parts of routing once for the process."""

from __future__ import annotations

from collections.abc import Mapping

from app.providers.base import Provider
from app.routing.availability import Availability
from app.routing.breaker import Breakers, Sharing
from app.routing.catalog import Catalog
from app.routing.deadlines import Deadlines
from app.routing.failover import Failover
from app.routing.offers import Offers
from app.settings import Settings
from app.values import ProviderName


class Routing:
    """The parts that the stages above use: `offers` for candidates, `failover` for calls, `catalog` for prices."""

    def __init__(self, settings: Settings, providers: Mapping[ProviderName, Provider]) -> None:
        """`providers` are the configured ones, or only `demo` when none is configured."""
        self.catalog = Catalog(settings)
        self.breakers = Breakers(sharing=None if settings.redis_url is None else _sharing(settings.redis_url))
        self._availability = Availability(providers)
        self.offers = Offers(providers, self.catalog, self._availability, self.breakers, settings.default_ai_provider)
        self.failover = Failover(providers, self.breakers, Deadlines.of(settings), refused=self._availability.doubt)

    async def aclose(self) -> None:
        """Stop the background work. The caller closes the providers."""
        await self._availability.aclose()
        await self.breakers.aclose()


def _sharing(url: str) -> Sharing:
    from app.routing.sharing import RedisSharing  # imports redis, which takes 5 MB

    return RedisSharing.connect(url)
