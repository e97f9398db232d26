"""In charge of what is known of models, as data: limits, prices, the tasks each is the first choice for."""

from __future__ import annotations

from typing import get_args

import msgspec

from app.messages import ProviderName, TaskType, Usage
from app.settings import Settings

PROVIDERS: tuple[ProviderName, ...] = get_args(ProviderName)


class Price(msgspec.Struct, frozen=True):
    """Micro-dollars per million tokens. Surcharges for prompts above 100,000 tokens are left out."""

    input: int
    cached: int
    output: int


FREE = Price(0, 0, 0)


class ModelSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one model. None: unknown; an unknown limit is taken to be high enough."""

    provider: ProviderName
    model: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None
    task_types: tuple[TaskType, ...] = ()
    """The tasks for which the router takes this provider first."""
    streaming: bool = True

    def cost(self, usage: Usage) -> int | None:
        """What `usage` costs, in micro-dollars, rounded up; None when the price is not known."""
        if self.price is None:
            return None
        fresh = max(0, usage.prompt_tokens - usage.cached_tokens)
        total = (
            fresh * self.price.input
            + usage.cached_tokens * self.price.cached
            + usage.completion_tokens * self.price.output
        )
        return -(-total // 1_000_000)


TASKS: dict[ProviderName, tuple[TaskType, ...]] = {
    "claude": ("code",),
    "openai": ("creative",),
    "gemini": ("analysis", "general"),
}


def _spec(
    provider: ProviderName, model: str, context: int, output: int, dollars: tuple[float, float, float]
) -> ModelSpec:
    """One row of the table below; its prices are dollars per million tokens: input, cached input, output."""
    return ModelSpec(
        provider=provider,
        model=model,
        context_tokens=context,
        max_output_tokens=output,
        price=Price(*(round(amount * 1_000_000) for amount in dollars)),
        task_types=TASKS.get(provider, ()),
    )


# The first row of a provider is its default: the middle of its current range, as a chat needs an answer soon.
# Read in November 2026 from developers.openai.com/api/docs/models and /pricing,
# platform.claude.com/docs/en/models and ai.google.dev/gemini-api/docs/pricing. Google halves the price of the
# 3.8 Flash until the end of 2026 and of the two Gemini 4 until the end of November; these are for later.
KNOWN: tuple[ModelSpec, ...] = (
    _spec("openai", "gpt-6.1-terra", 1_050_000, 128_000, (1.00, 0.05, 5.00)),
    _spec("openai", "gpt-6.1-sol", 1_050_000, 128_000, (2.00, 0.10, 10.00)),
    _spec("openai", "gpt-6-astra", 1_050_000, 128_000, (10.00, 1.00, 50.00)),
    _spec("openai", "gpt-6-luna", 1_050_000, 128_000, (0.10, 0.01, 0.50)),
    _spec("openai", "gpt-5-mini", 400_000, 128_000, (0.25, 0.025, 2.00)),
    _spec("openai", "gpt-4o-mini", 128_000, 16_384, (0.15, 0.075, 0.60)),
    _spec("claude", "claude-sonnet-5-5", 1_000_000, 128_000, (2.00, 0.10, 10.00)),
    _spec("claude", "claude-opus-5-5", 1_000_000, 128_000, (4.00, 0.20, 20.00)),
    _spec("claude", "claude-haiku-5-5", 1_000_000, 128_000, (0.10, 0.01, 0.50)),
    _spec("gemini", "gemini-3.8-flash", 1_048_576, 65_536, (1.50, 0.15, 7.50)),
    _spec("gemini", "gemini-4-argon", 1_048_576, 65_536, (4.00, 0.20, 20.00)),
    _spec("gemini", "gemini-4-carbon", 1_048_576, 65_536, (4.00, 0.20, 20.00)),
    _spec("gemini", "gemini-2.5-flash", 1_048_576, 65_536, (0.30, 0.03, 2.50)),
    ModelSpec(provider="demo", model="demo", price=FREE),
)


# Models whose names begin so are this provider's, and are not served by the other two.
FAMILIES: dict[str, ProviderName] = {"gpt-": "openai", "claude-": "claude", "gemini-": "gemini"}


def bare(provider: ProviderName, model: str) -> str:
    """The one name of a model that has several: Gemini's own API writes `models/gemini-…`, and Ollama takes a name
    without a tag for the one tagged `latest`. Upper and lower case are different models."""
    if provider == "gemini":
        return model.removeprefix("models/")
    return model.removesuffix(":latest") if provider == "ollama" else model


class Catalog:
    """The known models, with the defaults that the settings name."""

    def __init__(self, settings: Settings) -> None:
        named = {
            "openai": settings.openai_model,
            "gemini": settings.gemini_model,
            "claude": settings.claude_model,
            "ollama": settings.ollama_model,
        }
        self._known = {(spec.provider, spec.model): spec for spec in KNOWN}
        self._default: dict[ProviderName, ModelSpec] = {}
        for spec in KNOWN:
            self._default.setdefault(spec.provider, spec)
        for provider in PROVIDERS:
            if name := named.get(provider):
                model = bare(provider, name)
                self._default[provider] = self._known.setdefault((provider, model), self.spec(provider, model))

    def spec(self, provider: ProviderName, model: str) -> ModelSpec:
        """What is known of this model; of one that is not in the data, what holds for its provider."""
        return self._known.get((provider, model)) or ModelSpec(
            provider=provider,
            model=model,
            # what runs on one's own machine sends no bill
            price=FREE if provider == "ollama" else None,
            task_types=TASKS.get(provider, ()),
        )

    def belongs_elsewhere(self, provider: ProviderName, model: str) -> bool:
        """Whether `model` is known to be another provider's. Judges by name alone: for when the list that would tell
        cannot be had. An OpenAI-compatible server and an Ollama may serve every family."""
        if any(owner != provider and bare(owner, model) == bare(owner, name) for owner, name in self._known):
            return True
        family = next((owner for prefix, owner in FAMILIES.items() if model.startswith(prefix)), provider)
        return provider in ("claude", "gemini") and family != provider

    def default(self, provider: ProviderName) -> ModelSpec | None:
        """The model that the router proposes for a provider; None for an Ollama whose model is not set."""
        return self._default.get(provider)

    def models(self, provider: ProviderName) -> tuple[ModelSpec, ...]:
        """The provider's models, its default first."""
        specs = [spec for (owner, _), spec in self._known.items() if owner == provider]
        default = self._default.get(provider)
        return tuple(sorted(specs, key=lambda spec: spec != default))
