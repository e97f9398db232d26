"""Gemini: settings, models and parts."""

from __future__ import annotations

from app.providers.base import Embedder, Provider
from app.providers.description import (
    Configuration,
    Embeddings,
    KnownModel,
    ProviderDescription,
    Setting,
    dollars,
)
from app.values import ProviderName

NAME = ProviderName("gemini")
API_KEY = Setting(
    "GOOGLE_AI_API_KEY", "key", aliases=("GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY")
)
BASE_URL = Setting(
    "GOOGLE_AI_BASE_URL", "url", default="https://generativelanguage.googleapis.com", aliases=("GEMINI_BASE_URL",)
)
MODEL = Setting("GEMINI_MODEL", "model", aliases=("GOOGLE_MODEL",))


def _chat(configuration: Configuration) -> Provider:
    from app.providers.gemini.chat import GeminiProvider
    from app.providers.gemini.client import make_client

    return GeminiProvider(*make_client(configuration))


def _embedder(configuration: Configuration, model: str) -> Embedder:
    from app.providers.gemini.client import make_client
    from app.providers.gemini.embeddings import GeminiEmbedder

    return GeminiEmbedder(*make_client(configuration), model)


GEMINI = ProviderDescription(
    name=NAME,
    settings=(API_KEY, BASE_URL, MODEL),
    enabled_by=API_KEY,
    make=_chat,
    tasks=("analysis", "general"),
    # From ai.google.dev/gemini-api/docs/pricing in November 2026. These are the regular prices: Google halves that of
    # 3.8 Flash until the end of 2026, and those of the two Gemini 4 until the end of November. The first, the default,
    # is the mid-range current model.
    models=(
        KnownModel("gemini-3.8-flash", 1_048_576, 65_536, dollars(1.50, 0.15, 7.50)),
        KnownModel("gemini-4-argon", 1_048_576, 65_536, dollars(4.00, 0.20, 20.00)),
        KnownModel("gemini-4-carbon", 1_048_576, 65_536, dollars(4.00, 0.20, 20.00)),
        KnownModel("gemini-2.5-flash", 1_048_576, 65_536, dollars(0.30, 0.03, 2.50)),
    ),
    families=("gemini-",),
    traced_as="gcp.gemini",
    # Google's API writes names with this prefix
    alias_prefix="models/",
    embeddings=Embeddings(
        prefixes=("gemini-",), make=_embedder, prices={"gemini-embedding-001": 150_000, "gemini-embedding-2": 200_000}
    ),
)
