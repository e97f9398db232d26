"""The prompt: the new message, and as much of the newest history as the model has room for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.prompt import DEFAULT_OUTPUT_TOKENS, build_prompt, estimate_tokens, estimate_usage
from app.messages import Message, Usage

TEN = "x" * 40
"""Ten tokens, by the estimate."""


def said(*contents: str) -> list[Message]:
    """A conversation in turns, the user first."""
    return [Message("assistant" if index % 2 else "user", content) for index, content in enumerate(contents)]


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("x", 1), ("xxxx", 1), ("xxxxx", 2), (TEN, 10), ("é" * 40, 20), ("😀" * 10, 10)]
)
def test_estimate(text: str, tokens: int) -> None:
    assert estimate_tokens(text) == tokens


def test_everything_goes_where_the_context_is_unknown() -> None:
    history = said("a", "b", "c", "d")
    prompt = build_prompt(history, "e", context_tokens=None, max_tokens=None)
    assert prompt == (*history, Message("user", "e"))


def test_reply_whose_question_the_database_cut_off_does_not_go() -> None:
    history = said("a", "b", "c")[1:]
    prompt = build_prompt(history, "d", context_tokens=None, max_tokens=None)
    assert prompt == (Message("user", "c"), Message("user", "d"))


def test_new_message_goes_by_itself() -> None:
    assert build_prompt([], "Hello", context_tokens=100, max_tokens=10) == (Message("user", "Hello"),)


@pytest.mark.parametrize(("context", "kept"), [(50, 0), (69, 0), (70, 2), (89, 2), (90, 4), (10_000, 4)])
def test_oldest_turns_go_first(context: int, kept: int) -> None:
    """40 tokens for the reply, 10 for each message; a reply never goes without its question."""
    history = said(TEN, TEN, TEN, TEN)
    prompt = build_prompt(history, TEN, context_tokens=context, max_tokens=40)
    assert prompt == (*history[4 - kept :], Message("user", TEN))


def test_room_is_kept_for_a_reply_of_unknown_length() -> None:
    history = said(TEN, TEN)
    fits = DEFAULT_OUTPUT_TOKENS + 30
    assert len(build_prompt(history, TEN, context_tokens=fits, max_tokens=None)) == 3
    assert len(build_prompt(history, TEN, context_tokens=fits - 1, max_tokens=None)) == 1


def test_message_that_does_not_fit_goes_all_the_same() -> None:
    """The provider says it better than an estimate can."""
    assert build_prompt(said(TEN, TEN), TEN * 100, context_tokens=100, max_tokens=10) == (Message("user", TEN * 100),)


def test_gap_is_not_skipped() -> None:
    """What is older than something that does not fit does not go either: a conversation with a hole misleads."""
    history = said("a", "b", TEN * 100, "c", "d", "e")
    prompt = build_prompt(history, "f", context_tokens=100, max_tokens=10)
    assert [message.content for message in prompt] == ["d", "e", "f"]


@given(st.lists(st.text(), max_size=12), st.text(min_size=1), st.integers(1, 200), st.integers(1, 100))
def test_prompt_is_an_end_of_the_conversation_that_fits(
    contents: list[str], asked: str, context: int, max_tokens: int
) -> None:
    history = said(*contents)
    *kept, last = build_prompt(history, asked, context_tokens=context, max_tokens=max_tokens)
    assert last == Message("user", asked)
    assert kept == history[len(history) - len(kept) :]
    assert not kept or kept[0].role == "user"
    if kept:
        assert sum(estimate_tokens(message.content) for message in (*kept, last)) + max_tokens <= context


def test_estimate_of_a_reply_that_nobody_counted() -> None:
    assert estimate_usage(said(TEN, TEN), TEN + "x") == Usage(20, 11)
