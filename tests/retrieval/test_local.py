"""The offline embedding: the same everywhere, of length 1, and closer for texts that share words."""

from __future__ import annotations

import math

import pytest

from app.providers.base import EMBEDDING_WIDTH
from app.providers.embeddings.local import LocalEmbedder, vector_of
from app.retrieval.embedders import LOCAL_THRESHOLD

ANSWER = "Employees are entitled to thirty days of paid holiday a year, to be taken before the end of March. " * 3
OTHER = "The reactor is cooled by two independent loops of pressurised water, each with a pump of its own. " * 3


def cosine(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(vector_of(one), vector_of(other), strict=True))


@pytest.mark.parametrize("text", ["word", ANSWER, "日本語 テキスト", "x" * 100_000])
def test_is_a_direction(text: str) -> None:
    vector = vector_of(text)
    assert len(vector) == EMBEDDING_WIDTH
    assert math.hypot(*vector) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("text", ["", "  \n", "?!", "the of and"])
def test_without_words_is_zero(text: str) -> None:
    assert set(vector_of(text)) == {0.0}


def test_is_the_same_on_every_machine() -> None:
    places = {place: round(value, 3) for place, value in enumerate(vector_of("tea")) if value}
    assert places == {388: -0.236, 880: 0.236, 1458: 0.943}


@pytest.mark.parametrize(
    "question", ["How many days of holiday do I get?", "paid holidays per year", "holiday entitlement for an employee"]
)
def test_a_question_is_nearer_to_its_answer(question: str) -> None:
    assert cosine(question, ANSWER) > LOCAL_THRESHOLD > cosine(question, OTHER)


async def test_embeds_in_order() -> None:
    assert await LocalEmbedder().embed([ANSWER, "", OTHER], "passage") == [
        vector_of(ANSWER),
        vector_of(""),
        vector_of(OTHER),
    ]
