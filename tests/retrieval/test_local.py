"""The offline embedding: the same everywhere, of length 1, and closer for texts that share words."""

from __future__ import annotations

import math

import pytest

from app.providers.base import EMBEDDING_WIDTH
from app.providers.demo.description import THRESHOLD
from app.providers.demo.embeddings import LocalEmbedder, vector_of

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
    assert places == {388: -0.236, 448: -0.667, 880: 0.236, 1458: 0.667}


@pytest.mark.parametrize(
    "question", ["How many days of holiday do I get?", "paid holidays per year", "holiday entitlement for an employee"]
)
def test_a_question_is_nearer_to_its_answer(question: str) -> None:
    assert cosine(question, ANSWER) > THRESHOLD > cosine(question, OTHER)


def test_one_sentence_is_found_in_a_long_passage_that_repeats_its_words() -> None:
    filler = "The inspection crew checks pressure, valves, coolant and alarm sensors of the system on schedule. " * 12
    passage = f"{filler} The Brindlewick reactor is flushed every 417 hours. {filler}"
    assert cosine("How often is the Brindlewick reactor flushed?", passage) > THRESHOLD


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("山田太郎はどこに住んでいますか", "# 東京\n\n山田太郎は渋谷区に住んでいます。電話番号は03-1234-5678です。"),
        ("เมืองหลวงของประเทศไทยคืออะไร", "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย"),
        ("भारत की राजधानी क्या है", "भारत की राजधानी नई दिल्ली है और वहाँ बहुत लोग रहते हैं"),
        ("서울의 인구", "서울의 인구는 약 950만 명이다"),
        ("서울 수도", "서울은 대한민국의 수도입니다. 한강이 흐릅니다."),
        ("cafe\u0301 \ufb01nances", "The finances of the caf\u00e9 are sound."),
    ],
)
def test_other_scripts_and_other_ways_to_write_a_letter(question: str, answer: str) -> None:
    assert cosine(question, answer) > 0.3


async def test_embeds_in_order() -> None:
    assert await LocalEmbedder().embed([ANSWER, "", OTHER], "passage") == [
        vector_of(ANSWER),
        vector_of(""),
        vector_of(OTHER),
    ]
