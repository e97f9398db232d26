"""Reasoning between tags at the beginning of a text, however the text is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.wire.opening import MOST_BLANKS, TAGS, Opening
from app.values import Delta, Reasoning

CASES = [
    ("Hi", "", "Hi"),
    (" Hi\n", "", " Hi\n"),
    ("<think>Hm.</think>Hi", "Hm.", "Hi"),
    ("\n \t<think>\n\nHm.\n\nSo.\n</think>\n\nHi\n", "Hm.\n\nSo.", "Hi\n"),
    ("<think></think>Hi", "", "Hi"),
    ("<think>\n\n</think>\n\nHi", "", "Hi"),
    ("<think>Hm.", "Hm.", ""),
    ("<think>Hm. </thi", "Hm. </thi", ""),
    ("<think>", "", ""),
    ("<think> a < b </b> </think>Hi", "a < b </b>", "Hi"),
    ("<think>1</think>Hi <think>2</think>", "1", "Hi <think>2</think>"),
    ("<think>1</think><think>2</think>", "1", "<think>2</think>"),
    ("Hi <think>1</think>", "", "Hi <think>1</think>"),
    ("<", "", "<"),
    ("<thin", "", "<thin"),
    ("<thin>k</thin>", "", "<thin>k</thin>"),
    ("<thinking>Hm.</thinking>Hi", "Hm.", "Hi"),
    ("<thinking>Hm.</think>Hi", "Hm.</think>Hi", ""),
    ("<thinker>Hi", "", "<thinker>Hi"),
    ("\n</think>\n\nHi", "", "Hi"),
    ("</thi", "", "</thi"),
    ("[THINK]Hm.[/THINK]Hi", "Hm.", "Hi"),
    ("[Hi](x)", "", "[Hi](x)"),
    ("◁think▷Hm.◁/think▷Hi", "Hm.", "Hi"),
    ("<think>İ ẞ</think>ﬁ", "İ ẞ", "ﬁ"),
    (" \n\t ", "", ""),
    ("<THINK>Hm.</Think>Hi", "Hm.", "Hi"),
    ("<Thinking>Hm.</thinking>\nHi", "Hm.", "Hi"),
    ("<reasoning>\nHm.\n</reasoning>\nHi", "Hm.", "Hi"),
    ("<reasonable>Hi", "", "<reasonable>Hi"),
    ("<longcat_think>Hm.</longcat_think>Hi", "Hm.", "Hi"),
    (
        "<|channel|>analysis<|message|>Hm. <|x|><|end|><|start|>assistant<|channel|>final<|message|>Hi <|end|>",
        "Hm. <|x|>",
        "Hi <|end|>",
    ),
    ("<|start|>assistant<|channel|>analysis<|message|>Hm.<|end|>Hi", "Hm.", "Hi"),
    ("<|channel|>final<|message|>Hi", "", "Hi"),
    ("<|channel|>analysis<|message|>Hm.", "Hm.", ""),
    ("<|channel|>x", "", "<|channel|>x"),
    ("<|channel>thought\nHm.\n<channel|>Hi", "Hm.", "Hi"),
    ("<|START_THINKING|>Hm.<|END_THINKING|><|START_RESPONSE|>Hi", "Hm.", "Hi"),
    ("<think>Hm.</think><|sta", "Hm.", "<|sta"),
]


def read(*pieces: str) -> tuple[str, str]:
    opening = Opening()
    found: list[Delta | Reasoning] = []
    for piece in pieces:
        found += [Delta(piece)] if opening.over else opening.read(piece)
    if not opening.over:
        found += opening.end()
    assert all(piece.text for piece in found)
    reasoning = "".join(piece.text for piece in found if isinstance(piece, Reasoning))
    return reasoning, "".join(piece.text for piece in found if isinstance(piece, Delta))


@pytest.mark.parametrize(("text", "reasoning", "rest"), CASES)
def test_opening(text: str, reasoning: str, rest: str) -> None:
    assert read(text) == (reasoning, rest)
    assert read(*text) == (reasoning, rest)


@given(st.sampled_from([text for text, _, _ in CASES]), st.lists(st.integers(0, 40)))
def test_cuts_change_nothing(text: str, cuts: list[int]) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts})
    pieces = [text[start:end] for start, end in zip([0, *places], [*places, len(text)], strict=True)]
    assert read(*filter(None, pieces)) == read(text)


@given(st.lists(st.text(max_size=4)), st.sampled_from(list(TAGS)))
def test_text_that_does_not_begin_with_a_tag_is_whole(pieces: list[str], tag: str) -> None:
    text = "x" + "".join(pieces) + tag
    assert read("x", *filter(None, pieces), tag) == ("", text)


@pytest.mark.parametrize("before", ["", "<think>Hm.", "<think>Hm.</think>"])
def test_blanks_without_end_are_not_held_for_ever(before: str) -> None:
    """A model that runs away so is noticed by what reads on, which needs to see it."""
    opening = Opening()
    if before:
        opening.read(before)
    found: list[Delta | Reasoning] = []
    for _ in range(2 * MOST_BLANKS):
        found += [Delta("\n")] if opening.over else opening.read("\n")
    assert sum(len(piece.text) for piece in found) >= MOST_BLANKS - 1
    assert opening.over != before.endswith("Hm.")


def test_text_is_given_out_at_once() -> None:
    assert Opening().read("H") == [Delta("H")]


def test_reasoning_is_given_out_as_it_comes() -> None:
    opening = Opening()
    assert opening.read("<think>One ") == [Reasoning("One")]
    assert opening.read("two") == [Reasoning(" two")]
