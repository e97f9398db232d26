"""Descriptions of providers: settings, models, preferred tasks, and the functions that make a provider's parts.

Importing a description imports no SDK: the functions that make the parts import it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from app.providers.base import Embedder, Moderator, Provider
from app.providers.base_url import BaseUrl
from app.values import ProviderName, TaskType


class Setting(msgspec.Struct, frozen=True):
    """An environment variable of a provider."""

    name: str
    kind: Literal["key", "url", "model"]
    """`key` is sent in a header, `url` is a base URL, `model` names the provider's default model."""
    default: str | None = None
    aliases: tuple[str, ...] = ()
    """Names that other programs use for this setting or a similar one. In `.env` they are reported as mistakes."""


class Configuration(msgspec.Struct, frozen=True):
    """The providers' part of the settings."""

    values: Mapping[str, str] = {}
    """The values of all providers' settings that are set, by their names."""
    connect_timeout: float = 5.0
    """Seconds within which a connection must be established."""
    context_tokens: Mapping[tuple[ProviderName, str], int] = {}
    """The contexts of models that `MODEL_CONTEXT_TOKENS` names."""

    def value(self, setting: Setting) -> str | None:
        """The value of `setting`, else its default."""
        return self.values.get(setting.name, setting.default)

    def required(self, setting: Setting) -> str:
        """The value of a setting that is always there: it has a default, or the provider is not made without it."""
        value = self.value(setting)
        if value is None:
            raise LookupError(f"{setting.name} is not set")
        return value


class Patience(msgspec.Struct, frozen=True):
    """How many seconds a provider may be silent. Every sign of life restarts the count."""

    first_sign: float
    """Before the headers of the answer."""
    first_token: float
    """After the headers and before the first text, while the model reads the prompt and thinks."""
    gap: float
    """Between two reads of the text."""


# Models that think without showing it are silent for minutes, and some gateways send the headers only with the first
# token.
HOSTED = Patience(first_sign=120, first_token=300, gap=60)
# The model may have to be loaded from disk first, for which Ollama itself allows five minutes. A small machine may need
# another five minutes to read a long prompt.
LOCAL = Patience(first_sign=600, first_token=600, gap=120)


class Price(msgspec.Struct, frozen=True):
    """Micro-dollars per million tokens. Surcharges for prompts above 100,000 tokens are not included."""

    input: int
    cached: int
    output: int

    def cost(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> int:
        """What so many tokens cost, in micro-dollars, rounded up. `cached_tokens` are a part of the prompt's."""
        fresh = max(0, prompt_tokens - cached_tokens)
        total = fresh * self.input + cached_tokens * self.cached + completion_tokens * self.output
        return -(-total // 1_000_000)


FREE = Price(0, 0, 0)


def dollars(input: float, cached: float, output: float) -> Price:
    """A price in the form that providers publish: dollars per million tokens."""
    return Price(*(round(amount * 1_000_000) for amount in (input, cached, output)))


class KnownModel(msgspec.Struct, frozen=True):
    """What is known about one model. None means unknown; an unknown limit is assumed to be high enough."""

    name: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """The embedding models of a provider, and the function that makes their embedder.

    A model in `names` belongs to the provider that lists it. Any other model belongs to the provider with the longest
    matching prefix.
    """

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    """The empty prefix matches every model that no other provider has."""
    make: Callable[[Configuration, str], Embedder]
    """Make the embedder of a model. Imports the SDK."""
    threshold: float | None = None
    """The least cosine at which a passage counts as an answer; None: `SEARCH_THRESHOLD`."""
    prices: Mapping[str, int] = {}
    """Prices of models, in micro-dollars per million tokens. Others are unknown, unless the provider is free."""

    def fit(self, model: str) -> float:
        """How well `model` matches: infinity for a name, else the length of the longest matching prefix, else -1."""
        if model in self.names:
            return math.inf
        return max((len(prefix) for prefix in self.prefixes if model.startswith(prefix)), default=-1)


class ProviderDescription(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. Once it is registered (`app.providers.registry`), all other parts of Parley use it."""

    name: ProviderName
    settings: tuple[Setting, ...] = ()
    enabled_by: Setting | None
    """The setting without which the provider is not available; None: it needs no setting."""
    make: Callable[[Configuration], Provider]
    """Make the chat adapter. Imports the SDK."""

    tasks: tuple[TaskType, ...] = ()
    """The tasks for which the router prefers this provider."""
    models: tuple[KnownModel, ...] = ()
    """The known models. The first is the default, unless the setting of kind `model` names another."""
    families: tuple[str, ...] = ()
    """Prefixes of model names that only this provider's models have."""
    serves_other_families: bool = False
    """Whether it may serve models of other providers' families, as a compatible server may."""
    alias_prefix: str = ""
    alias_suffix: str = ""
    """An optional beginning and end of model names: names with and without them mean the same model."""
    context_tokens: int | None = None
    """The context of models for which nothing else is known; None: unknown, assumed to be large enough."""
    runs_locally: bool = False
    """Whether it always runs on the operator's own machines. Other providers do when their base URL is private."""
    free: bool = False
    """Whether models that are not known cost nothing; otherwise their price is unknown."""

    availability: Literal["configured", "listed"] = "configured"
    """`configured`: available when its setting is set, with the known models, and with listed models when a user names
    one. `listed`: available while it answers, with all models that it lists."""
    list_fresh_seconds: float = 600.0
    """How long a list of its models is used before it is fetched again."""
    stand_in: bool = False
    """Whether it answers only while no other provider is configured."""
    traced_as: str | None = None
    """What OpenTelemetry's conventions for generative AI call it; None: by its name."""

    embeddings: Embeddings | None = None
    make_moderator: Callable[[Configuration], Moderator] | None = None
    """Make the moderator. Imports the SDK. None: the provider has none."""

    def bare(self, model: str) -> str:
        """The name of a model without `alias_prefix` and `alias_suffix`. Upper and lower case are different models."""
        return model.removeprefix(self.alias_prefix).removesuffix(self.alias_suffix)

    @property
    def model_setting(self) -> Setting | None:
        """The setting that names the default model."""
        return next((setting for setting in self.settings if setting.kind == "model"), None)

    def patience(self, configuration: Configuration) -> Patience:
        """How long it may be silent, unless the settings say otherwise."""
        urls = [configuration.value(setting) for setting in self.settings if setting.kind == "url"]
        own = self.runs_locally or any(BaseUrl.parse(url).is_private for url in urls if url is not None)
        return LOCAL if own else HOSTED

    def is_configured(self, configuration: Configuration) -> bool:
        """Whether its settings make it available."""
        return self.enabled_by is None or configuration.value(self.enabled_by) is not None
