"""Vectors from OpenAI, and from every server that copies it."""

from __future__ import annotations

import binascii
import re
import struct
from collections.abc import Sequence
from functools import partial

import msgspec
from openai import AsyncOpenAI

from app.errors import BrokenStream, ProviderError
from app.providers.base import EMBEDDING_WIDTH, EmbeddingKind, Vectors
from app.providers.dialect import Body, Dialect, Option, Steps, form
from app.providers.openai.client import call
from app.providers.openai.description import NAME
from app.providers.vectors import batches, checked, total

BATCH = 128
"""Texts per request. OpenAI's limits are 2048 texts and 300,000 tokens, which allows 2,000 tokens per passage."""

ENCODING = Option("encoding_format", re.compile("encoding_?format", re.IGNORECASE), by_value=True)
WIDTH = Option("dimensions", re.compile("dimension|matryoshka", re.IGNORECASE))


class OpenAIEmbedder:
    """OpenAI's embedding models, which do not distinguish queries from passages."""

    def __init__(self, client: AsyncOpenAI, model: str) -> None:
        self.model = model
        self._client = client
        self._dialect = Dialect(ENCODING, WIDTH)

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        """See `Embedder.embed`."""
        vectors, counts = list[list[float]](), list[int | None]()
        for batch in batches(texts, BATCH):
            answer = await self._ask(batch)
            counts.append(answer.usage.total_tokens if answer.usage else None)
            items = answer.data
            if {item.index for item in items} == set(range(len(items))):
                items = sorted(items, key=lambda item: item.index or 0)
            try:
                found = [_numbers(item.embedding) for item in items]
            except ValueError as exc:
                raise BrokenStream("a vector is neither numbers nor base64", provider=NAME, model=self.model) from exc
            vectors += checked(found, len(batch), provider=NAME, model=self.model)
        return Vectors(vectors, total(counts))

    async def aclose(self) -> None:
        """See `Embedder.aclose`."""
        await self._client.close()

    async def _ask(self, texts: Sequence[str]) -> _Answer:
        """Send a request, without the parameters that the server has refused by name."""
        build = partial(self._body, texts)
        steps = self._dialect.steps(self.model)
        body = build(steps)
        while True:
            try:
                answer = await call(self._client, "post", "/embeddings", body, _Answer, model=self.model)
            except ProviderError as error:
                if (fewer := self._dialect.conceded(error, steps, body, build)) is None:
                    raise
                steps, body = fewer
            else:
                if steps:
                    self._dialect.keep(self.model, steps)
                return answer

    def _body(self, texts: Sequence[str], steps: Steps) -> Body:
        body: Body = {"model": self.model, "input": list(texts)}
        # Voyage accepts base64 only
        if encoding := form(steps, ENCODING, ("float", "base64", None)):
            body["encoding_format"] = encoding
        # the third generation offers several widths; the second refuses the parameter
        if self.model.startswith("text-embedding-3") and form(steps, WIDTH, (True, False)):
            body["dimensions"] = EMBEDDING_WIDTH
        return body


class _Item(msgspec.Struct):
    embedding: str | list[float | list[float]]
    index: int | None = None


class _Usage(msgspec.Struct):
    total_tokens: int | None = None


class _Answer(msgspec.Struct):
    data: list[_Item]
    usage: _Usage | None = None


def _numbers(embedding: str | list[float | list[float]]) -> list[float]:
    """The numbers of a vector, which may be base64 of single precision, or one in a list of its own (llama.cpp). Raises
    `ValueError`."""
    if isinstance(embedding, str):
        try:
            data = binascii.a2b_base64(embedding)
            return list(struct.unpack(f"<{len(data) // 4}f", data))
        except (binascii.Error, struct.error) as exc:
            raise ValueError from exc
    if len(embedding) == 1 and isinstance(embedding[0], list):
        return embedding[0]
    numbers = [number for number in embedding if not isinstance(number, list)]
    if len(numbers) != len(embedding):
        raise ValueError
    return numbers
