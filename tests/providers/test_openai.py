"""What OpenAI itself is asked otherwise than the servers that copy it."""

from __future__ import annotations

import json

import httpx2
import pytest
from openai import AsyncOpenAI
from pytest_httpx2 import HTTPXMock as HTTPX2Mock

from app.providers.call_ids import UNSIGNED
from app.providers.description import Configuration
from app.providers.openai.chat import OpenAIProvider
from app.providers.openai.client import make_client
from app.providers.openai.tools import called
from app.providers.turns import Call, Turn
from app.values import ChatRequest, Message

REPLY = b'data: {"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}\n\n'


@pytest.mark.parametrize(
    ("base_url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://mine.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://127.0.0.1:8080/v1", "max_tokens"),
        ("https://openrouter.ai/api/v1", "max_tokens"),
    ],
)
async def test_name_of_the_limit(httpx2_mock: HTTPX2Mock, base_url: str, field: str) -> None:
    httpx2_mock.add_response(content=REPLY)
    client = AsyncOpenAI(api_key="k", base_url=base_url, max_retries=0, http_client=httpx2.AsyncClient())
    provider = OpenAIProvider(client)

    async for _ in provider.stream(ChatRequest("m", (Message("user", "Hello"),), max_tokens=7)):
        pass
    await provider.aclose()

    (request,) = httpx2_mock.get_requests()
    body = json.loads(request.content)
    assert {name: value for name, value in body.items() if name.startswith("max_")} == {field: 7}


@pytest.mark.parametrize(
    ("base_url", "sent_to"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1/models"),
        ("https://eu.api.openai.com/", "https://eu.api.openai.com/v1/models"),
        (
            "https://mine.openai.azure.com/?api-version=preview",
            "https://mine.openai.azure.com/openai/v1/models?api-version=preview",
        ),
        ("https://api.openai.com/v2", "https://api.openai.com/v2/models"),
        # others may have their API anywhere: Perplexity's has no path
        ("https://api.perplexity.ai", "https://api.perplexity.ai/models"),
    ],
)
async def test_path_of_a_host_of_openai(base_url: str, sent_to: str) -> None:
    client = make_client(Configuration({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": base_url}))
    request = client._client.build_request("GET", client._prepare_url("/models"))
    await client.close()

    assert str(request.url) == sent_to


@pytest.mark.parametrize(
    ("host", "model", "signatures"),
    [
        ("generativelanguage.googleapis.com", "gemini-3.8-flash", ["c2ln", None, UNSIGNED]),
        ("generativelanguage.googleapis.com", "gemini-2.5-flash", ["c2ln", None, None]),
        ("openrouter.ai", "google/gemini-3.8-flash", [None, None, None]),
    ],
)
def test_signatures_go_back_to_google_alone(host: str, model: str, signatures: list[str | None]) -> None:
    turns = (Turn("assistant", "", [Call("a", "f", "{}", "c2ln"), Call("b", "f", "")]),)
    turns += (Turn("assistant", "", [Call("c", "f", "{}")]),)
    calls = [call for turn in turns for call in called(turn, host, model, {})["tool_calls"]]
    extra = [call.get("extra_content", {}).get("google", {}).get("thought_signature") for call in calls]
    assert extra == signatures
    assert [call["function"]["arguments"] for call in calls] == ["{}", "{}", "{}"]
