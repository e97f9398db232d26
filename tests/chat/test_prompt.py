"""The prompt: the new message, and as much of the newest history as the model has room for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.prompt import (
    DEFAULT_OUTPUT_TOKENS,
    LEAST_OUTPUT_TOKENS,
    build_prompt,
    build_request,
)
from app.values import Message, Passage, estimate_prompt, estimate_tokens

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


@pytest.mark.parametrize(("context", "kept"), [(30, 0), (88, 0), (89, 2), (148, 2), (149, 4), (10_000, 4)])
def test_oldest_turns_go_first(context: int, kept: int) -> None:
    """Half of it for the reply at most, 15 tokens for each message; a reply never goes without its question."""
    history = said(TEN, TEN, TEN, TEN)
    prompt = build_prompt(history, TEN, context_tokens=context, max_tokens=75)
    assert prompt == (*history[4 - kept :], Message("user", TEN))


@pytest.mark.parametrize(
    ("context", "max_tokens", "reply"),
    [(100_000, None, DEFAULT_OUTPUT_TOKENS), (1_000, None, 250), (10_000, 3_000, 3_000), (1_000, 3_000, 500)],
)
def test_room_is_kept_for_the_reply(context: int, max_tokens: int | None, reply: int) -> None:
    history = [Message("user", TEN)] * 10_000
    prompt = build_prompt(history, TEN, context_tokens=context, max_tokens=max_tokens)
    assert context - reply - 15 < estimate_prompt(prompt) <= context - reply


def test_system_text_goes_first_and_stays() -> None:
    """Whatever the history has of it that stands first; the turns before the question go."""
    system = (Message("system", TEN), Message("system", "x"))
    history = (*system, *said(*[TEN * 10] * 20))
    for context in (100, 1_000, 10_000):
        prompt = build_prompt(history, TEN, context_tokens=context, max_tokens=None)
        assert prompt[:2] == system
        assert prompt[-1] == Message("user", TEN)
        assert estimate_prompt(prompt) <= context


def test_gap_is_not_skipped() -> None:
    """What is older than something that does not fit does not go either: a conversation with a hole misleads."""
    history = said("a", "b", TEN * 100, "c", "d", "e")
    prompt = build_prompt(history, "f", context_tokens=100, max_tokens=10)
    assert [message.content for message in prompt] == ["d", "e", "f"]


def test_last_exchange_is_shortened_where_not_even_that_fits() -> None:
    question, reply = (f"begin {TEN * 50} end" for _ in range(2))
    history = said("old", "older", question, reply)
    asked = build_prompt(history, "And then?", context_tokens=600, max_tokens=100)
    assert [message.role for message in asked] == ["user", "assistant", "user"]
    for message in asked[:2]:
        assert message.content.startswith("begin x")
        assert message.content.endswith("x end")
        assert "is left out here" in message.content
    assert 450 < estimate_prompt(asked) <= 500
    # of which nothing would be left
    assert build_prompt(history, "And then?", context_tokens=100, max_tokens=50) == (Message("user", "And then?"),)


def test_question_that_is_too_long_is_shortened_and_says_so() -> None:
    asked = build_prompt(said(TEN, TEN), f"begin {TEN * 100} end?", context_tokens=400, max_tokens=100)
    (question,) = asked
    assert question.content.startswith("begin x")
    assert question.content.endswith("x end?")
    assert "Too long for this model" in question.content
    assert 290 < estimate_prompt(asked) <= 300


def test_system_text_and_question_share_what_there_is() -> None:
    history = (Message("system", TEN * 100), *said(TEN, TEN))
    system, question = build_prompt(history, TEN * 100, context_tokens=800, max_tokens=None)
    assert (system.role, question.role) == ("system", "user")
    assert 250 < estimate_prompt((system,)) <= 300
    assert 250 < estimate_prompt((question,)) <= 300


def test_passages_take_what_the_question_leaves() -> None:
    passages = [Passage(str(number), "d", f"Title {number}", "word " * 200, 0.9) for number in range(3)]

    def numbers(context: int, asked: str) -> list[str]:
        prompt = build_prompt((), asked, context_tokens=context, max_tokens=None, passages=passages)
        assert estimate_prompt(prompt) <= context * 3 // 4
        return re.findall(r"^\[(\d)\]", "\n".join(message.content for message in prompt[:-1]), re.MULTILINE)

    assert numbers(8_192, "Why?") == ["1", "2", "3"]
    # a quarter of the context, of which the second passage gets the rest
    assert numbers(2_048, "Why?") == ["1", "2"]
    assert numbers(1_024, "Why?") == ["1"]
    assert numbers(1_024, TEN * 65) == []


def test_passage_that_is_shortened_stays_a_quotation() -> None:
    passage = Passage("1", "d", "Title", "one\ntwo </passages> three\n" * 200, 0.9)
    quotation, _ = build_prompt((), "Why?", context_tokens=1_024, max_tokens=None, passages=[passage])
    head, *lines, _ = quotation.content.split("<passages>\n")[1].removesuffix("\n</passages>").splitlines()
    assert (head, lines[0]) == ("[1] Passage:", "> Title: Title")
    assert all(line.startswith("> ") for line in lines)
    assert quotation.content.count("</passages>") == 1
    assert quotation.content.endswith("> …\n\n</passages>")


texts = st.text() | st.text(st.characters(codec="utf-8")).map(lambda text: text * 50)
roles = st.sampled_from(["user", "assistant", "system"])


@given(
    history=st.lists(st.builds(Message, roles, texts), max_size=12),
    asked=texts.filter(bool),
    context=st.integers(256, 20_000),
    max_tokens=st.none() | st.integers(1, 30_000),
    density=st.floats(0.5, 3),
    passages=st.lists(st.builds(Passage, st.just("i"), st.just("d"), st.text(), texts, st.just(0.5)), max_size=4),
)
def test_whatever_was_said_and_found_there_is_room_for_a_reply(
    history: list[Message],
    asked: str,
    context: int,
    max_tokens: int | None,
    density: float,
    passages: list[Passage],
) -> None:
    request = build_request(
        "m",
        history,
        asked,
        context_tokens=context,
        max_tokens=max_tokens,
        density=density,
        passages=passages,
    )
    assert request.messages[-1].role == "user"
    assert request.messages[-1].content
    left = context - estimate_prompt(request.messages) * density
    assert left >= min(LEAST_OUTPUT_TOKENS, max_tokens or context) - 8 * density
    assert request.max_tokens is None or request.max_tokens <= max(left + 1, LEAST_OUTPUT_TOKENS)
    assert max_tokens is None or (request.max_tokens or 0) <= max_tokens
    said = [message for message in request.messages if message.role != "system"]
    assert said[0].role == "user"


@pytest.mark.parametrize(
    ("context", "max_tokens", "sent"),
    [(None, None, None), (None, 50, 50), (100_000, None, None), (100_000, 50, 50), (2_000, None, 1_985), (100, 50, 50)],
)
def test_limit_of_the_reply_is_what_is_left(context: int | None, max_tokens: int | None, sent: int | None) -> None:
    request = build_request("m", (), TEN, context_tokens=context, max_tokens=max_tokens)
    assert (request.max_tokens, request.context_tokens) == (sent, context)


def test_denser_text_takes_more_room() -> None:
    history = [Message("user", TEN)] * 1_000
    once = build_request("m", history, TEN, context_tokens=4_000, max_tokens=1_000)
    twice = build_request("m", history, TEN, context_tokens=4_000, max_tokens=1_000, density=2.0)
    assert len(twice.messages) == len(once.messages) // 2
    assert twice.max_tokens == once.max_tokens == 1_000


def test_operators_text_then_the_users_then_what_is_stored() -> None:
    history = [Message("system", "stored"), *said("a", "b")]
    for context in (None, 100_000):
        prompt = build_prompt(
            history, "c", system_prompt="operator", instructions="user", context_tokens=context, max_tokens=None
        )
        assert [message.content for message in prompt] == ["operator", "user", "stored", "a", "b", "c"]
        assert [message.role for message in prompt[:3]] == ["system"] * 3


@pytest.mark.parametrize("context", [300, 1_000, 3_000])
def test_instructions_give_way_before_the_operators_text(context: int) -> None:
    """However long the user's are, it stands there whole."""
    prompt = build_prompt(
        said("x" * 9_000, "y" * 9_000),
        "c" * 9_000,
        system_prompt=TEN,
        instructions="i" * 32_000,
        context_tokens=context,
        max_tokens=None,
    )
    assert prompt[0] == Message("system", TEN)
    assert estimate_prompt(prompt) <= context
