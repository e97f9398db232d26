"""What each adapter sends: the very body, the key in its place, and nothing that was not asked for."""

from __future__ import annotations

from typing import Any

import pytest

from app.messages import ChatRequest, Message, ProviderName
from app.providers.claude.chat import DEFAULT_MAX_TOKENS
from app.providers.factory import make_providers
from tests.contract.conftest import collect, configured_at
from tests.contract.wires import WIRES
from tests.support.raw_upstream import Exchange, raw_upstream

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
SETTINGS: dict[ProviderName, dict[str, Any]] = {
    "openai": {"max_tokens": 100, "temperature": 0.5},
    "claude": {"max_tokens": 100, "temperature": 0.5},
    "gemini": {"generationConfig": {"maxOutputTokens": 100, "temperature": 0.5}},
    "ollama": {"options": {"num_predict": 100, "temperature": 0.5}},
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


async def test_limit_and_temperature(adapter: ProviderName) -> None:
    request = ChatRequest("some-model", CONVERSATION, max_tokens=100, temperature=0.5)
    exchange = await sent(adapter, request)

    assert exchange.json == BODIES[adapter] | SETTINGS[adapter]


@pytest.mark.parametrize("adapter", list(KEYS), indirect=True)
async def test_key(adapter: ProviderName) -> None:
    exchange = await sent(adapter, ChatRequest("some-model", CONVERSATION))

    name, value = KEYS[adapter]
    assert exchange.headers[name] == value
    assert value not in exchange.path


# both refuse blank messages, two of one speaker in a row, and a conversation that the assistant begins
@pytest.mark.parametrize("adapter", ["claude", "gemini"], indirect=True)
async def test_turns_alternate(adapter: ProviderName) -> None:
    messages = (
        Message("assistant", "Welcome!"),
        Message("user", "One"),
        Message("assistant", "  "),
        Message("user", "Two"),
    )
    exchange = await sent(adapter, ChatRequest("some-model", messages))

    body = exchange.json
    if adapter == "gemini":
        turns = [(turn["role"], turn["parts"][0]["text"]) for turn in body["contents"]]
        assert [role for role, _ in turns] == ["user", "model", "user"]
    else:
        turns = [(turn["role"], turn["content"]) for turn in body["messages"]]
        assert [role for role, _ in turns] == ["user", "assistant", "user"]
    assert [text for _, text in turns][1:] == ["Welcome!", "One\n\nTwo"]


async def test_name_of_a_model_stays_in_its_place() -> None:
    exchange = await sent("gemini", ChatRequest("models/../../v1/files?x#", CONVERSATION))

    assert exchange.path == "/v1beta/models/..%2F..%2Fv1%2Ffiles%3Fx%23:streamGenerateContent?alt=sse"
