"""Every adapter streams a reply: its text, usage and finish, whatever the text holds."""

from __future__ import annotations

import pytest

from app.providers.base import Provider
from app.values import Delta, ProviderName, Usage
from tests.contract.conftest import MODEL, ask, collect
from tests.support.aimock import AIMock

USAGE = {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46}


async def test_text_and_finish(provider: Provider, aimock: AIMock) -> None:
    aimock.reply("Hello! How can I help?", chunkSize=4)

    text, finish = await collect(provider, ask())

    assert text == "Hello! How can I help?"
    assert finish.reason == "stop"


@pytest.mark.parametrize("adapter", ["openai", "claude", "gemini"], indirect=True)
async def test_usage(provider: Provider, aimock: AIMock) -> None:
    aimock.reply("Hi", usage=USAGE)

    _, finish = await collect(provider, ask())

    assert finish.usage == Usage(prompt_tokens=12, completion_tokens=34)


# aimock's Ollama always names the same reason
@pytest.mark.parametrize("adapter", ["openai", "claude", "gemini"], indirect=True)
async def test_output_limit_is_named(provider: Provider, aimock: AIMock, adapter: ProviderName) -> None:
    aimock.reply("Once upon a", finishReason="max_tokens" if adapter == "claude" else "length")

    _, finish = await collect(provider, ask(max_tokens=3))

    assert finish.reason == "length"


# cut by UTF-16 units into pieces of one, as aimock does: every emoji arrives in halves
@pytest.mark.parametrize("text", ["Grüße, 世界, שלום", "😀👩‍👩‍👧‍👦 1️⃣ 🇩🇪", "a\u2028b\u2029c\x85d\te\nf"])
async def test_unicode_in_pieces(provider: Provider, aimock: AIMock, text: str) -> None:
    aimock.reply(text, chunkSize=1)

    assert (await collect(provider, ask()))[0] == text


async def test_long_reply(provider: Provider, aimock: AIMock) -> None:
    text = " ".join(f"word-{number}" for number in range(20_000))
    aimock.reply(text, chunkSize=16)

    assert (await collect(provider, ask()))[0] == text


async def test_tokens_of_one_read_are_one_delta(provider: Provider, aimock: AIMock) -> None:
    aimock.reply("x" * 2000, chunkSize=1)

    deltas = [event async for event in provider.stream(ask()) if isinstance(event, Delta)]

    assert "".join(delta.text for delta in deltas) == "x" * 2000
    assert len(deltas) < 1000
    assert all(delta.text for delta in deltas)


@pytest.mark.parametrize("adapter", ["openai", "claude", "gemini"], indirect=True)
async def test_thinking_is_not_part_of_the_reply(provider: Provider, aimock: AIMock) -> None:
    aimock.reply("42", reasoning="Let me think about it.")

    assert (await collect(provider, ask()))[0] == "42"


async def test_system_prompt_arrives_as_one(provider: Provider, aimock: AIMock) -> None:
    aimock.reply("Ahoy!")

    await collect(provider, ask("Hello", system="You are a pirate."))

    (entry,) = aimock.journal()
    assert entry["body"]["model"] == MODEL
    assert entry["body"]["messages"] == [
        {"role": "system", "content": "You are a pirate."},
        {"role": "user", "content": "Hello"},
    ]


@pytest.mark.parametrize("adapter", ["openai", "claude", "ollama"], indirect=True)
async def test_lists_models(provider: Provider, aimock: AIMock) -> None:
    aimock.reply("Hi", model="model-a")
    aimock.reply("Hi", model="model-b")

    assert await provider.list_models() == {"model-a", "model-b"}
