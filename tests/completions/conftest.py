"""What the tests of the surface of OpenAI's API share: an API with a system prompt, and OpenAI's own client."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import openai
import pytest

from scripts.local_supabase import LocalSupabase
from tests.support import upstream as scripted
from tests.support.client import PATIENCE_SECONDS, person_client
from tests.support.limits import kept_settings, owned
from tests.support.service import Api, Person, running_api, sign_up
from tests.support.upstream import Upstream

__all__ = ["kept_settings", "owned"]

SYSTEM_PROMPT = "You are the operator's assistant."


@pytest.fixture(scope="package")
async def provider() -> AsyncGenerator[Upstream]:
    """The provider of `service`, which the tests may break."""
    async with Upstream() as server:
        yield server


@pytest.fixture(scope="package")
async def service(
    stack: LocalSupabase, provider: Upstream, tmp_path_factory: pytest.TempPathFactory
) -> AsyncGenerator[Api]:
    """An API with an operator's text, whose embedding model is the provider's."""
    settings = {
        "OPENAI_API_KEY": "test-key-of-the-service",
        "OPENAI_BASE_URL": provider.url,
        "OPENAI_MODEL": scripted.MODEL,
        "EMBEDDING_MODEL": "text-embedding-3-small",
        "SYSTEM_PROMPT": SYSTEM_PROMPT,
        "LOG_LEVEL": "debug",
    }
    async with running_api(stack, tmp_path_factory.mktemp("completions") / "api.log", **settings) as running:
        yield running


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    """A new user with the plan `premium`."""
    return await sign_up(stack)


@pytest.fixture
async def client(service: Api, person: Person) -> AsyncGenerator[openai.AsyncOpenAI]:
    """OpenAI's client as that user."""
    async with openai_client(service, person.token) as opened:
        yield opened


@pytest.fixture
async def wire(service: Api, person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """The same user, for what OpenAI's client does not show or would not send."""
    async with person_client(service, person) as opened:
        yield opened


def openai_client(api: Api, key: str) -> openai.AsyncOpenAI:
    """OpenAI's client, which repeats nothing by itself. Use it as an async context manager."""
    return openai.AsyncOpenAI(base_url=f"{api.url}/openai/v1", api_key=key, max_retries=0, timeout=PATIENCE_SECONDS)


CHAT = "/openai/v1/chat/completions"


def says(**script: Any) -> list[dict[str, Any]]:
    """Messages whose last one tells the provider what to do."""
    return [{"role": "user", "content": json.dumps(script)}]


def chat(**body: Any) -> dict[str, Any]:
    """A request body, with a message unless the test has its own."""
    return {"model": "auto", "messages": says(tokens=3)} | body


def events(text: str) -> list[Any]:
    """The events of a stream: JSON, and the text of the last one."""
    frames = text.split("\n\n")
    assert frames.pop() == ""
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames)
    said = [frame.removeprefix("data: ") for frame in frames]
    return [one if one == "[DONE]" else json.loads(one) for one in said]


async def streamed(wire: httpx.AsyncClient, **body: Any) -> list[Any]:
    """The events of a streamed completion, without `[DONE]`, which must be the last."""
    response = await wire.post(CHAT, json=chat(stream=True, **body))
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    said = events(response.text)
    assert said.pop() == "[DONE]"
    return said


def refused(response: httpx.Response, status: int, code: str, param: str | None = None) -> dict[str, Any]:
    """The response is this error in OpenAI's shape. Returns the error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param), error
    assert error["message"]
    return error
