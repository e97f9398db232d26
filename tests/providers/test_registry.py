"""The registry: who is in it, whose an embedding model is, and what cannot be added."""

from __future__ import annotations

import pytest

from app.providers.description import Configuration, Embeddings, ProviderDescription, Setting
from app.providers.registry import PROVIDERS, Registry
from app.values import ProviderName


def never(*_: object) -> None:
    raise AssertionError


def description(name: str, *settings: Setting, embeddings: Embeddings | None = None) -> ProviderDescription:
    return ProviderDescription(
        name=ProviderName(name), settings=settings, enabled_by=None, make=never, embeddings=embeddings
    )


def models(*prefixes: str, names: tuple[str, ...] = ()) -> Embeddings:
    return Embeddings(names=names, prefixes=prefixes, make=never)


def test_the_order_of_fallback() -> None:
    assert PROVIDERS.names == ("gemini", "openai", "claude", "ollama", "demo")


def test_an_added_provider_is_last() -> None:
    registry = Registry(description("b"))
    registry.register(description("a"))
    assert registry.names == ("b", "a")
    assert "a" in registry


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="there is already a provider a"):
        Registry(description("a"), description("a"))


def test_a_setting_is_taken_once() -> None:
    with pytest.raises(ValueError, match="another provider has the settings A_KEY"):
        Registry(description("a", Setting("A_KEY", "key")), description("b", Setting("A_KEY", "url")))


@pytest.mark.parametrize(
    ("model", "owner"), [("x-large-2", "b"), ("x-small", "a"), ("y", "c"), ("exact", "d"), ("exact-2", "c")]
)
def test_a_name_and_then_the_longest_prefix_says_whose_an_embedding_model_is(model: str, owner: str) -> None:
    registry = Registry(
        description("a", embeddings=models("x-")),
        description("b", embeddings=models("x-large-", "z-")),
        description("c", embeddings=models("")),
        description("d", embeddings=models(names=("exact",))),
        description("e"),
    )
    found = registry.embedding(model)
    assert found is not None
    assert found.name == owner


def test_an_embedding_model_of_nobodys() -> None:
    assert Registry(description("a", embeddings=models("x-")), description("b")).embedding("y") is None


def test_a_setting_that_makes_a_provider_available_has_a_value() -> None:
    setting = Setting("A_KEY", "key")
    assert Configuration({"A_KEY": "k"}).required(setting) == "k"
    assert Configuration().required(Setting("A_URL", "url", default="http://a")) == "http://a"
    with pytest.raises(LookupError, match="A_KEY is not set"):
        Configuration().required(setting)
