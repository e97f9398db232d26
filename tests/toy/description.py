"""The toy: settings, models and parts."""

from __future__ import annotations

from app.providers.base import Embedder, Moderator, Provider
from app.providers.description import Configuration, Embeddings, KnownModel, ProviderDescription, Setting, dollars
from app.values import ProviderName

NAME = ProviderName("toy")
API_KEY = Setting("TOY_API_KEY", "key")
BASE_URL = Setting("TOY_BASE_URL", "url", default="https://toy.example")
MODEL = Setting("TOY_MODEL", "model")


def _chat(configuration: Configuration) -> Provider:
    from tests.toy.chat import ToyProvider
    from tests.toy.client import ToyClient

    return ToyProvider(ToyClient(configuration))


def _embedder(configuration: Configuration, model: str) -> Embedder:
    from tests.toy.client import ToyClient
    from tests.toy.embeddings import ToyEmbedder

    return ToyEmbedder(ToyClient(configuration), model)


def _moderator(configuration: Configuration) -> Moderator:
    from tests.toy.client import ToyClient
    from tests.toy.moderation import ToyModerator

    return ToyModerator(ToyClient(configuration))


TOY = ProviderDescription(
    name=NAME,
    settings=(API_KEY, BASE_URL, MODEL),
    enabled_by=API_KEY,
    make=_chat,
    tasks=("code",),
    models=(
        KnownModel("toy-1", 8_000, 1_000, dollars(1.00, 0.50, 2.00)),
        KnownModel("toy-2"),
    ),
    families=("toy-",),
    embeddings=Embeddings(prefixes=("toy-embed-",), make=_embedder),
    make_moderator=_moderator,
)
