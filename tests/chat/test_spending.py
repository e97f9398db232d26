"""What the calls of a turn are charged with: what the provider said, and estimates where it did not."""

from __future__ import annotations

import pytest

from app.chat.spending import Spending
from app.errors import (
    AuthenticationRefused,
    BrokenStream,
    ContentFiltered,
    FirstSignTimeout,
    ProviderError,
    Unreachable,
)
from app.store.replies import Charge
from app.values import ChatRequest, JsonSchema, Message, Tool, ToolCall, Usage
from tests.support.scripted_providers import failure

TEN = "x" * 40
"""Ten tokens."""
THIRTY = tuple(Message("user", TEN) for _ in range(3))


def a_thousandth(_: str, __: str, usage: Usage) -> int:
    """A price of a thousandth of a dollar for a token."""
    return 1000 * (usage.prompt_tokens + usage.completion_tokens)


def spending(*requests: ChatRequest, thought: int = 0) -> tuple[Spending, list[ChatRequest]]:
    spent = Spending(a_thousandth)
    return spent, [spent.calling("openai", request, thought) for request in requests]


ASKED = ChatRequest("m", THIRTY)


@pytest.mark.parametrize(
    ("counted", "usage"),
    [
        (None, Usage(30, 11, 0, 3)),
        (Usage(0, 0), Usage(30, 11, 0, 3)),
        (Usage(50, 0), Usage(50, 11, 0, 3)),
        (Usage(50, 0, cached_tokens=40), Usage(50, 11, 40, 3)),
        (Usage(0, 20), Usage(30, 20, 0, 3)),
        (Usage(50, 20, 5, 9), Usage(50, 20, 5, 9)),
        # the thinking is a part of what was written
        (Usage(50, 2), Usage(50, 2, 0, 2)),
    ],
)
def test_what_nobody_counted_is_estimated(counted: Usage | None, usage: Usage) -> None:
    spent, _ = spending(ASKED)
    spent.finished(counted)
    assert spent.answer(29, 12) == usage


def test_call_without_an_end_is_charged_with_what_its_provider_had_counted() -> None:
    spent, [request] = spending(ASKED)
    assert request.tally is not None
    request.tally.take(lambda: Usage(77, 0, 5))
    assert spent.charges(29, 0) == (
        Charge(
            kind="reply",
            provider="openai",
            model="m",
            prompt_tokens=77,
            completion_tokens=8,
            cached_tokens=5,
            cost_micro_usd=85_000,
        ),
    )


def test_tools_calls_and_the_schema_of_the_reply_are_estimated_with_the_prompt() -> None:
    def estimated(**more: object) -> int:
        spent, _ = spending(ChatRequest("m", more.pop("messages", THIRTY), **more))  # type: ignore[arg-type]
        usage = spent.answer(0, 0)
        assert usage is not None
        return usage.prompt_tokens

    schema = {"type": "object", "properties": {"city": {"type": "string", "description": "x" * 400}}}
    assert 100 < estimated(tools=(Tool("weather", "The weather.", schema),)) - estimated() < 150
    assert 100 < estimated(response_format=JsonSchema("m", schema)) - estimated() < 150
    called = (*THIRTY, Message("assistant", "", (ToolCall("a", "weather", '{"city": "' + TEN * 10 + '"}'),)))
    assert 100 < estimated(messages=called) - estimated() < 120


def test_reply_is_not_estimated_to_be_longer_than_it_may_be() -> None:
    spent, _ = spending(ChatRequest("m", THIRTY, max_tokens=5))
    assert spent.answer(400, 0) == Usage(30, 5)


@pytest.mark.parametrize(
    ("error", "taken", "charged"),
    [
        (failure(AuthenticationRefused, status=401), False, False),
        (failure(Unreachable), False, True),
        (failure(FirstSignTimeout), False, True),
        (failure(BrokenStream), True, True),
        # an error inside the stream: the prompt has been read
        (failure(BrokenStream, status=500), True, True),
    ],
    ids=["refused", "lost", "silent", "broken", "error inside"],
)
def test_call_that_failed_is_charged_if_it_may_have_been_read(error: ProviderError, taken: bool, charged: bool) -> None:
    spent, [request] = spending(ASKED)
    if taken and request.tally is not None:
        request.tally.take(lambda: None)
    spent.failed(error)
    assert (len(spent.charges(0, 0)), spent.called) == (charged, charged)


def test_call_that_never_left_is_free() -> None:
    spent, _ = spending(ASKED)
    refused = failure(Unreachable)
    refused.sent = False
    spent.failed(refused)
    assert spent.charges(0, 0) == ()


def test_filtered_reply_costs_what_its_provider_says() -> None:
    spent, _ = spending(ASKED)
    error = ContentFiltered("no", provider="openai", status=400)
    error.usage = Usage(31, 4)
    spent.failed(error)
    assert spent.answer(0, 0) == Usage(31, 4)


def test_reasoning_is_of_the_call_that_it_came_from() -> None:
    spent, _ = spending(ASKED)
    spent.failed(failure(BrokenStream))
    spent.calling("claude", ChatRequest("n", THIRTY[:1]), 40)
    charges = spent.charges(80, 100)
    assert [(charge.provider, charge.prompt_tokens, charge.completion_tokens) for charge in charges] == [
        ("openai", 30, 10),
        ("claude", 10, 35),
    ]
