"""The offline provider: says what it is, and quotes what it was given."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import ParameterRefused
from app.providers.demo.chat import DemoProvider
from app.values import ChatRequest, Delta, Finish, Message, NamedTool, Tool, Usage

PASSAGES = """<passages>
[1] Passage:
> Title: Handbook
> Holidays are
> granted in June.
[2] Passage:
> Title: Letter
> No entry.
</passages>

When are holidays?"""


async def reply(*messages: Message, max_tokens: int | None = None) -> tuple[str, Finish, int]:
    """The text, the finish and the number of deltas."""
    provider = DemoProvider(pace=0)
    *deltas, finish = [event async for event in provider.stream(ChatRequest("demo", messages, max_tokens))]
    assert isinstance(finish, Finish)
    return "".join(delta.text for delta in deltas if isinstance(delta, Delta)), finish, len(deltas)


async def test_says_that_nothing_is_configured_and_how_to_change_it() -> None:
    text, finish, _ = await reply(Message("user", "Hello there"))
    assert "offline demo" in text
    assert "OPENAI_API_KEY" in text
    assert "“Hello there”" in text
    assert finish.reason == "stop"


async def test_streams_word_by_word() -> None:
    text, finish, deltas = await reply(Message("system", "Be brief."), Message("user", "Hello there"))
    assert deltas == len(text.split())
    assert finish.usage == Usage(prompt_tokens=4, completion_tokens=deltas)


async def test_quotes_the_passages_and_not_as_the_question() -> None:
    text, _, _ = await reply(Message("user", "Hello"), Message("assistant", "Hi"), Message("user", PASSAGES))
    assert "“When are holidays?”" in text
    assert "- [1] Handbook: Holidays are granted in June.\n- [2] Letter: No entry." in text


async def test_long_messages_are_shortened() -> None:
    text, _, _ = await reply(Message("user", "word " * 1000))
    assert len(text) < 600


async def test_keeps_the_output_limit() -> None:
    text, finish, _ = await reply(Message("user", "Hello"), max_tokens=3)
    assert text == "This is Parley's"
    assert finish == Finish("length", Usage(prompt_tokens=1, completion_tokens=3))


async def test_offers_itself() -> None:
    assert await DemoProvider().list_models() == {"demo"}


@pytest.mark.parametrize(
    ("asked", "parameter"),
    [
        ({"tools": (Tool("now"),)}, "tools"),
        ({"tools": (Tool("now"),), "tool_choice": NamedTool("now")}, "tools"),
        ({"response_format": "json_object"}, "response_format"),
    ],
)
async def test_what_it_cannot_do_is_refused_by_name(asked: dict[str, Any], parameter: str) -> None:
    with pytest.raises(ParameterRefused) as refused:
        [item async for item in DemoProvider(pace=0).stream(ChatRequest("demo", (Message("user", "Hi"),), **asked))]
    assert refused.value.parameter == parameter


async def test_tools_that_must_not_be_called_change_nothing() -> None:
    request = ChatRequest("demo", (Message("user", "Hi"),), tools=(Tool("now"),), tool_choice="none")
    assert [item async for item in DemoProvider(pace=0).stream(request)][-1]
