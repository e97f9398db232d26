"""Vectors without any provider: words and parts of words, hashed to places in the vector.

Finds passages that share words, word stems or names with the query; it knows nothing of meaning. That makes search
useful on a machine with no key, and the same everywhere: no model to download, no number that changes.
"""

from __future__ import annotations

import asyncio
import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

from app.providers.base import EMBEDDING_WIDTH, EmbeddingKind

MODEL = "local"
MAX_CHARACTERS = 20_000
"""Of a text that are looked at."""

_WORDS = re.compile(r"\w+")
_STOP_WORDS = frozenset(
    _WORDS.findall(
        "a about after all also an and any are as at be because been but by can could did do does for from "
        "had has have he her his how i if in into is it its just me more most my no not of on one only or "
        "other our out she should so some such than that the their them then there these they this to up us "
        "was we were what when where which who why will with would you your"
    )
)
_WORD, _PAIR, _PART = 1.0, 0.5, 0.25
"""What a feature counts: a whole word, two words in a row, four letters in a row."""


class LocalEmbedder:
    """Feature hashing (https://arxiv.org/abs/0902.2206) of words, pairs of words and their parts."""

    model = MODEL

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        """See `Embedder.embed`. Never fails; a text without words is the zero vector, which is similar to nothing."""
        if sum(map(len, texts)) < 2000:
            return [vector_of(text) for text in texts]
        return await asyncio.to_thread(lambda: [vector_of(text) for text in texts])

    async def aclose(self) -> None:
        """Nothing is open."""


def vector_of(text: str) -> list[float]:
    """A vector of length 1, or of zeros."""
    words = [word for word in _WORDS.findall(text[:MAX_CHARACTERS].lower()) if word not in _STOP_WORDS]
    vector = [0.0] * EMBEDDING_WIDTH
    for word, count in Counter(words).items():
        # a word said ten times is not ten times as much about it
        weight = 1.0 + math.log(count)
        for place, value in _word_features(word):
            vector[place] += weight * value
    for pair, count in Counter(pairwise(words)).items():
        place, sign = _place(f"{pair[0]} {pair[1]}")
        vector[place] += (1.0 + math.log(count)) * _PAIR * sign
    length = math.hypot(*vector)
    return [round(value / length, 7) for value in vector] if length else vector


@lru_cache(maxsize=50_000)
def _word_features(word: str) -> tuple[tuple[int, float], ...]:
    place, sign = _place(word)
    features = [(place, _WORD * sign)]
    marked = f"<{word[:40]}>"
    for start in range(len(marked) - 3):
        place, sign = _place("#" + marked[start : start + 4])
        features.append((place, _PART * sign))
    return tuple(features)


def _place(feature: str) -> tuple[int, float]:
    """Where in the vector a feature counts, and with which sign: those that fall together cancel out on average."""
    digest = zlib.crc32(feature.encode(errors="replace"))
    return digest % EMBEDDING_WIDTH, 1.0 if digest >> 31 else -1.0
