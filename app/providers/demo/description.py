"""The demo: settings and parts. It stands in until another provider is configured."""

from __future__ import annotations

from app.providers.base import Embedder, Provider
from app.providers.description import FREE, Configuration, Embeddings, KnownModel, ProviderDescription
from app.values import ProviderName

NAME = ProviderName("demo")
EMBEDDING_MODEL = "local"
THRESHOLD = 0.12
"""A threshold for local vectors, lower than for others because a question and its answer share only a few of hundreds
of features. Measured with 30 facts, each a sentence in a long document: 0.12 finds 25 of them, 0.15 finds 22. Of 15
questions that no document answers, 0.12 gives a passage to 4, 0.15 to 2."""


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
