"""Which providers the settings configure. Imports no SDK: each is imported when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal, assert_never

from app.messages import ProviderName
from app.providers.base import Embedder, Moderator, Provider
from app.providers.deferred import DeferredEmbedder, DeferredModerator, DeferredProvider
from app.providers.demo.chat import DemoProvider
from app.settings import Settings

if TYPE_CHECKING:
    import httpx2
    import ollama
    from google import genai
    from openai import AsyncOpenAI


def make_providers(settings: Settings) -> dict[ProviderName, Provider]:
    """The providers that have a key, or Ollama its address; with none of them, the demo."""
    makers: dict[ProviderName, Callable[[], Provider]] = {}
    if settings.openai_api_key:
        makers["openai"] = lambda: _openai(settings)
    if settings.google_ai_api_key:
        makers["gemini"] = lambda: _gemini(settings)
    if settings.anthropic_api_key:
        makers["claude"] = lambda: _claude(settings)
    if settings.ollama_base_url:
        makers["ollama"] = lambda: _ollama(settings)
    if not makers:
        return {"demo": DemoProvider()}
    return {name: DeferredProvider(name, make) for name, make in makers.items()}


async def warm(providers: Iterable[Provider]) -> None:
    """Import the SDKs, one after the other, so that no turn waits for it."""
    for provider in providers:
        if isinstance(provider, DeferredProvider):
            await provider.warm()


def make_embedder(settings: Settings) -> Embedder | None:
    """The embedder of `EMBEDDING_MODEL`, or None: the model is `local`, or its provider is not configured."""
    model = settings.embedding_model
    match embedding_provider(model):
        case "openai":
            make, configured = _openai_embedder, settings.openai_api_key
        case "gemini":
            make, configured = _gemini_embedder, settings.google_ai_api_key
        case "ollama":
            make, configured = _ollama_embedder, settings.ollama_base_url
        case None:
            return None
        case other:
            assert_never(other)
    return DeferredEmbedder(model, lambda: make(settings)) if configured else None


def embedding_provider(model: str) -> Literal["openai", "gemini", "ollama"] | None:
    """Whose model it is, by its name: what is not OpenAI's or Gemini's is Ollama's, and `local` is nobody's."""
    if model == "local":
        return None
    if model.startswith("text-embedding-"):
        return "openai"
    return "gemini" if model.startswith("gemini-") else "ollama"


def make_moderator(settings: Settings) -> Moderator | None:
    """OpenAI's moderator, or None without its key."""
    return DeferredModerator(lambda: _moderator(settings)) if settings.openai_api_key else None


def _openai(settings: Settings) -> Provider:
    from app.providers.openai.chat import OpenAIProvider

    return OpenAIProvider(_openai_client(settings))


def _gemini(settings: Settings) -> Provider:
    from app.providers.gemini.chat import GeminiProvider

    return GeminiProvider(*_gemini_client(settings))


def _claude(settings: Settings) -> Provider:
    from app.providers.claude.chat import ClaudeProvider, make_client

    key, url = settings.anthropic_api_key or "", settings.anthropic_base_url
    return ClaudeProvider(make_client(key, url, settings.connect_timeout_seconds))


def _ollama(settings: Settings) -> Provider:
    from app.providers.ollama.chat import OllamaProvider

    return OllamaProvider(_ollama_client(settings))


def _openai_embedder(settings: Settings) -> Embedder:
    from app.providers.openai.embeddings import OpenAIEmbedder

    return OpenAIEmbedder(_openai_client(settings), settings.embedding_model)


def _gemini_embedder(settings: Settings) -> Embedder:
    from app.providers.gemini.embeddings import GeminiEmbedder

    return GeminiEmbedder(*_gemini_client(settings), settings.embedding_model)


def _ollama_embedder(settings: Settings) -> Embedder:
    from app.providers.ollama.embeddings import OllamaEmbedder

    return OllamaEmbedder(_ollama_client(settings), settings.embedding_model)


def _moderator(settings: Settings) -> Moderator:
    from app.providers.openai.moderation import OpenAIModerator

    return OpenAIModerator(_openai_client(settings))


def _openai_client(settings: Settings) -> AsyncOpenAI:
    from app.providers.openai.chat import make_client

    key, url = settings.openai_api_key or "", settings.openai_base_url
    return make_client(key, url, settings.connect_timeout_seconds)


def _gemini_client(settings: Settings) -> tuple[genai.Client, httpx2.AsyncClient]:
    from app.providers.gemini.chat import make_client

    key, url = settings.google_ai_api_key or "", settings.google_ai_base_url
    return make_client(key, url, settings.connect_timeout_seconds)


def _ollama_client(settings: Settings) -> ollama.AsyncClient:
    from app.providers.ollama.chat import make_client

    return make_client(settings.ollama_base_url or "", settings.connect_timeout_seconds)
