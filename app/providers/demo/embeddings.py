"""Vectors without an AI provider: words and parts of words, hashed to places in the vector.

They find passages that share words, word stems or names with the query, but not passages with the same meaning in other
words. So search works without a key and without downloading a model, and gives the same results on every machine.
"""

from __future__ import annotations

import asyncio
import math
import re
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from app.providers.base import EMBEDDING_WIDTH, EmbeddingKind
from app.providers.demo.description import EMBEDDING_MODEL

MAX_CHARACTERS = 20_000
"""The most characters of a text that are used."""

# characters that belong to a word but are not letters, such as the vowel signs of Indic scripts
_MARKS = "\u0300-\u036f\u0591-\u05bd\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
# Thai to Burmese, Khmer, kana and ideographs are written without blanks between words. Hangul has blanks, but not
# between a word and its particle.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"
_WORDS = re.compile(rf"([{_UNSPACED}]+)|(?:[^\W{_UNSPACED}]|[{_MARKS}])+")
_STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        "a about after all also an and any are as at be because been but by can could did do does for from "
        "had has have he her his how i if in into is it its just me more most my no not of on one only or "
        "other our out she should so some such than that the their them then there these they this to up us "
        "was we were what when where which who why will with would you your",
    )
)
_WORD, _PAIR, _PART = math.sqrt(0.5), 0.25, 0.25
"""The weights of features: a whole word (at each of its two places), two words in a row, four letters in a row."""


class LocalEmbedder:
    """Feature hashing (https://arxiv.org/abs/0902.2206) of words, pairs of words and their parts."""

    model = EMBEDDING_MODEL

    async def embed(self, texts: Sequence[str], kind: EmbeddingKind) -> list[list[float]]:
        """See `Embedder.embed`. Never fails. A text without words becomes the zero vector, which matches nothing."""
        if sum(map(len, texts)) < 2000:
            return [vector_of(text) for text in texts]
        return await asyncio.to_thread(lambda: [vector_of(text) for text in texts])

    async def aclose(self) -> None:
        """Nothing is open."""


def vector_of(text: str) -> list[float]:
    """A vector of length 1, or of zeros.

    Each feature counts once, so that words which a passage repeats do not outweigh the one sentence that answers a
    question.
    """
    words = list(_words(text[:MAX_CHARACTERS]))
    vector = [0.0] * EMBEDDING_WIDTH
    for word in dict.fromkeys(words):
        for place, value in _word_features(word):
            vector[place] += value
    for first, second in dict.fromkeys(pairwise(words)):
        place, sign = _place(f"{first} {second}")
        vector[place] += _PAIR * sign
    length = math.hypot(*vector)
    return [round(value / length, 7) for value in vector] if length else vector


def _words(text: str) -> Iterator[str]:
    """The words without stop words. In scripts without blanks between words, every two neighbouring characters."""
    for match in _WORDS.finditer(unicodedata.normalize("NFKC", text).lower()):
        word = match[0]
        if match[1] and len(word) > 1:
            yield from map("".join, pairwise(word))
        elif word not in _STOP_WORDS:
            yield word


@lru_cache(maxsize=50_000)
def _word_features(word: str) -> tuple[tuple[int, float], ...]:
    # a word has two places, so that two words which share one place by chance still differ
    features = [(place, _WORD * sign) for place, sign in (_place(word), _place("=" + word))]
    marked = f"<{word[:40]}>"
    for start in range(len(marked) - 3):
        place, sign = _place("#" + marked[start : start + 4])
        features.append((place, _PART * sign))
    return tuple(features)


def _place(feature: str) -> tuple[int, float]:
    """The place and the sign of a feature. With signs, features at the same place cancel out on average."""
    digest = zlib.crc32(feature.encode(errors="replace"))
    return digest % EMBEDDING_WIDTH, 1.0 if digest >> 31 else -1.0
