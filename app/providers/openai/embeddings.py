"""Vectors from OpenAI."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from openai import AsyncOpenAI

from app.providers.base import EMBEDDING_WIDTH, EmbeddingKind
from app.providers.openai.client import call
from app.providers.openai.description import NAME
from app.providers.vectors import batches, checked

BATCH = 128
"""Texts per request. OpenAI's limits are 2048 texts and 300,000 tokens, which allows 2,000 tokens per passage."""


class OpenAIEmbedder:
    """OpenAI's embedding models, which do not distinguish queries from passages."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self.model = model
        self._client = client

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        """See `Embedder.embed`."""
        vectors: list[list[float]] = []
        for batch in batches(texts, BATCH):
            answer = await call(self._client, "post", "/embeddings", self._body(batch), _Answer, model=self.model)
            ordered = sorted(answer.data, key=lambda item: item.index)
            vectors += checked([item.embedding for item in ordered], len(batch), provider=NAME, model=self.model)
        return vectors

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        await self._client.close()

    def _body(self, texts: Sequence[str]) -> dict[str, object]:
        body: dict[str, object] = {"model": self.model, "input": list(texts), "encoding_format": "float"}
        # the third generation offers several widths; the second refuses the parameter
        if self.model.startswith("text-embedding-3"):
            body["dimensions"] = EMBEDDING_WIDTH
        return body


class _Item(msgspec.Struct):
    embedding: list[float]
    index: int = 0


class _Answer(msgspec.Struct):
    data: list[_Item]
