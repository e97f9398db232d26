"""Fixtures of the adapter tests: each adapter, pointed at aimock or at a raw server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.messages import ChatRequest, Delta, Finish, Message, ProviderName
from app.providers.base import Provider
from app.providers.description import Configuration
from app.providers.factory import make_providers
from app.providers.registry import PROVIDERS
from tests.support.aimock import AIMock, aimock, aimock_server

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
    *deltas, finish = [event async for event in provider.stream(request)]
    assert all(isinstance(delta, Delta) for delta in deltas)
    assert isinstance(finish, Finish)
    return "".join(delta.text for delta in deltas if isinstance(delta, Delta)), finish


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
