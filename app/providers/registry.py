"""Registry: all providers, in the order in which the router falls back on them. Importing it imports no SDK."""

from __future__ import annotations

from collections.abc import Iterator

from app.providers.claude.description import CLAUDE
from app.providers.demo.description import DEMO
from app.providers.description import Configuration, Embeddings, ProviderDescription, Setting
from app.providers.gemini.description import GEMINI
from app.providers.ollama.description import OLLAMA
from app.providers.openai.description import OPENAI
from app.values import ProviderName


class Registry:
    """Descriptions by name, in order."""

    def __init__(self, *descriptions: ProviderDescription) -> None:
        self._descriptions: dict[ProviderName, ProviderDescription] = {}
        for description in descriptions:
            self.register(description)

    def register(self, description: ProviderDescription) -> None:
        """Add a provider at the end of the order. Call it before `app.main` is imported, which reads the names.

        Raises `ValueError` for a name or a setting that another provider has.
        """
        if description.name in self._descriptions:
            raise ValueError(f"there is already a provider {description.name}")
        taken = self.settings.keys() & {setting.name for setting in description.settings}
        if taken:
            raise ValueError(f"another provider has the settings {', '.join(sorted(taken))}")
        self._descriptions[description.name] = description

    def __iter__(self) -> Iterator[ProviderDescription]:
        return iter(self._descriptions.values())

    def __contains__(self, name: object) -> bool:
        return name in self._descriptions

    def __getitem__(self, name: ProviderName) -> ProviderDescription:
        return self._descriptions[name]

    @property
    def names(self) -> tuple[ProviderName, ...]:
        """The names of all providers."""
        return tuple(self._descriptions)

    def chosen(self, configuration: Configuration) -> list[ProviderDescription]:
        """The configured providers; if there are none, the stand-ins."""
        configured = [description for description in self if description.is_configured(configuration)]
        return [description for description in configured if not description.stand_in] or configured

    @property
    def moderators(self) -> tuple[ProviderName, ...]:
        """The names of the providers that moderate."""
        return tuple(description.name for description in self if description.make_moderator is not None)

    @property
    def settings(self) -> dict[str, Setting]:
        """The settings of all providers, by their names."""
        return {setting.name: setting for description in self for setting in description.settings}

    def embedding(self, model: str) -> ProviderDescription | None:
        """The provider of this embedding model, or None. See `Embeddings`."""
        fits = {description.name: description.embeddings.fit(model) for description in self if description.embeddings}
        best = max(fits, key=lambda name: fits[name], default=None)
        return self._descriptions[best] if best is not None and fits[best] >= 0 else None

    def embedding_prices(self) -> dict[str, int]:
        """The embedding models with a known price, in micro-dollars per million tokens."""
        return {name: price for one in self if one.embeddings for name, price in one.embeddings.prices.items()}

    def embedding_price(self, model: str) -> int | None:
        """What an embedding model costs, in micro-dollars per million tokens; None: not known."""
        owner = self.embedding(model)
        if owner is None or owner.embeddings is None:
            return None
        return owner.embeddings.prices.get(model, 0 if owner.free else None)

    @property
    def offline_embeddings(self) -> Embeddings:
        """The embeddings of the provider that needs no setting."""
        return next(one.embeddings for one in self if one.embeddings is not None and one.enabled_by is None)


PROVIDERS = Registry(GEMINI, OPENAI, CLAUDE, OLLAMA, DEMO)
