"""Admission: asks the database whether a request is allowed, by the user's plan and their requests of the last minute.

A turn is admitted inside `begin_turn`; every other request that costs something is admitted here first. The limits are
stored in the database, so all replicas and all clients of the Data API have the same: docs/decisions/0008-limits.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from app import observe
from app.errors import AppError, Conflict, InvalidRequest, NotFound
from app.providers.registry import PROVIDERS
from app.settings import Settings
from app.store.usage import AdmittedSearch, RequestKind, Usages
from app.values import Quota, User

RETRY_SECONDS = 1.0


class LimitsStore(Protocol):
    async def configure_limits(
        self,
        *,
        require_premium: bool,
        requests_per_minute: int,
        tokens_per_minute: int,
        screen_input: bool,
        embeddings: Mapping[str, object],
    ) -> object: ...
    async def configure_documents(self, *, max_bytes: int, max_passages: int) -> object: ...


class Admission:
    def __init__(self, usages: Usages) -> None:
        self._usages = usages

    async def check(self, user: User, kind: RequestKind) -> Mapping[str, Quota]:
        """Charge one request of `kind` and return what is left, for the `RateLimit` headers.

        Raises `PremiumRequired` and `BudgetExceeded` (search and documents), `RateLimited`, or `SupabaseUnavailable`,
        since a request that cannot be counted is refused.
        """
        return await self._usages.admit_request(user.token, kind)

    async def search(self, user: User, query: str) -> AdmittedSearch:
        """Charge a search, and hold what its vectors cost until it is charged. Raises as `check` does."""
        return await self._usages.admit_search(user.token, query)

    @asynccontextmanager
    async def charged_later(self, user: User, kind: RequestKind) -> AsyncGenerator[None]:
        """For work that ends in a call which charges the request. Before the work it refuses as `check` does; when the
        work ends with a bad request, it charges that too, since the work was done."""
        await self._usages.admit_request(user.token, kind, charge=False)
        try:
            yield
        except (InvalidRequest, NotFound, Conflict):
            await self.check(user, kind)
            raise


async def share_limits(store: LimitsStore, settings: Settings, embedding_model: str) -> None:
    """Write this process's limits, and what its embeddings cost, into the database. Repeats until it has succeeded;
    until then the limits that the last process has written apply."""
    said = ""
    owner = PROVIDERS.embedding(embedding_model)
    embeddings = {
        "provider": owner.name if owner is not None else None,
        "model": embedding_model,
        "input": PROVIDERS.embedding_price(embedding_model),
        "prices": PROVIDERS.embedding_prices(),
    }
    while True:
        try:
            await store.configure_limits(
                require_premium=settings.require_premium,
                requests_per_minute=settings.rate_limit_requests_per_minute,
                tokens_per_minute=settings.rate_limit_tokens_per_minute,
                screen_input=settings.moderation != "off",
                embeddings=embeddings,
            )
            await store.configure_documents(
                max_bytes=settings.document_max_bytes, max_passages=settings.document_max_passages
            )
        except AppError as error:
            if error.code != said:  # logged once, and again only when the error changes
                said = error.code
                observe.event("limits.unshared", code=error.code)
            await asyncio.sleep(RETRY_SECONDS)
        else:
            return
