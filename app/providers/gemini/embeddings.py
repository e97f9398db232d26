"""Vectors from Gemini."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2
import msgspec
from google.genai import Client

from app.providers.base import EMBEDDING_WIDTH, EmbeddingKind
from app.providers.gemini.client import call, model_path
from app.providers.gemini.description import NAME
from app.providers.vectors import batches, checked, unit

BATCH = 100
"""Texts per request. https://ai.google.dev/api/embeddings"""


class GeminiEmbedder:
    """Gemini's embedding models, which treat queries and passages differently."""

    def __init__(self, client: Client, http_client: httpx2.AsyncClient, model: str) -> None:
        self.model = model
        self._client = client
        self._http_client = http_client

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        """See `Embedder.embed`."""
        vectors: list[list[float]] = []
        for batch in batches(texts, BATCH):
            values = await self._values([self._body(text, kind) for text in batch])
            vectors += checked(values, len(batch), provider=NAME, model=self.model)
        # Gemini normalizes only vectors of the full width, 3072
        return [unit(vector) for vector in vectors]

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        await self._http_client.aclose()
        self._client.close()

    async def _values(self, requests: list[dict[str, object]]) -> list[list[float]]:
        path = model_path(self.model)
        if len(requests) == 1:
            one = await call(self._client, "post", f"{path}:embedContent", requests[0], _Answer, model=self.model)
            return one.vectors
        body: dict[str, object] = {"requests": requests}
        many = await call(self._client, "post", f"{path}:batchEmbedContents", body, _Answer, model=self.model)
        return many.vectors

    def _body(self, text: str, kind: EmbeddingKind) -> dict[str, object]:
        return {
            "model": model_path(self.model),
            "content": {"parts": [{"text": text}]},
            "taskType": "RETRIEVAL_QUERY" if kind == "query" else "RETRIEVAL_DOCUMENT",
            "outputDimensionality": EMBEDDING_WIDTH,
        }


class _Embedding(msgspec.Struct):
    values: list[float]


class _Answer(msgspec.Struct):
    """The answer for one text or for several. Some compatible servers answer with a list for one text, too."""

    embedding: _Embedding | None = None
    embeddings: list[_Embedding] = msgspec.field(default_factory=list)

    @property
    def vectors(self) -> list[list[float]]:
        found = self.embeddings if self.embedding is None else [self.embedding]
        return [embedding.values for embedding in found]
