"""In charge of what every adapter is tested with: itself, pointed at aimock or at a raw server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import get_args

import pytest

from app.messages import ChatRequest, Delta, Finish, Message, ProviderName
from app.providers.base import Provider
from app.providers.factory import make_providers
from app.settings import Settings
from tests.aimock import AIMock, aimock, aimock_server

__all__ = ["aimock", "aimock_server"]

ADAPTERS: tuple[ProviderName, ...] = tuple(name for name in get_args(ProviderName) if name != "demo")
MODEL = "some-model"


def settings_for(url: str, **changes: object) -> Settings:
    """Settings whose four providers are all at `url`."""
    supabase = {"supabase_url": "http://127.0.0.1:1", "supabase_publishable_key": "p", "supabase_secret_key": "s"}
    return Settings(**{**supabase, **AIMock.settings_at(url), **changes})  # type: ignore[arg-type]


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
    providers = make_providers(settings_for(aimock_server.url))
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
