"""What is kept of a server's refusals."""

from __future__ import annotations

import re

import pytest

from app.errors import RequestRefused
from app.providers import dialect
from app.providers.dialect import Body, Dialect, Option, Steps, form

ONE = Option("one", re.compile("one"))
TWO = Option("two", re.compile("two"))


def build(steps: Steps) -> Body:
    body = {"one": form(steps, ONE, (1, 2, None)), "two": form(steps, TWO, (1, None))}
    return {name: value for name, value in body.items() if value is not None}


def refused(words: str) -> RequestRefused:
    error = RequestRefused("400", provider="p", status=400)
    error.words = words
    return error


def after(*words: str) -> Body | None:
    """The body after these refusals; None: the last one is final."""
    learnt = Dialect(ONE, TWO)
    steps: Steps = {}
    body = build(steps)
    for each in words:
        fewer = learnt.conceded(refused(each), steps, body, build)
        if fewer is None:
            return None
        steps, body = fewer
    return body


@pytest.mark.parametrize(
    ("words", "body"),
    [
        ([], {"one": 1, "two": 1}),
        (["one is not supported"], {"one": 2, "two": 1}),
        (["one is not supported", "one is not supported"], {"two": 1}),
        (["one is not supported"] * 3, None),
        (["two is not supported, use one"], {"one": 1}),
        (["one is 1"], None),
        (["three is not supported"], None),
        (["two is not supported", "two is not supported"], None),
        (["unknown field two, expected one of one, three"], {"one": 1}),
        (["two and one are not supported", "one is not supported"], {"one": 2}),
    ],
)
def test_forms_of_what_is_refused(words: list[str], body: Body | None) -> None:
    assert after(*words) == body


def test_models_are_told_apart() -> None:
    learnt = Dialect(ONE, TWO)
    learnt.keep("old", {"one": 1})

    assert (learnt.steps("old"), learnt.steps("new")) == ({"one": 1}, {})


def test_calls_at_the_same_time_learn_together() -> None:
    learnt = Dialect(ONE, TWO)
    learnt.keep("m", {"one": 2})
    learnt.keep("m", {"one": 1, "two": 1})

    assert learnt.steps("m") == {"one": 2, "two": 1}


def test_the_model_that_was_asked_least_recently_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialect, "MODELS", 2)
    learnt = Dialect(ONE, TWO)
    learnt.keep("a", {"one": 1})
    learnt.keep("b", {"one": 1})
    learnt.steps("a")
    learnt.keep("c", {"one": 1})

    assert [model for model in "abc" if learnt.steps(model)] == ["a", "c"]
