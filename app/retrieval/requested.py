"""Vectors that a user asks for: by the installation's embedding model, admitted and charged as everything is."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.errors import Interrupted, InvalidRequest, ProviderError, ProviderUnavailable, RequestRefused, UnknownModel
from app.providers.base import EMBEDDING_WIDTH
from app.providers.registry import PROVIDERS
from app.providers.vectors import unit
from app.retrieval.embedders import MAX_BATCH, Embedders, embed
from app.store.charges import Charges
from app.store.replies import Charge
from app.values import AUTO, Quota, estimate_tokens

_STEP = 64
"""The widths of models are multiples of it."""


class Admits(Protocol):
    async def begin_embeddings(
        self, user_id: str, request_id: str, *, tokens: int, provider: str, model: str, price: int | None
    ) -> Mapping[str, Quota]: ...


@dataclass(frozen=True)
class Embedded:
    """A vector for each text, and what is left of the user's limits."""

    model: str
    vectors: Sequence[Sequence[float]]
    tokens: int
    quotas: Mapping[str, Quota]


class RequestedVectors:
    def __init__(self, embedders: Embedders, admits: Admits, charges: Charges) -> None:
        self._embedders = embedders
        self._admits = admits
        self._charges = charges

    @property
    def model(self) -> tuple[str, str]:
        """The model that there is: its provider and its name."""
        model = self._embedders.current.model
        owner = PROVIDERS.embedding(model)
        return (owner.name if owner is not None else "parley"), model

    async def embed(
        self,
        user_id: str,
        model: str,
        texts: Sequence[str],
        *,
        dimensions: int | None,
        gone: Callable[[], bool] = lambda: False,
    ) -> Embedded:
        """The vectors of `texts`, with at most `dimensions` numbers each. Nothing further is sent to the provider once
        `gone` says that nobody waits for them; then it raises `Interrupted`.

        Raises `UnknownModel`, `InvalidRequest` for texts that the model refuses or too many dimensions,
        `ProviderUnavailable`, and what the database function `begin_embeddings` raises.
        """
        provider, name = self.model
        if model not in (AUTO, provider, name, f"{provider}/{name}"):
            raise UnknownModel(f"There is no embedding model '{model}'. Available: {name}.")
        _check_width(dimensions, EMBEDDING_WIDTH)  # before anything is charged
        request_id, spent = str(uuid.uuid4()), list[Charge]()
        estimate = sum(map(estimate_tokens, texts))
        quotas = await self._admits.begin_embeddings(
            user_id,
            request_id,
            tokens=estimate,
            provider=provider,
            model=name,
            price=PROVIDERS.embedding_price(name),
        )
        try:
            vectors = await self._vectors(texts, spent, gone)
        finally:
            # also when the caller has gone meanwhile
            await asyncio.shield(self._charges.charge(user_id, spent, held=request_id))
        tokens = sum(charge.prompt_tokens for charge in spent) or estimate
        return Embedded(name, _of_width(vectors, _width(vectors, name), dimensions), tokens, quotas)

    async def _vectors(self, texts: Sequence[str], spent: list[Charge], gone: Callable[[], bool]) -> list[list[float]]:
        vectors: list[list[float]] = []
        try:
            for start in range(0, len(texts), MAX_BATCH):
                if gone():
                    raise Interrupted
                vectors += await embed(self._embedders.current, texts[start : start + MAX_BATCH], "passage", spent)
        except RequestRefused as error:
            raise InvalidRequest("input: the model does not take these texts; each may be too long.") from error
        except ProviderError as error:
            raise ProviderUnavailable("The embedding model does not answer.", retry_after=5) from error
        return vectors


def _width(vectors: Sequence[list[float]], model: str) -> int:
    """How many numbers the model's vectors have. They are padded with zeros for storing; those of a model that learns
    have none of their own. The offline model's are full of them, and never padded."""
    if model in PROVIDERS.offline_embeddings.names:
        return len(vectors[0])
    last = -1
    for vector in vectors:  # most of them say nothing new: millions of numbers must not be looked at one by one
        if any(vector[last + 1 :]):
            last = max(place for place in range(last + 1, len(vector)) if vector[place])
    return min(len(vectors[0]), -(-(last + 1) // _STEP) * _STEP) or len(vectors[0])


def _of_width(vectors: Sequence[list[float]], width: int, dimensions: int | None) -> Sequence[Sequence[float]]:
    """The vectors without padding. Fewer dimensions are the first ones, scaled to length 1, as models that are trained
    for it have them."""
    _check_width(dimensions, width)
    if dimensions is None or dimensions == width:
        return [vector[:width] for vector in vectors]
    return [unit(vector[:dimensions]) for vector in vectors]


def _check_width(dimensions: int | None, width: int) -> None:
    if dimensions is not None and dimensions > width:
        raise InvalidRequest(f"dimensions: expected a whole number from 1 to {width}, got {dimensions}.")
