"""Prompts for wires whose turns alternate."""

from __future__ import annotations

import hashlib
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers import call_ids
from app.providers.call_ids import WireIds, anything, forty, nine, plain, signed
from app.providers.turns import OPENING, Call, Result, Turn, alternating, arguments_of
from app.values import Message, Role, ToolCall

roles: st.SearchStrategy[Role] = st.sampled_from(["user", "assistant", "system"])
conversations = st.lists(st.builds(Message, roles, st.text(max_size=5)), max_size=10)


def test_system_text_stands_apart() -> None:
    messages = [Message("system", "A"), Message("user", "Hi"), Message("system", "B")]
    assert alternating(messages, {}) == ("A\n\nB", [Turn("user", "Hi")])


def test_conversation_that_the_assistant_begins() -> None:
    assert alternating([Message("assistant", "Hi")], {}) == ("", [Turn("user", OPENING), Turn("assistant", "Hi")])


@given(conversations)
def test_turns_alternate_and_none_is_blank(messages: list[Message]) -> None:
    _, turns = alternating(messages, {})
    speakers = [turn.speaker for turn in turns]
    assert speakers == ["user", "assistant"] * (len(turns) // 2) + ["user"] * (len(turns) % 2)
    assert all(turn.text.strip() for turn in turns)


@given(conversations)
def test_no_text_is_lost(messages: list[Message]) -> None:
    system, turns = alternating(messages, {})
    said = [message.content for message in messages if message.content.strip()]
    text = system + "".join(turn.text for turn in turns)
    assert all(content in text for content in said)


def called(*ids: str, content: str = "") -> Message:
    return Message("assistant", content, tuple(ToolCall(each, f"tool_{each[:3]}", "{}") for each in ids))


def test_results_are_the_users_and_come_before_the_text() -> None:
    messages = [
        Message("user", "Hi"),
        called("one", "two", content="Let me see."),
        Message("tool", "1", tool_call_id="one"),
        Message("tool", "", tool_call_id="two"),
        Message("user", "And?"),
    ]
    assert alternating(messages, {})[1] == [
        Turn("user", "Hi"),
        Turn("assistant", "Let me see.", [Call("one", "tool_one", "{}"), Call("two", "tool_two", "{}")]),
        Turn("user", "And?", results=[Result("one", "tool_one", "1"), Result("two", "tool_two", "")]),
    ]


def test_ids_that_a_server_refuses_are_replaced_in_the_call_and_its_result() -> None:
    messages = [
        called(signed("functions.search:0", "c2lnbmVk")),
        Message("tool", "found", tool_call_id=signed("functions.search:0", "c2lnbmVk")),
    ]
    for accepts in (plain, nine):
        _, (_, calling, answering) = alternating(messages, {}, accepts)
        assert accepts(calling.calls[0].id)
        assert answering.results[0].id == calling.calls[0].id
        assert calling.calls[0].signature == "c2lnbmVk"
    _, (_, calling, _) = alternating(messages, {}, forty)
    assert calling.calls[0].id == "functions.search:0"


def test_ids_that_come_again_are_told_apart() -> None:
    messages = [
        called("call_0"),
        Message("tool", "1", tool_call_id="call_0"),
        called("call_0"),
        Message("tool", "2", tool_call_id="call_0"),
    ]
    _, (_, first, one, second, two) = alternating(messages, {})
    assert first.calls[0].id == one.results[0].id == "call_0"
    assert second.calls[0].id == two.results[0].id != "call_0"
    assert alternating(messages, {})[1][3].calls[0].id == second.calls[0].id


def test_calls_of_one_id_in_one_message_get_their_results_in_order() -> None:
    twice = tuple(ToolCall("", name, "{}") for name in ("f", "g"))
    results = [Message("tool", content, tool_call_id="") for content in ("of f", "of g")]
    _, [_, calling, answering] = alternating([Message("user", "Hi"), Message("assistant", "", twice), *results], {})
    first, second = (call.id for call in calling.calls)
    assert first
    assert second
    assert first != second
    assert answering.results == [Result(first, "f", "of f"), Result(second, "g", "of g")]


def test_thousands_of_calls_of_one_id_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every hash is counted; the client may send as many calls as a body holds."""
    sha256 = Mock(side_effect=hashlib.sha256)
    monkeypatch.setattr(call_ids.hashlib, "sha256", sha256)
    ids = WireIds(anything)
    assert len({ids.of("a") for _ in range(1000)}) == 1000
    assert sha256.call_count < 1100


def test_a_result_without_its_call_is_kept() -> None:
    _, (turn,) = alternating([Message("tool", "42", tool_call_id="lost")], {})
    assert turn.results == [Result("lost", "tool", "42")]


def test_arguments_as_an_object() -> None:
    assert arguments_of('{"a": [1.0, "é"]}') == {"a": [1.0, "é"]}
    assert arguments_of("") == arguments_of("{}") == {}
    for other in ("[1]", '{"a": NaN}', '{"a":', "[" * 100_000):
        assert arguments_of(other) == {"arguments": other}
