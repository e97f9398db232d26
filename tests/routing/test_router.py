"""The order of candidates: a table of cases, and what holds for every case."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest, ProviderUnavailable
from app.providers.registry import PROVIDERS
from app.routing.catalog import ModelSpec
from app.routing.router import Candidate, ModelPreference, Offer, route
from app.values import ProviderName


def offer(
    provider: ProviderName,
    model: str = "main",
    *,
    limit: int | None = None,
    default: bool = True,
    available: bool = True,
    wait: float = 0.0,
) -> Offer:
    spec = ModelSpec(
        provider=provider,
        model=model,
        max_output_tokens=limit,
        task_types=PROVIDERS[provider].tasks,
    )
    return Offer(
        spec=spec,
        default=default,
        available=available,
        wait=wait,
    )


def models(*, without: str = "", **changes: Offer) -> list[Offer]:
    """One offer of each hosted provider and Ollama, with changes."""
    names: tuple[ProviderName, ...] = ("openai", "gemini", "claude", "ollama")
    return [changes.get(name, offer(name)) for name in names if name != without]


OPUS = offer("claude", "opus", default=False)

CASES: list[tuple[str, list[Offer], ModelPreference, ProviderName | None, str]] = [
    ("without a task gemini is first", models(), ModelPreference(), None, "gemini openai claude ollama"),
    ("without a task the default is first", models(), ModelPreference(), "claude", "claude gemini openai ollama"),
    ("general goes to gemini", models(), ModelPreference(task_type="general"), "claude", "gemini claude openai ollama"),
    ("so does analysis", models(), ModelPreference(task_type="analysis"), None, "gemini openai claude ollama"),
    ("code goes to claude", models(), ModelPreference(task_type="code"), None, "claude gemini openai ollama"),
    ("creative goes to openai", models(), ModelPreference(task_type="creative"), None, "openai gemini claude ollama"),
    (
        "the default comes after the task",
        models(),
        ModelPreference(task_type="code"),
        "ollama",
        "claude ollama gemini openai",
    ),
    (
        "an ill default is passed over",
        models(openai=offer("openai", wait=12.0)),
        ModelPreference(),
        "openai",
        "gemini claude ollama",
    ),
    ("a default that is not configured", models(without="claude"), ModelPreference(), "claude", "gemini openai ollama"),
    ("the preference comes first", models(), ModelPreference(provider="ollama"), None, "ollama gemini openai claude"),
    (
        "preference, task, default, rest",
        models(),
        ModelPreference(provider="openai", task_type="code"),
        "ollama",
        "openai claude ollama gemini",
    ),
    (
        "a model is a preference",
        [*models(), OPUS],
        ModelPreference(model="opus"),
        None,
        "claude/opus gemini openai claude ollama",
    ),
    (
        "a model with its provider",
        [*models(), OPUS],
        ModelPreference(provider="claude", model="opus", task_type="code"),
        None,
        "claude/opus claude gemini openai ollama",
    ),
    (
        "a model that two providers offer",
        models(),
        ModelPreference(model="main"),
        None,
        "openai gemini claude ollama",
    ),
    (
        "the model of a provider that has another of that name",
        models(),
        ModelPreference(provider="claude", model="main"),
        None,
        "claude gemini openai ollama",
    ),
    (
        "an unavailable preference is passed over",
        models(ollama=offer("ollama", available=False)),
        ModelPreference(provider="ollama"),
        None,
        "gemini openai claude",
    ),
    (
        "a configured Ollama without a model is passed over",
        models(without="ollama"),
        ModelPreference(provider="ollama"),
        None,
        "gemini openai claude",
    ),
    (
        "Ollama's latest is the model without a tag",
        [*models(), offer("ollama", "llama3", default=False)],
        ModelPreference(model="llama3:latest"),
        None,
        "ollama/llama3 gemini openai claude ollama",
    ),
    (
        "Gemini's models as its own API names them",
        [*models(), offer("gemini", "gemini-9", default=False)],
        ModelPreference(provider="gemini", model="models/gemini-9"),
        None,
        "gemini/gemini-9 gemini openai claude ollama",
    ),
    (
        "an open breaker is passed over",
        models(gemini=offer("gemini", wait=12.0)),
        ModelPreference(provider="gemini"),
        "gemini",
        "openai claude ollama",
    ),
    (
        "a limit below max_tokens is passed over",
        models(gemini=offer("gemini", limit=4096), claude=offer("claude", limit=8192)),
        ModelPreference(max_tokens=8192),
        None,
        "openai claude ollama",
    ),
    ("the demo alone", [offer("demo", "demo")], ModelPreference(task_type="code"), "claude", "demo/demo"),
]


def short(candidates: tuple[Candidate, ...]) -> str:
    """Candidates as the table writes them."""
    return " ".join(
        candidate.provider + ("" if candidate.model == "main" else f"/{candidate.model}") for candidate in candidates
    )


ALL: tuple[ProviderName, ...] = ("openai", "gemini", "claude", "ollama")


@pytest.mark.parametrize(
    ("offers", "preference", "default", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_order(offers: list[Offer], preference: ModelPreference, default: ProviderName | None, expected: str) -> None:
    configured: tuple[ProviderName, ...] = ALL if len(offers) > 1 else ("demo",)
    assert short(route(offers, preference, configured, default)) == expected


def test_a_candidate_carries_its_limits() -> None:
    spec = ModelSpec(provider="openai", model="m", context_tokens=1000, max_output_tokens=100)
    offers = [Offer(spec=spec, default=True, available=True)]
    assert route(offers, ModelPreference(), ALL) == (Candidate("openai", "m", 1000, 100),)


def test_nothing_on_offer() -> None:
    with pytest.raises(ProviderUnavailable):
        route([], ModelPreference(), ALL)


DEMO = [offer("demo", "demo"), offer("claude", "opus", available=False)]
GATEWAY = [offer("openai", name, default=False) for name in (*(f"m{number}" for number in range(30)), "qwen-2.5")]
REFUSED: list[tuple[str, list[Offer], tuple[ProviderName, ...], ModelPreference, str]] = [
    (
        "a provider that does not exist",
        models(),
        ALL,
        ModelPreference(provider="mistral"),
        "There is no provider 'mistral'. Available: openai, gemini, claude, ollama.",
    ),
    (
        "a provider that is not configured",
        [*models(without="ollama"), offer("ollama", available=False)],
        ("openai", "gemini", "claude"),
        ModelPreference(provider="ollama"),
        "The provider 'ollama' is not configured. Available: openai, gemini, claude.",
    ),
    (
        "the demo beside others",
        models(),
        ALL,
        ModelPreference(provider="demo"),
        "The provider 'demo' is not configured. Available: openai, gemini, claude, ollama.",
    ),
    (
        "any provider where only the demo is",
        DEMO,
        ("demo",),
        ModelPreference(provider="claude"),
        "The provider 'claude' is not configured. Available: demo.",
    ),
    (
        "its model where only the demo is",
        DEMO,
        ("demo",),
        ModelPreference(model="opus"),
        "The model 'opus' belongs to 'claude', which is not configured. Available: demo.",
    ),
    (
        "the demo with another one's model",
        DEMO,
        ("demo",),
        ModelPreference(provider="demo", model="opus"),
        "The provider 'demo' does not offer the model 'opus'. Available: demo.",
    ),
    (
        "a model that nobody offers",
        models(),
        ALL,
        ModelPreference(model="gpt-99"),
        "No provider offers the model 'gpt-99'. Available: main.",
    ),
    (
        "a model in another case",
        models(),
        ALL,
        ModelPreference(model="Main"),
        "No provider offers the model 'Main'. Available: main.",
    ),
    (
        "a provider with another one's model",
        [*models(), OPUS],
        ALL,
        ModelPreference(provider="openai", model="opus"),
        "The provider 'openai' does not offer the model 'opus'. Available: main.",
    ),
    (
        "a provider with the model of one that is not configured",
        [*models(without="claude"), offer("claude", "opus", available=False)],
        ("openai", "gemini", "ollama"),
        ModelPreference(provider="openai", model="opus"),
        "The provider 'openai' does not offer the model 'opus'. Available: main.",
    ),
    (
        "Ollama's tag at another provider",
        models(),
        ALL,
        ModelPreference(provider="openai", model="main:latest"),
        "The provider 'openai' does not offer the model 'main:latest'. Available: main.",
    ),
    (
        "an Ollama without models",
        models(without="ollama"),
        ALL,
        ModelPreference(provider="ollama", model="llama3"),
        "The provider 'ollama' does not offer the model 'llama3'. No model is available.",
    ),
    (
        "of many models those come first whose names are like it",
        GATEWAY,
        ("openai",),
        ModelPreference(model="qwen-25"),
        "No provider offers the model 'qwen-25'. Available: qwen-2.5, "
        + ", ".join(f"m{n}" for n in range(19))
        + " and 11 more.",
    ),
]


@pytest.mark.parametrize(
    ("offers", "configured", "preference", "detail"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_refused(
    offers: list[Offer], configured: tuple[ProviderName, ...], preference: ModelPreference, detail: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        route(offers, preference, configured)
    assert (caught.value.status, caught.value.detail) == (422, detail)


def test_everything_open_says_when_the_first_may_be_back() -> None:
    offers = [offer("openai", wait=29.2), offer("claude", wait=3.1), offer("gemini", available=False)]
    with pytest.raises(ProviderUnavailable) as caught:
        route(offers, ModelPreference(), ALL)
    assert caught.value.retry_after == 4


def test_nothing_that_could_serve_the_wish() -> None:
    with pytest.raises(ProviderUnavailable) as caught:
        route([offer("openai", limit=10), offer("claude", available=False)], ModelPreference(max_tokens=100), ALL)
    assert caught.value.retry_after is not None


offers_of_all = st.lists(
    st.builds(
        offer,
        st.sampled_from(PROVIDERS.names),
        st.sampled_from(["main", "opus", "mini"]),
        limit=st.none() | st.integers(1, 100),
        default=st.booleans(),
        available=st.booleans(),
        wait=st.sampled_from([0.0, 0.0, 5.0]),
    ),
    min_size=1,
    max_size=10,
    unique_by=lambda one: (one.spec.provider, one.spec.model),
)
preferences = st.builds(
    ModelPreference,
    provider=st.none() | st.sampled_from(PROVIDERS.names),
    model=st.none() | st.sampled_from(["main", "opus", "mini"]),
    task_type=st.none() | st.sampled_from(["code", "creative", "analysis", "general"]),
    max_tokens=st.none() | st.integers(1, 100),
)


def serves(one: Offer, preference: ModelPreference) -> bool:
    limit = one.spec.max_output_tokens
    return (
        one.available
        and one.wait == 0
        and (limit is None or preference.max_tokens is None or limit >= preference.max_tokens)
    )


def outcome_of(
    offers: list[Offer], preference: ModelPreference, configured: set[ProviderName], default: ProviderName | None
) -> tuple[Candidate, ...] | InvalidRequest | ProviderUnavailable:
    try:
        return route(offers, preference, configured, default)
    except (InvalidRequest, ProviderUnavailable) as error:
        return error


@given(
    offers_of_all, preferences, st.sets(st.sampled_from(PROVIDERS.names)), st.none() | st.sampled_from(PROVIDERS.names)
)
def test_what_holds_for_every_case(
    offers: list[Offer], preference: ModelPreference, listless: set[ProviderName], default: ProviderName | None
) -> None:
    # what answers is configured; of the others, some are
    configured = {one.spec.provider for one in offers if one.available} | listless

    def wanted(one: Offer) -> bool:
        return (preference.provider is not None or preference.model is not None) and (
            preference.provider in (None, one.spec.provider)
            and (one.spec.model == preference.model if preference.model else one.default)
        )

    def key(one: Offer) -> tuple[str, str]:
        return one.spec.provider, one.spec.model

    able = {key(one) for one in offers if serves(one, preference)}
    # the defaults are one a provider: of several, the last
    proposed = {one.spec.provider: key(one) for one in offers if one.default}.values()
    outcome = outcome_of(offers, preference, configured, default)
    if isinstance(outcome, InvalidRequest):
        assert preference.provider not in {None, *configured} or (
            preference.model is not None and not any(wanted(one) for one in offers if one.spec.provider in configured)
        )
        return
    assert preference.provider in {None, *configured}
    if isinstance(outcome, ProviderUnavailable):
        assert not able & (set(proposed) | {key(one) for one in offers if wanted(one)})
        assert outcome.retry_after is not None
        assert outcome.retry_after >= 1
        return
    candidates = [(one.provider, one.model) for one in outcome]
    assert outcome == outcome_of(offers, preference, configured, default), "not deterministic"
    assert len(candidates) == len(set(candidates))
    assert set(candidates) <= able, "proposes what cannot serve"
    assert set(candidates) >= able & set(proposed), "leaves out a provider that can serve"
    preferred = [key(one) for one in offers if wanted(one) and key(one) in able]
    assert candidates[: len(preferred)] == preferred
