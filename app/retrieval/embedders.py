"""Embedders: chooses the one for a model, and embeds passages in batches and queries."""

from __future__ import annotations

import asyncio
import re
from collections.abc import MutableSequence, Sequence

import msgspec

from app.errors import AnswerTimeout, ContextTooLong, ProviderError, RequestRefused, ServerError, VectorsTooWide
from app.providers.base import Embedder, EmbeddingKind, Vectors
from app.providers.factory import make_embedder
from app.providers.registry import PROVIDERS
from app.providers.vectors import unit
from app.settings import Settings
from app.store.replies import Charge
from app.values import estimate_tokens

MAX_OTHERS = 8
"""Models besides the configured one that passages may still have, and that queries are then embedded with."""
MAX_BATCH = 64
"""Passages sent to an embedder at once."""
ANSWERS_BEFORE_GROWING = 16
LEAST_CHARACTERS = 100
"""No passage is halved into parts shorter than this: a model that refuses them takes no text."""
GATEWAY_TIMEOUTS = (408, 499, 504, 524)

# Some servers answer 500 to too many texts, and Ollama to a text whose vector is not a number.
_FOR_TEXTS = re.compile(
    r"batch.?size|too (large|long|many (inputs|texts|items|tokens))|maximum (batch|input|length)"
    r"|(batch|inputs?|texts?|length|tokens) exceed|\bNaN\b",
    re.IGNORECASE,
)


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


async def embed(
    embedder: Embedder, texts: Sequence[str], kind: EmbeddingKind, spent: MutableSequence[Charge]
) -> list[list[float]]:
    """The vectors of `texts`. What they cost is added to `spent`, also when there are none in the end: a provider that
    was asked and did not refuse may charge for it."""
    try:
        vectors = await embedder.embed(texts, kind)
    except ProviderError as error:
        if error.sent and error.status is None:
            _charge(embedder.model, texts, None, spent)
        raise
    except asyncio.CancelledError:
        _charge(embedder.model, texts, None, spent)
        raise
    _charge(embedder.model, texts, vectors.tokens if isinstance(vectors, Vectors) else None, spent)
    return vectors


def _charge(model: str, texts: Sequence[str], tokens: int | None, spent: MutableSequence[Charge]) -> None:
    """Add the charge for `texts`; without the provider's own count, by estimate. The offline model calls nobody."""
    owner = PROVIDERS.embedding(model)
    if owner is None or owner.enabled_by is None:
        return
    if tokens is None:
        tokens = sum(map(estimate_tokens, texts))
    price = PROVIDERS.embedding_price(model)
    cost = None if price is None else -(-tokens * price // 1_000_000)
    spent.append(Charge(kind="embedding", provider=owner.name, model=model, prompt_tokens=tokens, cost_micro_usd=cost))


class PassageEmbedder:
    """Embeds passages in batches that the embedder's server takes.

    Servers differ in how many texts and tokens they take at once, and a slow one needs longer for many than an answer
    may take. What was refused or too slow is halved; passages too long for the model are halved themselves, and the
    vector of such a passage is the mean of its halves', weighted by their length. A passage that is refused alone
    was the reason why its batch was refused, so the size of batches is reset.
    """

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._taken = MAX_BATCH
        """What the server has not refused."""
        self._size = MAX_BATCH
        """What it answers in time; grows again, as a server is slow while it loads its model."""
        self._answered = 0

    @property
    def model(self) -> str:
        return self._embedder.model

    async def embed(self, texts: Sequence[str], spent: MutableSequence[Charge] | None = None) -> list[str]:
        """A vector a text, as the database takes it; what they cost is added to `spent`. Raises `ProviderError`:
        `ContextTooLong` when even a small part of a passage is too long for the model."""
        spent = [] if spent is None else spent
        vectors: list[list[float]] = []
        before = self._taken, self._size
        while len(vectors) < len(texts):
            batch = texts[len(vectors) : len(vectors) + self._size]
            try:
                vectors += await embed(self._embedder, batch, "passage", spent)
            except VectorsTooWide:
                raise
            except ProviderError as error:
                if _took_too_long(error):
                    if len(batch) == 1:
                        raise
                    self._size, self._answered = len(batch) // 2, 0
                elif not _refuses(error):
                    raise
                elif len(batch) > 1:
                    self._taken = self._size = len(batch) // 2
                else:
                    self._taken, self._size = before
                    vectors.append(await self._halved(batch[0], error, spent))
            else:
                self._grow()
        return [as_text(vector) for vector in vectors]

    def _grow(self) -> None:
        self._answered += 1
        if self._answered == ANSWERS_BEFORE_GROWING:
            self._size, self._answered = min(2 * self._size, self._taken), 0

    async def _halved(self, text: str, refusal: ProviderError, spent: MutableSequence[Charge]) -> list[float]:
        if len(text) < 2 * LEAST_CHARACTERS or not _is_for_length(refusal):
            raise refusal
        middle = len(text) // 2
        blank = text.rfind(" ", LEAST_CHARACTERS, middle) + 1
        parts = (text[: blank or middle], text[blank or middle :])
        vectors: list[list[float]] = []
        for part in parts:
            try:
                vectors += await embed(self._embedder, [part], "passage", spent)
            except ProviderError as error:
                vectors.append(await self._halved(part, error, spent))
        mean = [sum(len(part) * number for part, number in zip(parts, numbers, strict=True))
                for numbers in zip(*vectors, strict=True)]  # fmt: skip
        return unit(mean)


def _took_too_long(error: ProviderError) -> bool:
    """Whether the answer did not arrive in time, by our deadline or that of a gateway before the server."""
    return isinstance(error, AnswerTimeout) or (isinstance(error, ServerError) and error.status in GATEWAY_TIMEOUTS)


def _refuses(error: ProviderError) -> bool:
    """Whether the server refuses the texts or their number."""
    return isinstance(error, RequestRefused) or _fails_for_texts(error)


def _is_for_length(error: ProviderError) -> bool:
    return isinstance(error, ContextTooLong) or _fails_for_texts(error)


def _fails_for_texts(error: ProviderError) -> bool:
    own = isinstance(error, ServerError) and (error.status or 500) <= 501
    return own and _FOR_TEXTS.search(error.words) is not None


async def embed_query(embedder: Embedder, query: str, spent: MutableSequence[Charge]) -> str | None:
    """The vector of a query as the database takes it; what it costs is added to `spent`. None when the vector has no
    direction, as that of a text without words by the local model, and so is similar to nothing. Of a query that is too
    long for the model, the beginning is used. Raises `ProviderError`."""
    while True:
        try:
            [vector] = await embed(embedder, [query], "query", spent)
        except ProviderError as error:
            if len(query) < 2 * LEAST_CHARACTERS or not _is_for_length(error):
                raise
            query = query[: len(query) // 2]
        else:
            return as_text(vector) if any(vector) else None


def as_text(vector: Sequence[float]) -> str:
    """pgvector's text form."""
    return msgspec.json.encode(vector).decode()
