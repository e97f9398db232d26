"""The demo: what a fresh installation answers and makes vectors with until a provider is configured."""

from __future__ import annotations

from app.providers.base import Embedder, Provider
from app.providers.description import FREE, Configuration, Embeddings, KnownModel, ProviderDescription
from app.values import ProviderName

NAME = ProviderName("demo")
EMBEDDING_MODEL = "local"
THRESHOLD = 0.12
"""The local vectors of a question and of the passage that answers it share a few features of hundreds. Of 30 facts,
each a sentence in a long document, 25 are found by it and 22 by 0.15; of 15 questions about nothing that is there, 4
are given a passage by it and 2 by 0.15."""


def _chat(_: Configuration) -> Provider:
    from app.providers.demo.chat import DemoProvider

    return DemoProvider()


def _embedder(_: Configuration, __: str) -> Embedder:
    from app.providers.demo.embeddings import LocalEmbedder

    return LocalEmbedder()


DEMO = ProviderDescription(
    name=NAME,
    enabled_by=None,
    make=_chat,
    models=(KnownModel(NAME, price=FREE),),
    stand_in=True,
    embeddings=Embeddings(names=(EMBEDDING_MODEL,), make=_embedder, threshold=THRESHOLD),
)
