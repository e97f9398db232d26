"""Catalog: limits, prices and tasks of models, from the providers' descriptions and the settings."""

from __future__ import annotations

import msgspec

from app.providers.description import FREE, KnownModel, Price, ProviderDescription
from app.providers.registry import PROVIDERS
from app.settings import Settings
from app.values import ProviderName, TaskType, Usage


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a model of a provider. None means unknown; an unknown limit is assumed to be high enough."""

    provider: ProviderName
    model: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None
    task_types: tuple[TaskType, ...] = ()
    """The tasks for which the router takes this provider first."""

    def priced(self, input: int, cached: int, output: int) -> ModelSpec:
        """The same model at another price, in micro-dollars per million tokens."""
        return msgspec.structs.replace(self, price=Price(input, cached, output))

    def cost(self, usage: Usage) -> int | None:
        """The cost of `usage` in micro-dollars, rounded up; None when the price is not known."""
        if self.price is None:
            return None
        return self.price.cost(usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)


def provider_names() -> tuple[ProviderName, ...]:
    """All providers, configured or not, in the order of fallback."""
    return PROVIDERS.names


class Catalog:
    """The known models, and each provider's default model."""

    def __init__(self, settings: Settings) -> None:
        self._known: dict[tuple[ProviderName, str], ModelSpec] = {}
        self._default: dict[ProviderName, ModelSpec] = {}
        self._contexts = settings.model_context_tokens or {}
        self.configured = [provider.name for provider in PROVIDERS.chosen(settings.providers)]
        """The providers that may answer."""
        for provider in PROVIDERS:
            specs = [self._spec(provider, model) for model in provider.models]
            self._known |= {(spec.provider, spec.model): spec for spec in specs}
            setting = provider.model_setting
            if setting is not None and (named := settings.providers.value(setting)) is not None:
                default = self.spec(provider.name, provider.bare(named))
                self._known[provider.name, default.model] = self._default[provider.name] = default
            elif specs:
                self._default[provider.name] = specs[0]
        self._models = {provider.name: self._default_first(provider.name) for provider in PROVIDERS}

    def spec(self, provider: ProviderName, model: str) -> ModelSpec:
        """What is known about this model. For a model that is not in the catalog, what holds for its provider."""
        if (known := self._known.get((provider, model))) is not None:
            return known
        description = PROVIDERS[provider]
        price = FREE if description.free else None
        return self._spec(description, KnownModel(model, description.context_tokens, price=price))

    def knows(self, provider: ProviderName, model: str) -> bool:
        """Whether its data, or a setting, names this model."""
        return (provider, model) in self._known

    def belongs_elsewhere(self, provider: ProviderName, model: str) -> bool:
        """Whether `model` is another provider's, by its name alone. For when the provider's list is not available."""
        others = [other for other in PROVIDERS if other.name != provider]
        if any((other.name, other.bare(model)) in self._known for other in others):
            return True
        if PROVIDERS[provider].serves_other_families:
            return False
        return any(model.startswith(other.families) for other in others)

    def default(self, provider: ProviderName) -> ModelSpec | None:
        """The default model of a provider; None when neither its description nor a setting names one."""
        return self._default.get(provider)

    def models(self, provider: ProviderName) -> tuple[ModelSpec, ...]:
        """The provider's models, its default first."""
        return self._models[provider]

    def _default_first(self, provider: ProviderName) -> tuple[ModelSpec, ...]:
        specs = [spec for (owner, _), spec in self._known.items() if owner == provider]
        default = self._default.get(provider)
        return tuple(sorted(specs, key=lambda spec: spec != default))

    def _spec(self, provider: ProviderDescription, model: KnownModel) -> ModelSpec:
        return ModelSpec(
            provider=provider.name,
            model=model.name,
            context_tokens=self._contexts.get((provider.name, model.name), model.context_tokens),
            max_output_tokens=model.max_output_tokens,
            price=model.price,
            task_types=provider.tasks,
        )
