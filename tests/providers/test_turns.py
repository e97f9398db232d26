"""Prompts for wires whose turns alternate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.providers.turns import OPENING, alternating
from app.values import Message, Role

roles: st.SearchStrategy[Role] = st.sampled_from(["user", "assistant", "system"])
conversations = st.lists(st.builds(Message, roles, st.text(max_size=5)), max_size=10)


def test_system_text_stands_apart() -> None:
    messages = [Message("system", "A"), Message("user", "Hi"), Message("system", "B")]
    assert alternating(messages, {}) == ("A\n\nB", [("user", "Hi")])


def test_conversation_that_the_assistant_begins() -> None:
    assert alternating([Message("assistant", "Hi")], {}) == ("", [("user", OPENING), ("assistant", "Hi")])


@given(conversations)
def test_turns_alternate_and_none_is_blank(messages: list[Message]) -> None:
    _, turns = alternating(messages, {})
    assert [speaker for speaker, _ in turns] == ["user", "assistant"] * (len(turns) // 2) + ["user"] * (len(turns) % 2)
    assert all(text.strip() for _, text in turns)


@given(conversations)
def test_no_text_is_lost(messages: list[Message]) -> None:
    system, turns = alternating(messages, {})
    said = [message.content for message in messages if message.content.strip()]
    text = system + "".join(content for _, content in turns)
    assert all(content in text for content in said)
