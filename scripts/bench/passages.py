"""Generated passages for the search bench: their owners, and vectors that are distributed like real ones."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DIMENSIONS = 1536
OWNERS = 2000
PER_DOCUMENT = 20
LARGE = 50_000
RANKED = 2000
"""Owners of no more passages are not in the HNSW index."""
MEASURED = {10: 8, 500: 4, 2000: 1, 5000: 1}
"""The number of owners with exactly so many passages. The others share the rest; a few of them have most of it."""

_TOPICS, _LATENT = 400, 64

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Owner:
    """A user with `passages` passages about a few topics."""

    id: uuid.UUID
    passages: int
    topics: npt.NDArray[np.int64]


class Corpus:
    """`total` passages, always the same for one seed.

    Real embeddings use few of their dimensions, form clusters, and have a common direction (random ones of a large
    model have a cosine of about 0.2). Here, topics in 64 dimensions are projected into 1,536 dimensions, with some
    noise.
    """

    def __init__(self, total: int, seed: int = 7) -> None:
        self._random = np.random.default_rng(seed)
        self._topics = self._random.standard_normal((_TOPICS, _LATENT)).astype(np.float32)
        self._basis = (self._random.standard_normal((_LATENT, DIMENSIONS)) / 8).astype(np.float32)
        self.owners = [self._owner(size) for size in self._sizes(total)]

    def _sizes(self, total: int) -> list[int]:
        sizes = [size for size, count in MEASURED.items() for _ in range(count)]
        if total >= 4 * LARGE:
            sizes.append(LARGE)
        rest = OWNERS - len(sizes)
        weights = np.arange(1, rest + 1) ** -0.8
        shares = weights / weights.sum() * (total - sum(sizes))
        return sizes + [max(1, min(1500, round(share))) for share in shares]

    def _owner(self, size: int) -> Owner:
        topics = self._random.choice(_TOPICS, max(1, min(40, 1 + size // 20)), replace=False)
        return Owner(uuid.UUID(bytes=self._random.bytes(16), version=4), size, topics)

    def _vectors(self, count: int, topics: npt.NDArray[np.int64]) -> Vectors:
        latent = self._topics[self._random.choice(topics, count)]
        latent = latent + 0.7 * self._random.standard_normal((count, _LATENT), dtype=np.float32)
        noise = 0.35 * self._random.standard_normal((count, DIMENSIONS), dtype=np.float32)
        return _unit(latent @ self._basis + noise + np.float32(0.6))

    def documents(self) -> Iterator[tuple[Owner, uuid.UUID, Vectors]]:
        """All documents as (owner, id, vectors), with the owners in random order."""
        left = {owner.id: owner.passages for owner in self.owners}
        order = [owner for owner in self.owners for _ in range(-(-owner.passages // PER_DOCUMENT))]
        for place in self._random.permutation(len(order)):
            owner = order[place]
            count = min(PER_DOCUMENT, left[owner.id])
            left[owner.id] -= count
            yield owner, uuid.UUID(bytes=self._random.bytes(16), version=4), self._vectors(count, owner.topics)

    def question(self, passage: Vectors) -> Vectors:
        """A vector near a passage's, with a cosine of about 0.85, like a question and its answer."""
        noise = _unit(self._random.standard_normal((1, DIMENSIONS), dtype=np.float32))[0]
        asked: Vectors = _unit((passage + np.float32(0.6) * noise)[None])[0]
        return asked

    def words(self) -> str:
        """A text as long as a passage, without meaning."""
        return "".join(f"word{number} " for number in self._random.zipf(1.3, 150) % 20_000)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def field(value: bytes) -> bytes:
    """A value in Postgres' binary copy format."""
    return struct.pack("!i", len(value)) + value


def vector_bytes(vector: Vectors) -> bytes:
    """pgvector's binary form."""
    return struct.pack("!hh", DIMENSIONS, 0) + vector.astype(">f4").tobytes()
