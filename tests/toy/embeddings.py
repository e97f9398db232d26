"""Vectors from the toy."""

from __future__ import annotations

from collections.abc import Sequence

from app.providers.base import EmbeddingKind
from app.providers.vectors import checked
from tests.toy.client import ToyClient
from tests.toy.description import NAME


class ToyEmbedder:
    def __init__(self, client: ToyClient, model: str) -> None:
        self.model = model
        self._client = client

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        vectors = await self._client.call("/embed", list(texts), list[list[float]], model=self.model)
        return checked(vectors, len(texts), provider=NAME, model=self.model)

    async def aclose(self) -> None:
        await self._client.aclose()
