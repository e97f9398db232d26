"""What is known of models, and how the settings change it."""

from __future__ import annotations

import pytest

from app.providers.description import Price
from app.providers.openai.description import OPENAI
from app.providers.registry import PROVIDERS
from app.routing.catalog import Catalog, ModelSpec
from app.settings import Settings
from app.values import Usage


def settings(**values: str) -> Settings:
    return Settings(
        supabase_url="http://localhost", supabase_publishable_key="p", supabase_secret_key="s", provider_values=values
    )


def test_every_provider_but_ollama_has_a_default() -> None:
    catalog = Catalog(settings())
    assert [name for name in PROVIDERS.names if catalog.default(name) is None] == ["ollama"]


def test_models_are_listed_once_and_the_default_first() -> None:
    catalog = Catalog(settings(OPENAI_MODEL="gpt-5-mini"))
    models = [spec.model for spec in catalog.models("openai")]
    assert models[0] == "gpt-5-mini"
    assert len(models) == len(set(models)) == len(OPENAI.models)


def test_a_setting_names_a_model_that_is_not_in_the_data() -> None:
    catalog = Catalog(settings(CLAUDE_MODEL="claude-next"))
    spec = catalog.default("claude")
    assert spec == ModelSpec(provider="claude", model="claude-next", task_types=("code",))
    assert catalog.models("claude")[0] == spec


def test_a_setting_names_an_ollama_model_that_costs_nothing() -> None:
    spec = Catalog(settings(OLLAMA_MODEL="llama3.2")).default("ollama")
    assert spec is not None
    assert spec.cost(Usage(1_000_000, 1_000_000)) == 0


@pytest.mark.parametrize(
    ("usage", "micro_dollars"),
    [
        (Usage(0, 0), 0),
        (Usage(1_000_000, 0), 1_000_000),
        (Usage(1_000_000, 0, cached_tokens=1_000_000), 50_000),
        (Usage(1_000, 100, cached_tokens=600), 400 + 30 + 500),
        (Usage(0, 1), 5),
        # less than a micro-dollar is one: the sum of many replies must not come out as nothing
        (Usage(1, 0, cached_tokens=1), 1),
    ],
)
def test_cost(usage: Usage, micro_dollars: int) -> None:
    spec = ModelSpec(provider="openai", model="m", price=Price(1_000_000, 50_000, 5_000_000))
    assert spec.cost(usage) == micro_dollars


def test_an_unknown_price_is_not_a_price_of_nothing() -> None:
    assert Catalog(settings()).spec("openai", "gpt-99").cost(Usage(10, 10)) is None
