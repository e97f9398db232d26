"""Questions into passages: the query's vector by the model of the user's passages, then one call of the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app import observe
from app.errors import ProviderError, ProviderUnavailable
from app.providers.base import Embedder
from app.retrieval.clean import cleaned
from app.retrieval.embedders import Embedders, embed_query
from app.store.documents import Documents, Match, Matches

MAX_QUERY_CHARACTERS = 8000
"""Of a query that are embedded: below every model's limit, and far beyond what a question needs."""


class Search:
    def __init__(self, documents: Documents, embedders: Embedders) -> None:
        self._documents = documents
        self._embedders = embedders

    async def find(
        self,
        token: str,
        query: str,
        *,
        limit: int,
        threshold: float | None = None,
        hybrid: bool = False,
        filter: Mapping[str, object] | None = None,
    ) -> Sequence[Match]:
        """The user's passages that match, best first. Without a threshold, the model's own.

        Raises `ProviderUnavailable` when the query cannot be embedded, and what the database raises.
        """
        text = cleaned(query)[:MAX_QUERY_CHARACTERS]
        embedder = self._embedders.current
        found = await self._ask(token, embedder, text, limit, threshold, hybrid, filter or {})
        if found.model != embedder.model:
            # most of the user's passages are still, or already, another model's
            other = self._embedders.of(found.model)
            if other is None:
                observe.event("retrieval.failed", error="unknown model")
                raise ProviderUnavailable("Your documents have a model that is not configured.", retry_after=60)
            found = await self._ask(token, other, text, limit, threshold, hybrid, filter or {})
        return found.passages

    async def _ask(
        self,
        token: str,
        embedder: Embedder,
        text: str,
        limit: int,
        threshold: float | None,
        hybrid: bool,
        filter: Mapping[str, object],
    ) -> Matches:
        try:
            embedding = await embed_query(embedder, text)
        except ProviderError as error:
            observe.event("retrieval.failed", provider=error.provider, error=type(error).__name__)
            raise ProviderUnavailable("The query cannot be embedded right now.", retry_after=5) from error
        return await self._documents.search(
            token,
            text=text,
            embedding=embedding,
            threshold=self._embedders.threshold(embedder.model) if threshold is None else threshold,
            count=limit,
            filter=filter,
            model=embedder.model,
            hybrid=hybrid,
        )
