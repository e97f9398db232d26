"""OpenAI, and every server with a compatible chat completions API: settings, models and parts."""

from __future__ import annotations

from app.providers.base import Embedder, Moderator, Provider
from app.providers.description import (
    Configuration,
    Embeddings,
    KnownModel,
    ProviderDescription,
    Setting,
    dollars,
)
from app.values import ProviderName

NAME = ProviderName("openai")
API_KEY = Setting("OPENAI_API_KEY", "key")
BASE_URL = Setting("OPENAI_BASE_URL", "url", default="https://api.openai.com/v1", aliases=("OPENAI_API_BASE",))
MODEL = Setting("OPENAI_MODEL", "model")


def _chat(configuration: Configuration) -> Provider:
    from app.providers.openai.chat import OpenAIProvider
    from app.providers.openai.client import make_client

    return OpenAIProvider(make_client(configuration))


def _embedder(configuration: Configuration, model: str) -> Embedder:
    from app.providers.openai.client import make_client
    from app.providers.openai.embeddings import OpenAIEmbedder

    return OpenAIEmbedder(make_client(configuration), model)


def _moderator(configuration: Configuration) -> Moderator:
    from app.providers.openai.client import make_client
    from app.providers.openai.moderation import OpenAIModerator

    return OpenAIModerator(make_client(configuration))


OPENAI = ProviderDescription(
    name=NAME,
    settings=(API_KEY, BASE_URL, MODEL),
    enabled_by=API_KEY,
    make=_chat,
    tasks=("creative",),
    # From developers.openai.com/api/docs/models and /pricing in November 2026. The first, the default, is the mid-range
    # current model, since larger ones answer more slowly.
    models=(
        KnownModel("gpt-6.1-terra", 1_050_000, 128_000, dollars(1.00, 0.05, 5.00)),
        KnownModel("gpt-6.1-sol", 1_050_000, 128_000, dollars(2.00, 0.10, 10.00)),
        KnownModel("gpt-6-astra", 1_050_000, 128_000, dollars(10.00, 1.00, 50.00)),
        KnownModel("gpt-6-luna", 1_050_000, 128_000, dollars(0.10, 0.01, 0.50)),
        KnownModel("gpt-5-mini", 400_000, 128_000, dollars(0.25, 0.025, 2.00)),
        KnownModel("gpt-4o-mini", 128_000, 16_384, dollars(0.15, 0.075, 0.60)),
    ),
    families=("gpt-",),
    serves_other_families=True,
    embeddings=Embeddings(
        prefixes=("text-embedding-",),
        make=_embedder,
        prices={
            "text-embedding-3-small": 20_000,
            "text-embedding-3-large": 130_000,
            "text-embedding-ada-002": 100_000,
        },
    ),
    make_moderator=_moderator,
)
