"""Which embedder makes a model's vectors."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.providers.base import Embedder, EmbeddingKind
from app.providers.factory import make_embedder
from app.providers.registry import PROVIDERS
from app.settings import Settings

MAX_OTHERS = 8
"""Models besides the configured one that passages may still have, and that queries are then embedded with."""


class Embedders:
    """The embedder of `EMBEDDING_MODEL`, or the offline one when its provider is not configured; and those of other
    models."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        offline = PROVIDERS.offline_embeddings
        configured = make_embedder(settings.embedding_model, settings.providers)
        self.current = configured or offline.make(settings.providers, offline.names[0])
        self._others: dict[str, Embedder] = {}

    def of(self, model: str) -> Embedder | None:
        """The embedder of `model`, or None when its provider is not configured."""
        if model == self.current.model:
            return self.current
        if model not in self._others and len(self._others) < MAX_OTHERS:
            made = make_embedder(model, self._settings.providers)
            if made is not None:
                self._others[model] = made
        return self._others.get(model)

    def threshold(self, model: str) -> float:
        """The similarity from which on a passage of `model` counts as an answer, when nobody says."""
        description = PROVIDERS.embedding(model)
        own = description.embeddings.threshold if description and description.embeddings else None
        return self._settings.search_threshold if own is None else own

    async def aclose(self) -> None:
        for embedder in (self.current, *self._others.values()):
            await embedder.aclose()


async def embed_passages(embedder: Embedder, texts: Sequence[str]) -> list[str]:
    """The vectors of passages as the database takes them. Raises `ProviderError`."""
    return [as_text(vector) for vector in await embedder.embed(texts, "passage")]


async def embed_query(embedder: Embedder, query: str) -> str:
    """The vector of a query as the database takes it. Raises `ProviderError`."""
    kind: EmbeddingKind = "query"
    return as_text((await embedder.embed([query], kind))[0])


def as_text(vector: Sequence[float]) -> str:
    """pgvector's text form."""
    return msgspec.json.encode(vector).decode()
