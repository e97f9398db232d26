"""Vectors: batches of texts, and checks of the vectors that come back. Used by all embedders."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from app.errors import BrokenStream, VectorsTooWide
from app.providers.base import EMBEDDING_WIDTH
from app.values import ProviderName


def batches(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """`texts` in order, in batches of `size`."""
    for start in range(0, len(texts), size):
        yield texts[start : start + size]


def checked(vectors: Sequence[list[float]], count: int, *, provider: ProviderName, model: str) -> list[list[float]]:
    """`vectors`, padded with zeros to `EMBEDDING_WIDTH`, which does not change the cosine.

    Raises `BrokenStream` when there are not `count` vectors of one width, and `VectorsTooWide` when they are too wide
    to store.
    """
    widths = {len(vector) for vector in vectors}
    if len(vectors) != count or len(widths) != 1 or 0 in widths:
        raise BrokenStream(f"not {count} vectors of one width", provider=provider, model=model)
    width = widths.pop()
    if width > EMBEDDING_WIDTH:
        message = f"vectors have {width} numbers, more than {EMBEDDING_WIDTH}"
        raise VectorsTooWide(message, provider=provider, model=model)
    padding = [0.0] * (EMBEDDING_WIDTH - width)
    return [vector + padding for vector in vectors]


def unit(vector: list[float]) -> list[float]:
    """`vector` scaled to length 1; a zero vector stays as it is."""
    length = math.hypot(*vector)
    return [number / length for number in vector] if length else vector


def total(counts: Sequence[int | None]) -> int | None:
    """How many tokens all batches had; None where one of them does not say."""
    known = [count for count in counts if count is not None]
    return sum(known) if counts and len(known) == len(counts) else None
