"""Which embedder makes a model's vectors."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.providers.base import Embedder, EmbeddingKind
from app.providers.demo.embeddings import MODEL as LOCAL
from app.providers.demo.embeddings import LocalEmbedder
from app.providers.factory import make_embedder
from app.settings import Settings

MAX_OTHERS = 8
"""Models besides the configured one that passages may still have, and that queries are then embedded with."""
LOCAL_THRESHOLD = 0.12
"""The local vectors of a question and of the passage that answers it share a few features of hundreds. Of 30 facts,
each a sentence in a long document, 25 are found by it and 22 by 0.15; of 15 questions about nothing that is there, 4
are given a passage by it and 2 by 0.15."""


class Embedders:
    """The embedder of `EMBEDDING_MODEL`, or the local one when nobody else can embed; and those of other models."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.current: Embedder = make_embedder(settings) or LocalEmbedder()
        self._others: dict[str, Embedder] = {}

    def of(self, model: str) -> Embedder | None:
        """The embedder of `model`, or None when its provider is not configured."""
        if model == self.current.model:
            return self.current
        if model not in self._others and len(self._others) < MAX_OTHERS:
            settings = msgspec.structs.replace(self._settings, embedding_model=model)
            made = LocalEmbedder() if model == LOCAL else make_embedder(settings)
            if made is not None:
                self._others[model] = made
        return self._others.get(model)

    def threshold(self, model: str) -> float:
        """The similarity from which on a passage of `model` counts as an answer, when nobody says."""
        return LOCAL_THRESHOLD if model == LOCAL else self._settings.search_threshold

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
