"""What is known of a provider: its settings, its models, what it is first for, and how its parts are made.

A description is data and a few functions. Importing one imports no SDK: a function that makes a part imports it.
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
    """`key` is sent in a header, `url` is a base URL, `model` names the model that the router proposes."""
    default: str | None = None
    aliases: tuple[str, ...] = ()
    """What other programs call it, or what looks like it and is theirs: in `.env` such a name is taken for it."""


class Configuration(msgspec.Struct, frozen=True):
    """What the environment says to the providers."""

    values: Mapping[str, str] = {}
    """The settings that are set, of all providers, by their names."""
    connect_timeout: float = 5.0
    """Seconds in which a connection must stand."""
    context_tokens: Mapping[tuple[ProviderName, str], int] = {}
    """The contexts of models that the environment names."""

    def value(self, setting: Setting) -> str | None:
        """What `setting` is set to, else its default."""
        return self.values.get(setting.name, setting.default)

    def required(self, setting: Setting) -> str:
        """The same of a setting that has a default or without which the provider is not available."""
        value = self.value(setting)
        if value is None:
            raise LookupError(f"{setting.name} is not set")
        return value


class Patience(msgspec.Struct, frozen=True):
    """How many seconds a provider may be silent. Every sign of life begins the count anew."""

    first_sign: float
    """Before the headers of its answer."""
    first_token: float
    """After them, before its first text: while it reads the prompt and thinks."""
    gap: float
    """Between two reads of its text."""


# Thinking models that do not show their thinking are silent for minutes, and some gateways send the headers with the
# first token only.
HOSTED = Patience(first_sign=120, first_token=300, gap=60)
# A model may have to be read from a disk before anything comes: Ollama itself gives that five minutes. A long prompt
# takes a small machine as long again.
LOCAL = Patience(first_sign=600, first_token=600, gap=120)


class Price(msgspec.Struct, frozen=True):
    """Micro-dollars per million tokens. Surcharges for prompts above 100,000 tokens are left out."""

    input: int
    cached: int
    output: int


FREE = Price(0, 0, 0)


def dollars(input: float, cached: float, output: float) -> Price:
    """A price as providers print it: dollars per million tokens."""
    return Price(*(round(amount * 1_000_000) for amount in (input, cached, output)))


class KnownModel(msgspec.Struct, frozen=True):
    """What is known of one model. None: unknown; an unknown limit is taken to be high enough."""

    name: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    price: Price | None = None


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """Which embedding models are a provider's, and how their embedder is made.

    A model whose whole name is listed belongs to the provider that lists it, any other to the one with the longest
    fitting prefix.
    """

    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    """The empty one fits every model that is nobody else's."""
    make: Callable[[Configuration, str], Embedder]
    """Of the settings and the model. Imports what it needs."""
    threshold: float | None = None
    """The cosine from which on a passage counts as an answer; None: `SEARCH_THRESHOLD`."""

    def fit(self, model: str) -> float:
        """How well `model` fits: infinitely for a name, else the length of its longest prefix, -1 for none."""
        if model in self.names:
            return math.inf
        return max((len(prefix) for prefix in self.prefixes if model.startswith(prefix)), default=-1)


class ProviderDescription(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. Register it (`app.providers.registry`), and everything else follows from this."""

    name: ProviderName
    settings: tuple[Setting, ...] = ()
    enabled_by: Setting | None
    """The setting without which the provider is not available; None: it needs nothing."""
    make: Callable[[Configuration], Provider]
    """Make the chat adapter. Imports what it needs."""

    tasks: tuple[TaskType, ...] = ()
    """The tasks for which the router takes this provider first."""
    models: tuple[KnownModel, ...] = ()
    """The known models; the first is proposed unless the setting of kind `model` names another."""
    families: tuple[str, ...] = ()
    """How the names of its models begin, and of nobody else's."""
    serves_other_families: bool = False
    """Whether models of the others' families may be among its own: behind a compatible server, any may."""
    alias_prefix: str = ""
    alias_suffix: str = ""
    """What a model's name may begin or end with without being another model's."""
    context_tokens: int | None = None
    """The context of its models of which nothing else is known; None: unknown, taken to be large enough."""
    runs_locally: bool = False
    """Whether it runs on machines of one's own wherever these are; others do at an address of one's own network."""
    free: bool = False
    """Whether models that are not known cost nothing; otherwise their price is unknown."""

    availability: Literal["configured", "listed"] = "configured"
    """`configured`: it is there when its setting is, with the known models and, for whoever names one, those that it
    lists. `listed`: it is there while it answers, with all the models that it lists."""
    list_fresh_seconds: float = 600.0
    """How long a list of its models is good."""
    stand_in: bool = False
    """Whether it answers only while no other provider is configured."""

    embeddings: Embeddings | None = None
    make_moderator: Callable[[Configuration], Moderator] | None = None
    """Make the moderator. Imports what it needs. None: it has none."""

    def bare(self, model: str) -> str:
        """The one name of a model that has several. Upper and lower case are different models."""
        return model.removeprefix(self.alias_prefix).removesuffix(self.alias_suffix)

    @property
    def model_setting(self) -> Setting | None:
        """The setting that names the model which the router proposes."""
        return next((setting for setting in self.settings if setting.kind == "model"), None)

    def patience(self, configuration: Configuration) -> Patience:
        """How long it may be silent when no setting says so."""
        urls = [configuration.value(setting) for setting in self.settings if setting.kind == "url"]
        own = self.runs_locally or any(BaseUrl.parse(url).is_private for url in urls if url is not None)
        return LOCAL if own else HOSTED

    def is_configured(self, configuration: Configuration) -> bool:
        """Whether its settings make it available."""
        return self.enabled_by is None or configuration.value(self.enabled_by) is not None
