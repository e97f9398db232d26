"""Every adapter names what went wrong in our terms, once, and never retries by itself."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import (
    AuthenticationRefused,
    BrokenStream,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    RequestRefused,
    ServerError,
    Throttled,
    Unreachable,
)
from app.providers import failures
from app.providers.base import Provider
from app.providers.factory import make_providers
from app.providers.registry import PROVIDERS
from app.values import ProviderName
from tests.contract.conftest import MODEL, ask, collect, configured_at
from tests.support.aimock import AIMock
from tests.support.gateway import Answer, Gateway

pytestmark = pytest.mark.usefixtures("default_log")

STATUSES = {
    400: RequestRefused,
    401: AuthenticationRefused,
    403: AuthenticationRefused,
    404: ModelNotFound,
    413: ContextTooLong,
    422: RequestRefused,
    429: Throttled,
    500: ServerError,
    502: ServerError,
    503: ServerError,
    504: ServerError,
    529: ServerError,
}


@pytest.mark.parametrize(("status", "kind"), STATUSES.items())
async def test_status(
    provider: Provider, adapter: ProviderName, aimock: AIMock, status: int, kind: type[ProviderError]
) -> None:
    aimock.error(status, "something is wrong", type="some_error")

    with pytest.raises(ProviderError) as raised:
        await collect(provider, ask())

    assert type(raised.value) is kind
    assert (raised.value.provider, raised.value.model, raised.value.status) == (adapter, MODEL, status)
    assert len(aimock.journal()) == 1


async def test_retry_after_is_kept(provider: Provider, aimock: AIMock) -> None:
    aimock.error(429, "slow down", retryAfter=17)

    with pytest.raises(Throttled) as raised:
        await collect(provider, ask())

    assert raised.value.retry_after == 17


async def test_words_tell_that_the_prompt_is_too_long(provider: Provider, aimock: AIMock) -> None:
    aimock.error(400, "This model's maximum context length is 8192 tokens", type="invalid_request_error")

    with pytest.raises(ContextTooLong):
        await collect(provider, ask())


async def test_refused_key_is_not_repeated(provider: Provider, aimock: AIMock) -> None:
    aimock.error(401, "Incorrect API key provided: sk-secret-123", type="invalid_request_error")

    with pytest.raises(AuthenticationRefused) as raised:
        await collect(provider, ask())

    assert "sk-secret" not in str(raised.value)


REFUSAL = (
    "Incorrect API key provided: sk-pr**********t123 (sk-proj-4f9c2e7a81b04d55). See https://example.com/api-keys."
)
SHOWN = "Incorrect API key provided: [key] ([key]). See https://example.com/api-keys."


def said_of_keys(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["event"] == "provider.key_refused"]


@pytest.fixture
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """That a key was refused is not repeated for minutes: here nobody has been told yet."""
    monkeypatch.setattr(failures, "_said", {})


@pytest.mark.usefixtures("nothing_said")
async def test_refused_key_is_said_with_its_setting(provider: Provider, adapter: ProviderName, aimock: AIMock) -> None:
    """Once, and without the provider's own words: they may quote the key, and the message."""
    aimock.error(401, REFUSAL, type="authentication_error")
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(AuthenticationRefused) as raised:
                await collect(provider, ask())
    assert raised.value.wrong
    assert "Incorrect" not in str(raised.value)
    enabled_by = PROVIDERS[adapter].enabled_by
    assert enabled_by is not None
    assert said_of_keys(lines) == [
        {
            "event": "provider.key_refused",
            "log_level": "warning",
            "provider": adapter,
            "setting": enabled_by.name,
            "status": 401,
            "words": None,
        }
    ]


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.usefixtures("nothing_said")
async def test_refused_key_is_said_when_models_are_listed(adapter: ProviderName, status: int) -> None:
    """That is the first call of a start, and holds nothing of a user's: the words are kept, without the key."""
    body: dict[str, Any] = {"error": {"message": REFUSAL, "type": "authentication_error", "code": status}}
    if adapter == "ollama":
        body = {"error": REFUSAL}
    async with Gateway("") as server:
        server.paths[""] = Answer(status, json.dumps(body))
        provider = make_providers(configured_at(server.url))[adapter]
        try:
            with capture_logs() as lines, pytest.raises(AuthenticationRefused) as raised:
                await provider.list_models()
        finally:
            await provider.aclose()
    assert raised.value.wrong is (status == 401)
    assert [(line["status"], line["words"]) for line in said_of_keys(lines)] == [(status, SHOWN)]


async def test_answer_that_is_no_json(provider: Provider, aimock: AIMock) -> None:
    aimock.chaos(malformedRate=1)

    with pytest.raises(BrokenStream):
        await collect(provider, ask())


async def test_connection_cut_before_the_answer(provider: Provider, aimock: AIMock) -> None:
    aimock.chaos(disconnectRate=1)

    with pytest.raises(Unreachable):
        await collect(provider, ask())


async def test_truncated_stream(provider: Provider, aimock: AIMock) -> None:
    aimock.reply("This will be cut short, sadly.", chunkSize=4, latency=5, truncateAfterChunks=3)

    with pytest.raises(BrokenStream):
        await collect(provider, ask())


async def test_nobody_listens(adapter: ProviderName) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        provider = make_providers(configured_at(f"http://127.0.0.1:{unused.getsockname()[1]}"))[adapter]
        with pytest.raises(Unreachable):
            await collect(provider, ask())
        await provider.aclose()


async def test_connecting_takes_too_long(adapter: ProviderName) -> None:
    # a listener that accepts nothing, with its queue full: the next connection gets no answer
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        host, port = listener.getsockname()
        provider = make_providers(configured_at(f"http://{host}:{port}", connect_timeout=0.2))[adapter]
        with pytest.raises(Unreachable):
            await collect(provider, ask())
        await provider.aclose()


@pytest.mark.parametrize("adapter", ["openai", "claude", "ollama"], indirect=True)
async def test_models_cannot_be_listed(adapter: ProviderName) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        lost = make_providers(configured_at(f"http://127.0.0.1:{unused.getsockname()[1]}"))[adapter]
        with pytest.raises(Unreachable):
            await lost.list_models()
        await lost.aclose()
