"""Every adapter, pointed at aimock or at a raw server."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.providers.base import Provider
from app.providers.description import Configuration
from app.providers.factory import make_providers
from app.providers.registry import PROVIDERS
from app.values import (
    Alive,
    ChatRequest,
    Delta,
    Finish,
    Message,
    Opened,
    ProviderName,
    Reasoning,
    StreamItem,
)
from tests.support.aimock import AIMock, aimock, aimock_server
from tests.support.raw_upstream import Answer, Upstream, raw_upstream

__all__ = ["aimock", "aimock_server"]

ADAPTERS = tuple(provider.name for provider in PROVIDERS if not provider.stand_in)
MODEL = "some-model"


def configured_at(url: str, *, connect_timeout: float = 5.0, **changes: str) -> Configuration:
    """All four providers, at `url`."""
    return Configuration({**AIMock.settings_at(url), **changes}, connect_timeout)


def ask(text: str = "Hello", *, system: str | None = None, max_tokens: int | None = None) -> ChatRequest:
    """A request with one user message."""
    opening = () if system is None else (Message("system", system),)
    return ChatRequest(MODEL, (*opening, Message("user", text)), max_tokens)


async def collect(provider: Provider, request: ChatRequest) -> tuple[str, Finish]:
    """The whole reply: its text and its finish, which must be the last event."""
    return (await collect_all(provider, request))[1:]


async def collect_all(provider: Provider, request: ChatRequest) -> tuple[str, str, Finish]:
    """The whole reply: its reasoning, its text and its finish."""
    *events, finish = [event async for event in provider.stream(request)]
    assert not any(isinstance(event, Finish) for event in events)
    assert isinstance(finish, Finish)
    reasoning = "".join(event.text for event in events if isinstance(event, Reasoning))
    return reasoning, "".join(event.text for event in events if isinstance(event, Delta)), finish


async def heard(events: AsyncGenerator[StreamItem]) -> Delta | Reasoning | Finish:
    """The next event that is more than a sign of life."""
    while isinstance(event := await anext(events), Opened | Alive):
        pass
    return event


@asynccontextmanager
async def served(adapter: ProviderName, answer: Answer) -> AsyncIterator[tuple[Provider, Upstream]]:
    """The adapter and the raw server that it talks to."""
    async with raw_upstream(answer) as upstream:
        provider = make_providers(configured_at(upstream.url))[adapter]
        try:
            yield provider, upstream
        finally:
            await provider.aclose()


@pytest.fixture(scope="session")
async def mocked(aimock_server: AIMock) -> AsyncIterator[dict[ProviderName, Provider]]:
    """Every adapter, its provider played by aimock."""
    providers = make_providers(configured_at(aimock_server.url))
    yield providers
    for provider in providers.values():
        await provider.aclose()


@pytest.fixture(params=ADAPTERS)
def adapter(request: pytest.FixtureRequest) -> ProviderName:
    """The name of each adapter in turn."""
    name: ProviderName = request.param
    return name


@pytest.fixture
def provider(adapter: ProviderName, mocked: dict[ProviderName, Provider], aimock: AIMock) -> Provider:
    """Each adapter in turn, on a fresh aimock."""
    return mocked[adapter]
