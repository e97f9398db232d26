"""What a model shows of its thinking, apart from its text, on every wire and in every shape that servers give it."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from app.providers.description import HOSTED
from app.routing.breaker import Breakers
from app.routing.deadlines import Deadlines
from app.routing.failover import Failover
from app.routing.router import Candidate
from app.values import Alive, ChatRequest, Delta, Finish, Message, Opened, ProviderName, Reasoning, ReasoningEffort
from tests.contract.conftest import MODEL, ask, collect_all, served
from tests.support.raw_upstream import Exchange
from tests.support.wires import WIRES, said, sse, thought

SOON = 5


async def reasoning_and_text(adapter: ProviderName, stream: bytes) -> tuple[str, str]:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(WIRES[adapter].opening, stream, WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, _):
        reasoning, text, finish = await collect_all(provider, ask())
    assert finish.reason == "stop"
    return reasoning, text


async def test_reasoning_is_no_text(adapter: ProviderName) -> None:
    stream = thought(adapter, "Let me ") + thought(adapter, "think.") + said(adapter, "4") + said(adapter, "2")
    assert await reasoning_and_text(adapter, stream) == ("Let me think.", "42")


async def test_reasoning_and_text_keep_their_order(adapter: ProviderName) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        stream = thought(adapter, "A") + thought(adapter, "B") + said(adapter, "c") + thought(adapter, "D")
        exchange.send(stream + said(adapter, "e") + said(adapter, "f") + WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, _):
        events = [event async for event in provider.stream(ask())]

    assert events[:-1] == [Opened(), Reasoning("AB"), Delta("c"), Reasoning("D"), Delta("ef")]
    assert isinstance(events[-1], Finish)


async def test_reasoning_arrives_before_the_text(adapter: ProviderName) -> None:
    seen = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(thought(adapter, "Hm."))
        await asyncio.wait_for(seen.wait(), SOON)
        exchange.send(said(adapter, "42") + WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert [await anext(events) for _ in range(2)] == [Opened(), Reasoning("Hm.")]
        seen.set()
        assert await anext(events) == Delta("42")


async def test_tags_at_the_beginning_of_the_text(adapter: ProviderName) -> None:
    stream = b"".join(said(adapter, piece) for piece in ("\n<th", "ink>\nOne", " <b> two\n</thi", "nk>", "\n\n4", "2"))
    assert await reasoning_and_text(adapter, stream) == ("One <b> two", "42")


async def test_tags_inside_the_text_are_text(adapter: ProviderName) -> None:
    text = "Write <think>like this</think>."
    assert await reasoning_and_text(adapter, said(adapter, text)) == ("", text)


async def test_reasoning_alone_is_no_text(adapter: ProviderName) -> None:
    assert await reasoning_and_text(adapter, said(adapter, "<think>On and") + said(adapter, " on")) == ("On and on", "")


async def test_each_read_is_a_sign_of_life(adapter: ProviderName) -> None:
    """A read of what is neither text nor reasoning, a comment or half an event."""
    quiet = b"\n" if adapter == "ollama" else b": keep-alive\n\n"
    token = WIRES[adapter].token
    step = asyncio.Semaphore(0)

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        for piece in (quiet, token[:20], token[20:]):
            exchange.send(piece)
            await asyncio.wait_for(step.acquire(), SOON)
        exchange.send(WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert await anext(events) == Opened()
        for expected in (Alive(), Alive(), Delta("token")):
            assert await asyncio.wait_for(anext(events), SOON) == expected
            step.release()
        # the ending may come in more reads than one
        assert [type(event) async for event in events if event != Alive()] == [Finish]


LIFE: dict[str, list[object]] = {
    "openai": [
        {"choices": [{"index": 0, "delta": {"role": "assistant"}}]},
        {"choices": [{"index": 0, "delta": {"content": ""}}]},
        {"choices": [{"index": 0, "delta": {"reasoning_content": ""}}]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}]},
        {"choices": [], "prompt_filter_results": []},
        {"choices": [{"index": 0, "delta": {"reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}}]},
        {"choices": [], "prompt_progress": {"processed": 10}},
    ],
    "claude": [
        {"type": "ping"},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "x"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "x"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "content_block_stop", "index": 1},
    ],
    "gemini": [
        {"usageMetadata": {"promptTokenCount": 9}},
        {"candidates": [{"content": {"parts": [{"text": "", "thoughtSignature": "x"}], "role": "model"}}]},
        {"candidates": [{"content": {"parts": [{"functionCall": {"name": "f"}}], "role": "model"}}]},
        {"candidates": [{"content": {"role": "model"}, "index": 0}]},
    ],
    "ollama": [
        {"message": {"role": "assistant", "content": ""}, "done": False},
        {"message": {"role": "assistant", "content": "", "tool_calls": []}, "done": False},
        {"status": "loading model"},
    ],
}


@pytest.mark.parametrize(
    ("adapter", "event"), [(name, event) for name, events in LIFE.items() for event in events], indirect=["adapter"]
)
async def test_what_brings_nothing_is_a_sign_of_life(adapter: ProviderName, event: Any) -> None:
    seen = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(json.dumps(event).encode() + b"\n" if adapter == "ollama" else sse(event, name="type" in event))
        await asyncio.wait_for(seen.wait(), SOON)
        exchange.send(WIRES[adapter].token + WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, _), aclosing(provider.stream(ask())) as events:
        assert [await asyncio.wait_for(anext(events), SOON) for _ in range(2)] == [Opened(), Alive()]
        seen.set()
        assert await asyncio.wait_for(anext(events), SOON) == Delta("token")


@pytest.mark.parametrize(
    "delta",
    [
        pytest.param({"reasoning_content": "Hm."}, id="DeepSeek, llama.cpp, SGLang, GLM, Qwen, Kimi"),
        pytest.param({"reasoning": "Hm.", "content": ""}, id="vLLM, Groq, Ollama"),
        pytest.param({"reasoning": "Hm.", "reasoning_content": "Hm."}, id="vLLM, both names"),
        pytest.param(
            {"reasoning": "Hm.", "reasoning_details": [{"type": "reasoning.text", "text": "Hm.", "index": 0}]},
            id="OpenRouter, twice",
        ),
        pytest.param(
            {"reasoning_details": [{"type": "reasoning.summary", "summary": "Hm."}]}, id="OpenRouter, summary"
        ),
        pytest.param(
            {
                "reasoning_content": "Hm.",
                "thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}],
            },
            id="LiteLLM",
        ),
        pytest.param({"reasoning": {"content": "Hm."}}, id="an object"),
        pytest.param({"reasoning_text": "Hm."}, id="GitHub"),
        pytest.param({"thinking": "Hm."}, id="thinking"),
        pytest.param(
            {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": True}]},
            id="Mistral",
        ),
        pytest.param({"content": [{"type": "reasoning", "reasoning": "Hm."}]}, id="a part of type reasoning"),
        pytest.param({"content": [{"type": "reasoning_text", "text": "Hm."}]}, id="a part of type reasoning_text"),
        pytest.param({"content": [{"type": "think", "think": "Hm."}]}, id="a part of type think"),
        pytest.param({"content": [{"type": "thought", "thought": "Hm."}]}, id="a part of type thought"),
        pytest.param({"content": {"type": "thinking", "thinking": "Hm."}}, id="a part alone"),
        pytest.param(
            {"content": [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}]},
            id="Databricks",
        ),
        pytest.param({"reasoning": {"encrypted": "x"}, "reasoning_content": "Hm."}, id="an encrypted one beside"),
    ],
)
async def test_reasoning_behind_openais_wire(delta: dict[str, Any]) -> None:
    openai = ProviderName("openai")
    stream = sse({"choices": [{"index": 0, "delta": delta}]}) + said(openai, "42")
    assert await reasoning_and_text(openai, stream) == ("Hm.", "42")


async def test_reasoning_and_text_in_one_delta() -> None:
    openai = ProviderName("openai")
    both = sse({"choices": [{"index": 0, "delta": {"reasoning_content": "Hm.", "content": "4"}}]})
    assert await reasoning_and_text(openai, both + said(openai, "2")) == ("Hm.", "42")


@pytest.mark.parametrize(
    "details",
    [
        {"reasoning_details": [{"type": "reasoning.text", "text": "Hm."}]},
        {"reasoning_text": "Hm."},
        {"thinking": "Hm."},
        {"thinking_blocks": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}]},
    ],
)
async def test_reasoning_beside_the_text_under_another_name(details: dict[str, Any]) -> None:
    openai = ProviderName("openai")
    both = sse({"choices": [{"index": 0, "delta": {"content": "4", **details}}]})
    assert await reasoning_and_text(openai, both + said(openai, "2")) == ("Hm.", "42")


@pytest.mark.parametrize("name", ["thinking_blocks", "reasoning_details"])
async def test_reasoning_that_is_repeated_as_a_whole(name: str) -> None:
    """As translators end it that hand on the signed block."""
    openai = ProviderName("openai")
    block = {"type": "thinking", "thinking": "Let me think.", "signature": "x"}
    repeated = sse({"choices": [{"index": 0, "delta": {"content": "", name: [block]}}]})
    stream = thought(openai, "Let me ") + thought(openai, "think.") + repeated + said(openai, "42")
    assert await reasoning_and_text(openai, stream) == ("Let me think.", "42")


@pytest.mark.parametrize(
    "delta",
    [
        {"type": "thinking_delta", "thinking": "Hm."},
        {"type": "thinking_delta", "text": "Hm."},
        {"type": "reasoning_delta", "text": "Hm."},
        {"thinking": "Hm."},
    ],
)
async def test_reasoning_behind_claudes_wire(delta: dict[str, Any]) -> None:
    claude = ProviderName("claude")
    stream = sse({"type": "content_block_delta", "index": 0, "delta": delta}, name=True) + said(claude, "42")
    assert await reasoning_and_text(claude, stream) == ("Hm.", "42")


async def test_signed_and_redacted_thinking() -> None:
    claude = ProviderName("claude")
    events: list[object] = [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "H"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "m."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "secret"}},
        {"type": "content_block_stop", "index": 1},
    ]
    assert await reasoning_and_text(claude, sse(*events, name=True) + said(claude, "42")) == ("Hm.", "42")


async def test_signed_thoughts_of_gemini() -> None:
    gemini = ProviderName("gemini")
    parts = [
        {"text": "Hm.", "thought": True, "thoughtSignature": "sig"},
        {"text": "", "thoughtSignature": "sig"},
        {"text": "4", "thought": False},
        {"text": "2", "thoughtSignature": "sig"},
    ]
    assert await reasoning_and_text(gemini, sse({"candidates": [{"content": {"parts": parts}}]})) == ("Hm.", "42")


@pytest.mark.parametrize("cut", range(1, 40))
async def test_tags_cut_anywhere(cut: int) -> None:
    openai, whole = ProviderName("openai"), "<thinking>Is it 42?</thinking>\n\nIt is 42."
    stream = said(openai, whole[:cut]) + said(openai, whole[cut:])
    assert await reasoning_and_text(openai, stream) == ("Is it 42?", "It is 42.")


async def test_end_of_reasoning_whose_beginning_is_missing_is_text(adapter: ProviderName) -> None:
    """Where a template swallowed it. While such text streams, nothing tells it from a reply."""
    text = "Hm.</think>42"
    assert await reasoning_and_text(adapter, said(adapter, "Hm.") + said(adapter, "</think>42")) == ("", text)


@pytest.mark.parametrize("before", ["", "<think>Hm.</think>"])
async def test_blanks_without_end_are_no_reply(adapter: ProviderName, before: str) -> None:
    """The model that runs away so is left after some thousand, and asked once more."""

    async def answer(exchange: Exchange) -> None:
        exchange.start()
        if len(upstream.exchanges) > 1:
            exchange.send(WIRES[adapter].token + WIRES[adapter].ending)
            return
        exchange.send(WIRES[adapter].opening + (said(adapter, before) if before else b""))
        while not exchange.gone.is_set():
            exchange.send(said(adapter, "\n" * 100))
            await asyncio.sleep(0.001)

    async with served(adapter, answer) as (provider, upstream):
        deadlines = Deadlines(60.0, {adapter: HOSTED})
        failover = Failover({adapter: provider}, Breakers(), deadlines)
        async with aclosing(failover.answer((Candidate(adapter, MODEL),), lambda _: ask())) as events:
            texts = [event.text async for event in events if isinstance(event, Delta)]
    assert "".join(texts) == "token"


WHOLE: dict[str, object] = {
    "openai": {
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "42", "reasoning": "Hm."}, "finish_reason": "stop"}
        ]
    },
    "claude": {
        "type": "message",
        "content": [{"type": "thinking", "thinking": "Hm.", "signature": "x"}, {"type": "text", "text": "42"}],
        "stop_reason": "end_turn",
    },
    "gemini": {
        "candidates": [
            {"content": {"parts": [{"text": "Hm.", "thought": True}, {"text": "42"}]}, "finishReason": "STOP"}
        ]
    },
    "ollama": {
        "message": {"role": "assistant", "content": "42", "thinking": "Hm."},
        "done": True,
        "done_reason": "stop",
    },
}


@pytest.mark.parametrize("indent", [None, 2])
async def test_reasoning_of_a_server_that_does_not_stream(adapter: ProviderName, indent: int | None) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.reply(200, json.dumps(WHOLE[adapter], indent=indent).encode())

    async with served(adapter, answer) as (provider, _):
        reasoning, text, finish = await collect_all(provider, ask())

    assert (reasoning, text, finish.reason) == ("Hm.", "42", "stop")


ASKED: list[tuple[str, str, ReasoningEffort | None, int | None, dict[str, Any]]] = [
    # a server that is not known gets both: what OpenAI has, and what templates have
    (
        "openai",
        "qwen3-32b",
        "off",
        None,
        {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": False, "thinking": False}},
    ),
    (
        "openai",
        "qwen3-32b",
        "high",
        None,
        {"reasoning_effort": "high", "chat_template_kwargs": {"enable_thinking": True, "thinking": True}},
    ),
    ("openai", "qwen3-32b", None, None, {}),
    ("claude", "claude-sonnet-5-5", "off", None, {"thinking": {"type": "between_tools"}, "max_tokens": 32_000}),
    (
        "claude",
        "claude-opus-5-5",
        "off",
        None,
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}, "max_tokens": 32_000},
    ),
    ("claude", "claude-haiku-5-5", "off", 500, {"thinking": {"type": "disabled"}, "max_tokens": 500}),
    ("claude", "claude-opus-4-8", "off", None, {"thinking": {"type": "disabled"}, "max_tokens": 4096}),
    (
        "claude",
        "claude-sonnet-5-5",
        "medium",
        None,
        {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "medium"},
            "max_tokens": 32_000,
        },
    ),
    (
        "claude",
        "claude-sonnet-5-5",
        None,
        None,
        {"thinking": {"type": "adaptive", "display": "summarized"}, "max_tokens": 32_000},
    ),
    ("claude", "claude-opus-4-8", None, None, {"max_tokens": 4096}),
    (
        "claude",
        "claude-haiku-4-5-20251001",
        "high",
        None,
        {"thinking": {"type": "enabled", "budget_tokens": 16_000}, "max_tokens": 32_000},
    ),
    # thinking counts as output: half of it is for the text
    (
        "claude",
        "claude-3-7-sonnet-20250219",
        "medium",
        4000,
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000},
    ),
    # Anthropic takes no budget below 1,024
    ("claude", "claude-haiku-4-5", "low", 1500, {"max_tokens": 1500}),
    ("claude", "claude-3-5-haiku-20241022", "high", None, {"max_tokens": 4096}),
    ("claude", "glm-5", "low", None, {"thinking": {"type": "enabled", "budget_tokens": 2048}, "max_tokens": 32_000}),
    ("claude", "glm-5", "off", None, {"thinking": {"type": "disabled"}, "max_tokens": 4096}),
    ("gemini", "gemini-3.8-flash", None, None, {"includeThoughts": True}),
    ("gemini", "gemini-3.8-flash", "off", None, {"thinkingLevel": "minimal"}),
    ("gemini", "gemini-4-argon", "medium", None, {"thinkingLevel": "medium", "includeThoughts": True}),
    ("gemini", "gemini-flash-latest", "low", None, {"thinkingLevel": "low", "includeThoughts": True}),
    ("gemini", "gemini-2.5-flash", "off", None, {"thinkingBudget": 0}),
    ("gemini", "gemini-2.5-flash", "high", None, {"thinkingBudget": 24_576, "includeThoughts": True}),
    ("gemini", "gemini-2.5-pro", "high", 1000, {"thinkingBudget": 500, "includeThoughts": True}),
    ("gemini", "gemini-2.0-flash", "high", None, {}),
    ("gemini", "gemma-3-27b-it", None, None, {}),
    ("ollama", "qwen3", None, None, {}),
    ("ollama", "qwen3", "off", None, {"think": False}),
    ("ollama", "qwen3", "high", None, {"think": "high"}),
    ("ollama", "gpt-oss:20b", "off", None, {"think": "low"}),
]
PARAMETERS = {
    "reasoning_effort",
    "chat_template_kwargs",
    "thinking",
    "output_config",
    "think",
    "includeThoughts",
    "thinkingLevel",
    "thinkingBudget",
}


@pytest.mark.parametrize(("adapter", "model", "effort", "limit", "expected"), ASKED, indirect=["adapter"])
async def test_effort_in_the_providers_own_words(
    adapter: ProviderName, model: str, effort: ReasoningEffort | None, limit: int | None, expected: dict[str, Any]
) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        exchange.send(WIRES[adapter].token + WIRES[adapter].ending)

    async with served(adapter, answer) as (provider, upstream):
        await collect_all(provider, ChatRequest(model, (Message("user", "Hi"),), limit, effort))

    (exchange,) = upstream.exchanges
    body = exchange.json.get("generationConfig", {}).get("thinkingConfig", {}) if adapter == "gemini" else exchange.json
    names = PARAMETERS | ({"max_tokens"} if adapter == "claude" else set())
    assert {name: value for name, value in body.items() if name in names} == expected
