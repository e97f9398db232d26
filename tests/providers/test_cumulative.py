"""Events that each bring all the text so far, told from events that bring what is new."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.wire.cumulative import CERTAIN, Cumulative


def read(*texts: str) -> str:
    cumulative = Cumulative()
    return "".join(cumulative.read(text) for text in texts) + cumulative.end()


@pytest.mark.parametrize(
    ("texts", "text"),
    [
        (["It is", " six"], "It is six"),
        (["It", "It is", "It is six", "It is six"], "It is six"),
        (["x" * CERTAIN, "x" * CERTAIN + "y"], "x" * CERTAIN + "y"),
        ([")", "))", " and"], "))) and"),
        ([")", "))"], ")))"),
        (["ha", "ha", "ha"], "hahaha"),
        (["It", "It is", "It is six", "It is six", "It is six o'clock"], "It is six o'clock"),
        ([], ""),
    ],
)
def test_cumulative(texts: list[str], text: str) -> None:
    assert read(*texts) == text


@given(st.lists(st.text(min_size=1), max_size=8))
def test_text_so_far_is_read_once(pieces: list[str]) -> None:
    so_far = ["".join(pieces[: place + 1]) for place in range(len(pieces))]
    # of two events alone nobody knows
    if len(so_far) != 2 or len(so_far[0]) >= CERTAIN:
        assert read(*so_far) == "".join(pieces)


@given(
    st.lists(st.text(min_size=1), max_size=8).filter(lambda texts: len(texts) < 2 or not texts[1].startswith(texts[0]))
)
def test_what_is_new_stays_as_it_is(texts: list[str]) -> None:
    assert read(*texts) == "".join(texts)
