"""What a reply took, from counts that come in pieces, late, twice, as zeros, or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.values import ProviderName, Usage
from tests.contract.conftest import ask, collect, served
from tests.support.raw_upstream import Exchange
from tests.support.wires import said, sse

OPENAI, CLAUDE, GEMINI, OLLAMA = map(ProviderName, ("openai", "claude", "gemini", "ollama"))

STOP: dict[str, Any] = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def last(**usage: Any) -> dict[str, Any]:
    return {"choices": [], "usage": usage}


def with_text(**usage: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": "Hi"}}], "usage": usage}


def start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"content": [], "usage": usage}}


TEXT: dict[str, Any] = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}


def delta(**usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


END: dict[str, Any] = {"type": "message_stop"}


def chunk(reason: str | None = None, **usage: Any) -> dict[str, Any]:
    candidate = {"index": 0, "content": {"parts": [{"text": "Hi"}]}, "finishReason": reason}
    return {"candidates": [candidate], "usageMetadata": usage}


CASES: dict[str, tuple[ProviderName, list[dict[str, Any]], Usage | None]] = {
    "OpenAI: reasoning is part of the completion": (
        OPENAI,
        [
            with_text(),
            STOP,
            last(
                prompt_tokens=10,
                completion_tokens=300,
                total_tokens=310,
                completion_tokens_details={"reasoning_tokens": 256},
                prompt_tokens_details={"cached_tokens": 4},
            ),
        ],
        Usage(10, 300, 4, 256),
    ),
    "xAI: reasoning beside the completion, the total tells": (
        OPENAI,
        [
            with_text(),
            STOP,
            last(
                prompt_tokens=32,
                completion_tokens=9,
                total_tokens=135,
                completion_tokens_details={"reasoning_tokens": 94},
            ),
        ],
        Usage(32, 103, 0, 94),
    ),
    "reasoning beside the completion, smaller than it": (
        OPENAI,
        [
            with_text(),
            STOP,
            last(
                prompt_tokens=10,
                completion_tokens=50,
                total_tokens=80,
                completion_tokens_details={"reasoning_tokens": 20},
            ),
        ],
        Usage(10, 70, 0, 20),
    ),
    "reasoning beside the completion, its size tells": (
        OPENAI,
        [STOP, last(prompt_tokens=21, completion_tokens=0, completion_tokens_details={"reasoning_tokens": 60})],
        Usage(21, 60, 0, 60),
    ),
    "Gemini behind OpenAI's wire: reasoning in the total only": (
        OPENAI,
        [with_text(), STOP, last(prompt_tokens=10, completion_tokens=5, total_tokens=115)],
        Usage(10, 105, 0, 100),
    ),
    "a prompt without its cached part": (
        OPENAI,
        [
            with_text(),
            STOP,
            last(
                prompt_tokens=10,
                completion_tokens=5,
                total_tokens=95,
                prompt_tokens_details={"cached_tokens": 80},
            ),
        ],
        Usage(90, 5, 80),
    ),
    "DeepSeek": (
        OPENAI,
        [
            with_text(),
            STOP,
            last(prompt_tokens=10, completion_tokens=5, prompt_cache_hit_tokens=8, prompt_cache_miss_tokens=2),
        ],
        Usage(10, 5, 8),
    ),
    "Moonshot: with the choice": (
        OPENAI,
        [
            with_text(),
            {
                "choices": [
                    {
                        "index": 0,
                        "delta": {},
                        "finish_reason": "stop",
                        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 3},
                    }
                ]
            },
        ],
        Usage(9, 2, 3),
    ),
    "Groq: in a place of its own": (
        OPENAI,
        [with_text(), {**STOP, "x_groq": {"id": "x", "usage": {"prompt_tokens": 9, "completion_tokens": 2}}}],
        Usage(9, 2),
    ),
    "vLLM: with every token": (
        OPENAI,
        [
            with_text(prompt_tokens=9, completion_tokens=1, total_tokens=10),
            with_text(prompt_tokens=9, completion_tokens=2, total_tokens=11),
            STOP,
            last(prompt_tokens=9, completion_tokens=3, total_tokens=12),
        ],
        Usage(9, 3),
    ),
    "zeros at the end": (
        OPENAI,
        [
            with_text(),
            {**STOP, "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}},
            last(prompt_tokens=0, completion_tokens=0, total_tokens=0),
        ],
        Usage(9, 2),
    ),
    "nothing at the end": (
        OPENAI,
        [
            with_text(),
            {
                **STOP,
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 20,
                    "completion_tokens_details": {"reasoning_tokens": 7},
                },
            },
            last(prompt_tokens=None, completion_tokens=None, completion_tokens_details=None),
            last(),
            {"choices": [], "usage": None},
        ],
        Usage(9, 20, 0, 7),
    ),
    "in two pieces": (
        OPENAI,
        [with_text(prompt_tokens=9), STOP, last(completion_tokens=2)],
        Usage(9, 2),
    ),
    "prompt alone": (OPENAI, [with_text(), STOP, last(prompt_tokens=9)], Usage(9, 0)),
    "completion alone": (OPENAI, [with_text(), STOP, last(completion_tokens=2, total_tokens=None)], Usage(0, 2)),
    "prompt and total": (OPENAI, [with_text(), STOP, last(prompt_tokens=9, total_tokens=11)], Usage(9, 2)),
    "zeros alone": (OPENAI, [with_text(), STOP, last(prompt_tokens=0, completion_tokens=0, total_tokens=0)], None),
    "floating point and text": (
        OPENAI,
        [with_text(), STOP, last(prompt_tokens=9.0, completion_tokens="2")],
        Usage(9, 2),
    ),
    "Anthropic's names": (OPENAI, [with_text(), STOP, last(input_tokens=9, output_tokens=2)], Usage(9, 2)),
    "Claude: the last count of each kind": (
        CLAUDE,
        [
            start(input_tokens=3, cache_creation_input_tokens=4, cache_read_input_tokens=5, output_tokens=1),
            TEXT,
            delta(output_tokens=20, output_tokens_details={"thinking_tokens": 15}),
            END,
        ],
        Usage(12, 20, 5, 15),
    ),
    "Claude: what the start says is written is no count": (
        CLAUDE,
        [start(input_tokens=3, output_tokens=1), TEXT, {**delta(), "usage": None}, END],
        Usage(3, 0),
    ),
    "LiteLLM and vLLM behind Claude's wire: zeros at the start": (
        CLAUDE,
        [start(input_tokens=0, output_tokens=0), TEXT, delta(input_tokens=9, output_tokens=2), END],
        Usage(9, 2),
    ),
    "Claude: zeros at the end": (
        CLAUDE,
        [start(input_tokens=9, output_tokens=1), TEXT, delta(input_tokens=0, output_tokens=2), END],
        Usage(9, 2),
    ),
    "llama.cpp behind Claude's wire: the cached part stands apart": (
        CLAUDE,
        [
            start(cache_read_input_tokens=0, input_tokens=0, output_tokens=0),
            TEXT,
            delta(cache_read_input_tokens=236, input_tokens=12, output_tokens=34),
            END,
        ],
        Usage(248, 34, 236),
    ),
    "Gemini: thoughts stand beside": (
        GEMINI,
        [
            chunk(promptTokenCount=9, totalTokenCount=9),
            chunk(
                "STOP",
                promptTokenCount=9,
                candidatesTokenCount=2,
                thoughtsTokenCount=30,
                totalTokenCount=41,
                cachedContentTokenCount=4,
            ),
        ],
        Usage(9, 32, 4, 30),
    ),
    "Gemini: thoughts without a total": (
        GEMINI,
        [chunk("STOP", promptTokenCount=9, candidatesTokenCount=50, thoughtsTokenCount=30)],
        Usage(9, 80, 0, 30),
    ),
    "Gemini: thoughts inside, the total tells": (
        GEMINI,
        [chunk("STOP", promptTokenCount=9, candidatesTokenCount=50, thoughtsTokenCount=30, totalTokenCount=59)],
        Usage(9, 50, 0, 30),
    ),
    "Gemini: the last one is bare": (
        GEMINI,
        [
            chunk(promptTokenCount=9, candidatesTokenCount=2, thoughtsTokenCount=30, totalTokenCount=41),
            chunk("STOP", promptTokenCount=9, totalTokenCount=41),
        ],
        Usage(9, 32, 0, 30),
    ),
    "Gemini: a tool's prompt": (
        GEMINI,
        [
            chunk(
                "STOP",
                promptTokenCount=9,
                toolUsePromptTokenCount=5,
                candidatesTokenCount=2,
                thoughtsTokenCount=3,
                totalTokenCount=19,
            )
        ],
        Usage(14, 5, 0, 3),
    ),
    "Ollama": (OLLAMA, [{"done": True, "prompt_eval_count": 9, "eval_count": 2}], Usage(9, 2)),
    "Ollama: a prompt from its cache": (OLLAMA, [{"done": True, "eval_count": 2}], Usage(0, 2)),
    "Ollama: no counts": (OLLAMA, [{"done": True}], None),
}


@pytest.mark.parametrize(("adapter", "events", "usage"), CASES.values(), ids=CASES, indirect=["adapter"])
async def test_usage(adapter: ProviderName, events: list[dict[str, Any]], usage: Usage | None) -> None:
    async def answer(exchange: Exchange) -> None:
        exchange.start()
        if adapter == OLLAMA:
            exchange.send(said(adapter, "Hi"), *(json.dumps(value).encode() + b"\n" for value in events))
        else:
            exchange.send(*(sse(value, name="type" in value) for value in events))

    async with served(adapter, answer) as (provider, _):
        _, finish = await collect(provider, ask())

    assert finish.usage == usage
