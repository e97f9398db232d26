"""Ollama: settings and parts. Its models are those that have been pulled."""

from __future__ import annotations

from app.providers.base import Embedder, Provider
from app.providers.description import Configuration, Embeddings, ProviderDescription, Setting
from app.values import ProviderName

NAME = ProviderName("ollama")
BASE_URL = Setting("OLLAMA_BASE_URL", "url", aliases=("OLLAMA_HOST",))
MODEL = Setting("OLLAMA_MODEL", "model", aliases=("OLLAMA_MODELS",))


def _chat(configuration: Configuration) -> Provider:
    from app.providers.ollama.chat import OllamaProvider
    from app.providers.ollama.client import make_client
    from app.providers.ollama.context import Contexts

    client = make_client(configuration)
    contexts = {model: tokens for (owner, model), tokens in configuration.context_tokens.items() if owner == NAME}
    return OllamaProvider(client, Contexts(client, contexts))


def _embedder(configuration: Configuration, model: str) -> Embedder:
    from app.providers.ollama.client import make_client
    from app.providers.ollama.embeddings import OllamaEmbedder

    return OllamaEmbedder(make_client(configuration), model)


OLLAMA = ProviderDescription(
    name=NAME,
    settings=(BASE_URL, MODEL),
    enabled_by=BASE_URL,
    make=_chat,
    serves_other_families=True,
    # a name without a tag means this tag
    alias_suffix=":latest",
    # local models cost nothing per token
    free=True,
    runs_locally=True,
    # most models support more, but a small machine lacks the memory: this size takes 2 GB for an 8B model
    context_tokens=16_384,
    availability="listed",
    list_fresh_seconds=15.0,
    embeddings=Embeddings(prefixes=("",), make=_embedder),
)
