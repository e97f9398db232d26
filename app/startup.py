"""Lines that the start prints about its settings: which providers are on, and where the models come from."""

from __future__ import annotations

from app.providers.factory import make_providers
from app.providers.registry import PROVIDERS
from app.routing.catalog import Catalog
from app.settings import FIELDS, Settings
from app.values import ProviderName


def in_use(settings: Settings) -> list[str]:
    """Lines for a person at a terminal, without keys."""
    providers = list(make_providers(settings.providers))
    if all(PROVIDERS[name].stand_in for name in providers):
        return [f"Providers: none set, the offline {', '.join(providers)} answers", _embeddings(settings)]
    models = ", ".join(_model(settings, name) for name in providers)
    return [f"Providers: {', '.join(providers)}", f"Models: {models}", _embeddings(settings)]


def _model(settings: Settings, provider: ProviderName) -> str:
    """A provider's default model, and where it comes from."""
    spec, setting = Catalog(settings).default(provider), PROVIDERS[provider].model_setting
    if spec is None:
        unset = f", as {setting.name} is not set" if setting is not None else ""
        return f"the first that {provider} lists{unset}"
    named = setting is not None and settings.providers.value(setting) is not None
    origin = setting.name if setting is not None and named else "Parley's list"
    return f"{spec.model} of {provider} (from {origin})"


def _embeddings(settings: Settings) -> str:
    model = settings.embedding_model
    origin = "the default" if model == FIELDS["EMBEDDING_MODEL"].default else "from EMBEDDING_MODEL"
    owner = PROVIDERS.embedding(model)
    if owner is None or owner.enabled_by is None:
        return f"Embeddings: {model} ({origin})"
    if not owner.is_configured(settings.providers):
        offline = PROVIDERS.offline_embeddings.names[0]
        return f"Embeddings: {offline}, since {model} needs {owner.enabled_by.name}, which is not set"
    return f"Embeddings: {model} of {owner.name} ({origin})"
