"""Passages: all of the text, in order, of a size that models take, each knowing its place."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semantic_text_splitter import TextSplitter

from app.retrieval.chunk import (
    LONG_RUN_CHARACTERS,
    LONG_TABLE_CHARACTERS,
    MAX_CHARACTERS,
    MAX_TOKENS,
    TOKENIZER,
    Chunk,
    Structure,
    chunks,
)
from app.retrieval.clean import cleaned

PARAGRAPH = "The committee meets every second Tuesday of the month, and its minutes are open to all members. " * 12


def joined(found: list[Chunk]) -> str:
    return "".join("".join(chunk.content.split()) for chunk in found)


@given(st.text(max_size=4000), st.sampled_from(["plain", "markdown"]))
@settings(max_examples=60, deadline=None)
def test_every_word_is_in_exactly_one_passage(text: str, structure: Structure) -> None:
    text = cleaned(text)
    found = list(chunks(text, structure))
    assert joined(found) == "".join(text.split())
    assert all(text[chunk.start : chunk.end] == chunk.content for chunk in found)
    assert [chunk.start for chunk in found] == sorted(chunk.start for chunk in found)


def test_headings_lead_to_the_passage() -> None:
    text = f"# Rules\n\n{PARAGRAPH}\n\n## Meetings\n\n{PARAGRAPH}\n\n## Votes\n\n{PARAGRAPH}\n\n# Costs\n\n{PARAGRAPH}"
    assert [(chunk.heading, chunk.content[:9]) for chunk in chunks(text, "markdown")] == [
        ("Rules", "# Rules\n\n"),
        ("Rules > Meetings", "## Meetin"),
        ("Rules > Votes", "## Votes\n"),
        ("Costs", "# Costs\n\n"),
    ]


def test_a_heading_s_links_are_its_words() -> None:
    text = f"## [The `x` flag](#the-x-flag) of [rules](https://example.com/a?b=c)\n\n{PARAGRAPH}"
    assert {chunk.heading for chunk in chunks(text, "markdown")} == {"The `x` flag of rules"}


def test_code_has_no_headings() -> None:
    text = f"# Setup\n\n```sh\n# not a heading\nmake run\n```\n\n{PARAGRAPH}"
    assert {chunk.heading for chunk in chunks(text, "markdown")} == {"Setup"}


def test_plain_text_has_no_headings() -> None:
    assert [chunk.heading for chunk in chunks(f"# 1\n\n{PARAGRAPH}", "plain")] == [None]


def test_pages_are_those_on_which_passages_begin() -> None:
    text = f"{PARAGRAPH}\n\n{PARAGRAPH}\n\n{PARAGRAPH}"
    starts = (0, text.index(PARAGRAPH, 1), text.rindex(PARAGRAPH))
    pages = [(chunk.page, chunk.start) for chunk in chunks(text, "plain", starts)]
    assert {page for page, _ in pages} == {1, 2, 3}
    assert all(page is not None and starts[page - 1] <= start for page, start in pages)


@pytest.mark.parametrize("structure", ["plain", "markdown"])
def test_a_passage_is_no_longer_than_models_take(structure: Structure) -> None:
    found = list(chunks(PARAGRAPH * 40, structure))
    assert len(found) > 10
    assert all(400 < len(chunk.content) < 2400 for chunk in found[:-1])


def test_a_word_without_end_is_cut() -> None:
    found = list(chunks(f"before {'x' * 500_000} after", "plain"))
    assert max(len(chunk.content) for chunk in found) <= LONG_RUN_CHARACTERS + 200
    assert joined(found) == f"before{'x' * 500_000}after"


@pytest.mark.parametrize("blank", [" ", "\n", "\u00a0 "])
def test_blanks_without_end_are_left_out(blank: str) -> None:
    text = f"before{blank * 500_000}after"
    assert [(chunk.content, chunk.start) for chunk in chunks(text, "plain")] == [
        ("before", 0),
        ("after", text.index("after")),
    ]


@pytest.mark.parametrize("line", [f"{'-' * 900}\n", f"x{' ' * 900}"])
def test_what_is_hardly_any_tokens_is_cut_too(line: str) -> None:
    found = list(chunks(line * 500, "plain"))
    assert max(len(chunk.content) for chunk in found) <= MAX_CHARACTERS + 200
    assert joined(found) == "".join((line * 500).split())


def test_a_lonely_heading_goes_with_its_text() -> None:
    long = "A sentence that stands in one long paragraph. " * 100
    assert all(len(chunk.content) > 50 for chunk in chunks(f"# A heading\n\n{long}", "markdown"))


@pytest.mark.parametrize("last", ["| 1 | 2 |", f"| 1 | {'word ' * 20_000}|"], ids=["short", "long"])
def test_a_long_table_is_cut_between_its_rows(last: str) -> None:
    rows = "".join(f"| {number} | a row of this table |\n" for number in range(5000))
    text = f"| no | text |\n| --- | --- |\n{rows}{last}"
    found = list(chunks(text, "markdown"))
    assert joined([Chunk(text[chunk.start : chunk.end], 0, 0) for chunk in found]) == "".join(text.split())
    of_rows = [text[chunk.start : chunk.end] for chunk in found if chunk.start < text.index(last)]
    assert len(of_rows) > 3 * len(rows) // LONG_TABLE_CHARACTERS
    assert all(row.startswith("| ") and row.endswith("|") for row in of_rows[:-1])
    assert all("| no | text |" in chunk.content for chunk in found)


@pytest.mark.parametrize("structure", ["plain", "markdown"])
def test_text_without_blanks_is_cut_at_its_sentences(structure: Structure) -> None:
    sentence = "東京の中央委員会は毎月第二火曜日に開かれ、その議事録はすべての会員に公開されている。"
    found = list(chunks(sentence * 100, structure))
    assert joined(found) == sentence * 100
    assert all(chunk.content.endswith("公開されている。") for chunk in found)
    assert not any(too_long(chunk.content) for chunk in found)


@pytest.mark.parametrize(
    "word", ["東京中央委員会議事録会員公開", "aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQ", "คณะกรรมการประชุม"]
)
def test_a_run_without_a_sentence_s_end_keeps_the_limit_of_tokens(word: str) -> None:
    found = list(chunks(word * 300, "plain"))
    assert joined(found) == word * 300
    assert not any(too_long(chunk.content) for chunk in found)


@pytest.mark.parametrize("column", ["name", "番号と名称と数量と単価と合計金額と納期と備考と担当者と部署", "word " * 40])
@pytest.mark.parametrize("cell", ["as good as it gets", "東京の中央委員会は毎月第二火曜日に開かれ", "คณะกรรมการประชุม"])
def test_a_passage_of_a_table_keeps_the_limit_with_its_header(column: str, cell: str) -> None:
    rows = "".join(f"| {number} | {cell * (1 + number % 5)} |\n" for number in range(300))
    found = list(chunks(f"Before.\n\n| no | {column} |\n| --- | --- |\n{rows}\nAfter it.", "markdown"))
    assert len(found) > 5
    assert all(f"| no | {column} |" in chunk.content for chunk in found[1:-1])
    assert not any(too_long(chunk.content) for chunk in found)


def too_long(text: str) -> bool:
    return len(TextSplitter.from_tiktoken_model(TOKENIZER, MAX_TOKENS).chunks(text)) > 1
