"""Vectors from Ollama."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from ollama import AsyncClient

from app.providers.base import EmbeddingKind, Vectors
from app.providers.ollama.client import call
from app.providers.ollama.description import NAME
from app.providers.vectors import batches, checked, total

BATCH = 32
"""Texts per request. Even a small machine must finish a batch within `ANSWER_TIMEOUT_SECONDS`."""


class OllamaEmbedder:
    """Any embedding model that has been pulled; its vectors are padded to the column's width."""

    def __init__(self, client: AsyncClient, model: str) -> None:
        self.model = model
        self._client = client

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        """See `Embedder.embed`."""
        vectors, counts = list[list[float]](), list[int | None]()
        for batch in batches(texts, BATCH):
            body = {"model": self.model, "input": list(batch)}
            answer = await call(self._client, "POST", "/api/embed", body, _Answer, model=self.model)
            counts.append(answer.prompt_eval_count)
            rows = [answer.embedding] if answer.embedding else answer.embeddings
            vectors += checked(rows, len(batch), provider=NAME, model=self.model)
        return Vectors(vectors, total(counts))

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        await self._client.close()  # type: ignore[no-untyped-call]


class _Answer(msgspec.Struct):
    embeddings: list[list[float]] = msgspec.field(default_factory=list)
    # the vector of one text, in the shape of Ollama's older endpoint, which servers that imitate Ollama still use
    embedding: list[float] | None = None
    prompt_eval_count: int | None = None
