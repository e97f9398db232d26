"""The error tree: its drawing, its codes and statuses as promised, and what a client is told."""

from __future__ import annotations

import re

import pytest
from msgspec import structs

from app import errors
from app.errors import (
    ERRORS,
    AppError,
    ContentFlagged,
    InvalidRequest,
    ParameterUnsupported,
    PromptTooLong,
    ProviderError,
    SupabaseRefused,
    Unavailable,
    UnknownModel,
)
from app.values import Problem

PROMISED = {
    "unauthenticated": {401},
    "premium_required": {403},
    "not_found": {404},
    "conflict": {409},
    "idempotency_mismatch": {422},
    "invalid_request": {422},
    "payload_too_large": {413},
    "content_flagged": {422},
    "rate_limited": {429},
    "provider_unavailable": {503},
    "no_provider_configured": {503},
    "supabase_unavailable": {503},
    "draining": {503},
}
"""What clients rely on."""


def family(root: type[Exception]) -> set[type[Exception]]:
    return {root}.union(*(family(child) for child in root.__subclasses__() if child.__module__ == errors.__name__))


@pytest.mark.parametrize(("code", "statuses"), PROMISED.items())
def test_promised_codes(code: str, statuses: set[int]) -> None:
    assert ERRORS[code].code == code
    assert ERRORS[code].status in statuses


def test_every_error_is_listed_by_its_code() -> None:
    # the first only groups the others, and the rest are told as what they are a kind of
    told = family(AppError) - {Unavailable, SupabaseRefused, ParameterUnsupported, PromptTooLong, UnknownModel}
    assert {error.code: error for error in told} == ERRORS  # type: ignore[attr-defined]
    assert len(told) == len(ERRORS)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_problem_of_an_error(error: type[AppError]) -> None:
    problem = Problem(type=f"urn:parley:problem:{error.code}", title=error.title, status=error.status, code=error.code)
    assert error().problem() == problem
    assert error("Why.").problem() == structs.replace(problem, detail="Why.")
    assert error.title
    assert error.title[0].isupper()
    assert not error.title.endswith(".")


def test_status_and_members_of_one_occurrence() -> None:
    assert InvalidRequest("Why.", status=400).problem() == structs.replace(InvalidRequest("Why.").problem(), status=400)
    assert InvalidRequest.status == 422
    assert ContentFlagged(categories=["violence"]).problem().categories == ("violence",)


@pytest.mark.parametrize("root", [AppError, ProviderError])
def test_tree_is_drawn_as_it_is(root: type[Exception]) -> None:
    """Every line of the drawing: the class, and by its depth the parent."""
    assert errors.__doc__ is not None
    drawn: dict[str, str | None] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        if found := re.match(r"((?:[│ ]   )*(?:[├└]── )?)([A-Z]\w+)  +", line):
            path = [*path[: len(found[1]) // 4], found[2]]
            drawn[found[2]] = path[-2] if len(path) > 1 else None
    tree = {child.__name__: child.__bases__[0].__name__ if child is not root else None for child in family(root)}
    assert {name: parent for name, parent in drawn.items() if name in tree} == tree


@pytest.mark.parametrize("error", sorted(family(ProviderError), key=lambda error: error.__name__))
def test_what_a_provider_said_is_not_shown(error: type[ProviderError]) -> None:
    """Whoever turns a provider's error into a problem has to find words of our own."""
    assert not isinstance(error("their words", provider="openai"), AppError)
    assert not hasattr(error, "problem")
    if error.breaker == "failure":
        assert error.retryable


@pytest.mark.parametrize(
    "code", ["draining", "interrupted", "provider_unavailable", "rate_limited", "supabase_unavailable"]
)
def test_what_may_succeed_later_says_when(code: str) -> None:
    """Whoever raises it: `Retry-After` is promised."""
    assert ERRORS[code]().retry_after
    assert ERRORS[code](retry_after=7).retry_after == 7
