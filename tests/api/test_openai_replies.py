"""OpenAI's wire through the whole of the API: a reply streams token by token, and history holds exactly that text."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import httpx
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support.aimock import AIMock
from tests.support.client import history, new_conversation, person_client, send, turn
from tests.support.service import Person, running_api

MODEL = "any-model"


@pytest.fixture(scope="module")
async def client(
    stack: LocalSupabase, owner: Person, aimock_server: AIMock, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[httpx.AsyncClient]:
    """The owner's client of an API whose only provider is an OpenAI-compatible server, known by address and key."""
    log: Path = tmp_path_factory.mktemp("openai") / "api.log"
    settings = {
        "OPENAI_BASE_URL": f"{aimock_server.url}/v1",
        "OPENAI_API_KEY": "test-openai",
        "OPENAI_MODEL": MODEL,
        "EMBEDDING_MODEL": "local",
    }
    async with running_api(stack, log, **settings) as api, person_client(api, owner) as client:
        yield client


TEXT = "Grüße aus Köln: 👩‍🚀 said “hello”.\r\n\r\n```python\nprint('x')\n```\n"


async def test_reply_streams_in_pieces_and_is_stored_as_streamed(client: httpx.AsyncClient, aimock: AIMock) -> None:
    aimock.reply(TEXT, chunkSize=4, latency=20)
    conversation = await new_conversation(client)
    transcript = await send(client, conversation, "Say hello")
    assert transcript.text == TEXT
    assert len(transcript.named("delta")) > 5
    asked, answered = await history(client, conversation)
    assert (asked["content"], answered["content"]) == ("Say hello", TEXT)
    assert (answered["status"], answered["provider"], answered["model"]) == ("complete", "openai", MODEL)


async def test_provider_is_asked_what_was_said(client: httpx.AsyncClient, aimock: AIMock) -> None:
    aimock.reply("Fine.")
    conversation = await new_conversation(client)
    await turn(client, conversation, "How are you?")
    await turn(client, conversation, "And now?", max_tokens=50)
    first, second = aimock.journal("/v1/chat/completions")
    assert first["body"]["model"] == MODEL
    assert first["body"]["stream"] is True
    assert second["body"]["max_tokens"] == 50
    assert [(message["role"], message["content"]) for message in second["body"]["messages"]] == [
        ("user", "How are you?"),
        ("assistant", "Fine."),
        ("user", "And now?"),
    ]


async def test_usage_is_what_the_provider_counted(client: httpx.AsyncClient, aimock: AIMock) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}
    aimock.reply("Three tokens.", usage=usage)
    reply = await turn(client, await new_conversation(client))
    assert reply["usage"] == {
        "prompt_tokens": 11,
        "completion_tokens": 3,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "cost_micro_usd": None,
    }


async def test_stream_that_is_cut_is_a_failure(client: httpx.AsyncClient, aimock: AIMock) -> None:
    """What came is kept; it is not called complete."""
    aimock.reply(TEXT, chunkSize=4, latency=20, truncateAfterChunks=8)
    conversation = await new_conversation(client)
    transcript = await send(client, conversation, "Say hello")
    assert transcript.events[-1].name == "error"
    assert 0 < len(transcript.text) < len(TEXT)
    assert TEXT.startswith(transcript.text)
    reply = (await history(client, conversation))[1]
    assert (reply["status"], reply["content"]) == ("failed", transcript.text)


async def test_failure_before_the_first_token_is_tried_again(client: httpx.AsyncClient, aimock: AIMock) -> None:
    aimock.error(503)
    conversation = await new_conversation(client)
    reply = await turn(client, conversation, "Are you there?")
    assert (reply["status"], reply["error_code"]) == ("failed", "provider_unavailable")
    assert len(aimock.journal("/v1/chat/completions")) == 2
