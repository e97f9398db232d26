"""What each adapter sends: the very body, the key in its place, and nothing that was not asked for."""

from __future__ import annotations

from typing import Any

import pytest

from app.providers.claude.reasoning import DEFAULT_MAX_TOKENS
from app.providers.factory import make_providers
from app.providers.turns import OPENING
from app.values import ChatRequest, Message, ProviderName
from tests.contract.conftest import collect, configured_at
from tests.support.raw_upstream import Exchange, raw_upstream
from tests.support.wires import WIRES

CONVERSATION = (
    Message("system", "Be brief."),
    Message("user", "Hello"),
    Message("assistant", "Hi!"),
    Message("user", "What is 2 + 2?"),
)
PLAIN = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hello"},
    {"role": "assistant", "content": "Hi!"},
    {"role": "user", "content": "What is 2 + 2?"},
]
BODIES: dict[ProviderName, dict[str, Any]] = {
    "openai": {
        "model": "some-model",
        "messages": PLAIN,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    "claude": {
        "model": "some-model",
        "max_tokens": DEFAULT_MAX_TOKENS,
        "messages": PLAIN[1:],
        "system": "Be brief.",
        "stream": True,
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": "Hello"}]},
            {"role": "model", "parts": [{"text": "Hi!"}]},
            {"role": "user", "parts": [{"text": "What is 2 + 2?"}]},
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
    },
    "ollama": {"model": "some-model", "messages": PLAIN, "stream": True},
}
LIMITS: dict[ProviderName, dict[str, Any]] = {
    "openai": {"max_tokens": 100},
    "claude": {"max_tokens": 100},
    "gemini": {"generationConfig": {"maxOutputTokens": 100}},
    "ollama": {"options": {"num_predict": 100}},
}
KEYS: dict[ProviderName, tuple[str, str]] = {
    "openai": ("authorization", "Bearer test-openai"),
    "claude": ("authorization", "Bearer test-claude"),
    "gemini": ("x-goog-api-key", "test-gemini"),
}


async def sent(adapter: ProviderName, request: ChatRequest) -> Exchange:
    """The one request that the adapter makes of `request`."""

    async def answer(exchange: Exchange) -> None:
        wire = WIRES[adapter]
        exchange.start()
        exchange.send(wire.opening + wire.token + wire.ending)

    async with raw_upstream(answer) as upstream:
        provider = make_providers(configured_at(upstream.url))[adapter]
        await collect(provider, request)
        await provider.aclose()
    (exchange,) = upstream.exchanges
    return exchange


async def test_conversation(adapter: ProviderName) -> None:
    exchange = await sent(adapter, ChatRequest("some-model", CONVERSATION))

    assert exchange.json == BODIES[adapter]


async def test_limit(adapter: ProviderName) -> None:
    exchange = await sent(adapter, ChatRequest("some-model", CONVERSATION, max_tokens=100))

    assert exchange.json == BODIES[adapter] | LIMITS[adapter]


@pytest.mark.parametrize("adapter", list(KEYS), indirect=True)
async def test_key(adapter: ProviderName) -> None:
    exchange = await sent(adapter, ChatRequest("some-model", CONVERSATION))

    name, value = KEYS[adapter]
    assert exchange.headers[name] == value
    assert value not in exchange.path


def turns_of(adapter: ProviderName, body: Any) -> list[tuple[str, str]]:
    """Who says what, system text left out."""
    if adapter == "gemini":
        names = {"user": "user", "model": "assistant"}
        return [(names[turn["role"]], turn["parts"][0]["text"]) for turn in body["contents"]]
    return [(turn["role"], turn["content"]) for turn in body["messages"] if turn["role"] != "system"]


def system_of(adapter: ProviderName, body: Any) -> list[str]:
    """The system texts."""
    match adapter:
        case "gemini":
            return [part["text"] for part in body.get("systemInstruction", {}).get("parts", ())]
        case "claude":
            return [body["system"]] if "system" in body else []
        case _:
            assert all(message["role"] != "system" for message in body["messages"][1:])
            return [message["content"] for message in body["messages"] if message["role"] == "system"]


# as the templates of Mistral and Gemma demand it, and the APIs of Anthropic and Google
@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        pytest.param(
            [Message("user", "One"), Message("user", "Two")], [("user", "One\n\nTwo")], id="passages and question"
        ),
        pytest.param(
            [Message("user", "One"), Message("assistant", ""), Message("user", "Two")],
            [("user", "One\n\nTwo")],
            id="an empty reply",
        ),
        pytest.param(
            [Message("user", "One"), Message("assistant", "A"), Message("assistant", "B"), Message("user", "Two")],
            [("user", "One"), ("assistant", "A\n\nB"), ("user", "Two")],
            id="two replies",
        ),
        pytest.param(
            [Message("assistant", "A"), Message("user", "  \n"), Message("user", "Two")],
            [("user", OPENING), ("assistant", "A"), ("user", "Two")],
            id="the assistant first",
        ),
    ],
)
async def test_turns_alternate(adapter: ProviderName, messages: list[Message], turns: list[tuple[str, str]]) -> None:
    exchange = await sent(adapter, ChatRequest("some-model", tuple(messages)))

    assert turns_of(adapter, exchange.json) == turns


async def test_system_texts_are_one(adapter: ProviderName) -> None:
    messages = (Message("system", "A"), Message("user", "One"), Message("system", "B"))
    exchange = await sent(adapter, ChatRequest("some-model", messages))

    assert system_of(adapter, exchange.json) == ["A\n\nB"]
    assert turns_of(adapter, exchange.json) == [("user", "One")]


async def test_name_of_a_model_stays_in_its_place() -> None:
    exchange = await sent("gemini", ChatRequest("models/../../v1/files?x#", CONVERSATION))

    assert exchange.path == "/v1beta/models/..%2F..%2Fv1%2Ffiles%3Fx%23:streamGenerateContent?alt=sse"
