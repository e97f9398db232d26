"""A model with 1,024 tokens of context, through both wires that its server speaks: no conversation is too long for it.

By default a conversation's first turns are answered by a scripted provider, as the model takes seconds for each.
PARLEY_MODEL_TURNS=40 (`make test-models`) has it answer all of them.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from app.errors import ContextTooLong
from app.providers.description import Configuration
from app.providers.factory import make_providers
from app.values import ChatRequest, Delta, Finish, JsonSchema, Message, Tool
from scripts.local_supabase import LocalSupabase
from tests.models.conftest import SLOT_TOKENS
from tests.support.client import history, new_conversation, person_client, turn
from tests.support.documents import put_in
from tests.support.raw_upstream import Exchange, raw_upstream
from tests.support.service import running_api, sign_up

pytestmark = [pytest.mark.timeout(1800), pytest.mark.installing]

TURNS = 40
BY_THE_MODEL = int(os.environ.get("PARLEY_MODEL_TURNS", "4"))
MODEL = "smollm2"
WORDS = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text().split()
WIRES = ("openai", "claude")


def settings_of(url: str) -> dict[str, str]:
    return {
        "OPENAI_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": "k",
        "OPENAI_MODEL": MODEL,
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "k",
        "CLAUDE_MODEL": MODEL,
    }


def long_text(words: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))  # noqa: S311 - not a secret


async def scripted(exchange: Exchange) -> None:
    """An Ollama whose replies are long."""
    if exchange.path == "/api/tags":
        exchange.reply(200, b'{"models": [{"name": "long-winded"}]}')
    elif exchange.path == "/api/chat":
        line = {"message": {"content": long_text(150, len(exchange.body))}, "done": True, "eval_count": 300}
        exchange.start(content_type="application/x-ndjson")
        exchange.send(json.dumps(line).encode() + b"\n")
    else:
        exchange.reply(404, b"{}")


@pytest.fixture(scope="module")
async def client(
    stack: LocalSupabase, llama_cpp: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[httpx.AsyncClient]:
    """Somebody with long documents, and an API whose OpenAI and Claude are llama.cpp."""
    log = tmp_path_factory.mktemp("models") / "api.log"
    async with raw_upstream(scripted) as ollama:
        settings = {**settings_of(llama_cpp), "OLLAMA_BASE_URL": ollama.url, "EMBEDDING_MODEL": "local"}
        async with (
            running_api(stack, log, **settings) as api,
            person_client(api, await sign_up(stack)) as client,
        ):
            client.timeout = httpx.Timeout(600)
            for number in range(3):
                assert (await put_in(client, long_text(1500, number)))["status"] == "ready"
            yield client


@pytest.mark.parametrize("wire", WIRES)
async def test_forty_long_turns_with_documents(client: httpx.AsyncClient, wire: str) -> None:
    """The last question alone is longer than the context."""
    conversation = await new_conversation(client)
    for number in range(TURNS):
        provider = wire if number >= TURNS - BY_THE_MODEL else "ollama"
        words = 5000 if number == TURNS - 1 else 120
        question = f"Question {number}: {long_text(words, number)}?"
        reply = await turn(client, conversation, question, provider=provider, max_tokens=24)
        assert (reply["status"], reply["provider"]) == ("complete", provider), reply
        assert reply["content"].strip()
        assert reply["sources"]
        if provider == wire:
            assert 0 < reply["usage"]["prompt_tokens"] + reply["usage"]["completion_tokens"] <= SLOT_TOKENS
    assert len(await history(client, conversation)) == 2 * TURNS


@pytest.mark.parametrize("wire", WIRES)
async def test_what_is_refused_names_the_limit(llama_cpp: str, wire: str) -> None:
    """As the server says it on each wire: a new version of it that says it otherwise fails here."""
    provider = make_providers(Configuration(settings_of(llama_cpp)))[wire]  # type: ignore[index]
    with pytest.raises(ContextTooLong) as refused:
        async for _ in provider.stream(ChatRequest(MODEL, (Message("user", long_text(1500, 2)),), 24)):
            pass
    assert refused.value.limit == SLOT_TOKENS
    assert (refused.value.counted or 0) > SLOT_TOKENS
    await provider.aclose()


async def test_tools_that_the_models_template_has_not(llama_cpp: str) -> None:
    """The server ignores them, `tool_choice` too, and answers with prose: a client sees that there is no call."""
    provider = make_providers(Configuration(settings_of(llama_cpp)))["openai"]  # type: ignore[index]
    asked = (Message("user", "What is the weather in Oslo?"),)
    request = ChatRequest(MODEL, asked, 40, tools=(Tool("weather"),), tool_choice="required")
    items = [item async for item in provider.stream(request)]
    assert "".join(item.text for item in items if isinstance(item, Delta)).strip()
    assert isinstance(items[-1], Finish)
    assert items[-1].reason in ("stop", "length")
    await provider.aclose()


async def test_a_reply_by_a_schema(llama_cpp: str) -> None:
    provider = make_providers(Configuration(settings_of(llama_cpp)))["openai"]  # type: ignore[index]
    properties = {"city": {"enum": ["Oslo", "Rome"]}, "warm": {"type": "boolean"}}
    schema = {"type": "object", "properties": properties, "required": ["city", "warm"], "additionalProperties": False}
    wanted = JsonSchema("weather", schema, strict=True)
    request = ChatRequest(MODEL, (Message("user", "Is it warm in Oslo?"),), 200, response_format=wanted)
    text = "".join([item.text async for item in provider.stream(request) if isinstance(item, Delta)])
    reply = json.loads(text)
    assert reply.keys() == properties.keys()
    assert reply["city"] in ("Oslo", "Rome")
    await provider.aclose()
