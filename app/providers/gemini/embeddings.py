"""Vectors from Gemini."""

from __future__ import annotations

from collections.abc import Sequence

import httpx2
import msgspec
from google.genai import Client

from app.providers.base import EMBEDDING_WIDTH, EmbeddingKind, Vectors
from app.providers.gemini.client import call, model_path
from app.providers.gemini.description import NAME
from app.providers.vectors import batches, checked, total, unit

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
        vectors, counts = list[list[float]](), list[int | None]()
        for batch in batches(texts, BATCH):
            values, tokens = await self._values([self._body(text, kind) for text in batch])
            counts.append(tokens)
            vectors += checked(values, len(batch), provider=NAME, model=self.model)
        # Gemini normalizes only vectors of the full width, 3072
        return Vectors(map(unit, vectors), total(counts))

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        await self._http_client.aclose()
        self._client.close()

    async def _values(self, requests: list[dict[str, object]]) -> tuple[list[list[float]], int | None]:
        path = model_path(self.model)
        if len(requests) == 1:
            one = await call(self._client, "post", f"{path}:embedContent", requests[0], _Answer, model=self.model)
            return one.vectors, one.tokens
        body: dict[str, object] = {"requests": requests}
        many = await call(self._client, "post", f"{path}:batchEmbedContents", body, _Answer, model=self.model)
        return many.vectors, many.tokens

    def _body(self, text: str, kind: EmbeddingKind) -> dict[str, object]:
        return {
            "model": model_path(self.model),
            "content": {"parts": [{"text": text}]},
            "taskType": "RETRIEVAL_QUERY" if kind == "query" else "RETRIEVAL_DOCUMENT",
            "outputDimensionality": EMBEDDING_WIDTH,
        }


class _Embedding(msgspec.Struct):
    values: list[float]


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None


class _Answer(msgspec.Struct):
    """The answer for one text or for several. Some compatible servers answer with a list for one text, too."""

    embedding: _Embedding | None = None
    embeddings: list[_Embedding] = msgspec.field(default_factory=list)

    usage: _Usage | None = msgspec.field(default=None, name="usageMetadata")

    @property
    def tokens(self) -> int | None:
        """The older models count nothing."""
        return self.usage.prompt_token_count if self.usage else None

    @property
    def vectors(self) -> list[list[float]]:
        found = self.embeddings if self.embedding is None else [self.embedding]
        return [embedding.values for embedding in found]
