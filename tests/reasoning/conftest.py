"""What these tests share: the provider that thinks, two replicas with default settings, people, and stored rows."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest

from app.values import ProviderName
from scripts.local_supabase import LocalSupabase
from tests.reasoning.thinker import CLAUDE, GEMINI, OLLAMA, OPENAI, SETTINGS, Thinker
from tests.support.client import person_client
from tests.support.raw_upstream import Upstream, raw_upstream
from tests.support.rows import rows
from tests.support.service import Api, Person, running_api, sign_up

__all__ = ["rows"]

NewApi = Callable[..., AbstractAsyncContextManager[Api]]


@pytest.fixture(params=[OPENAI, CLAUDE, GEMINI, OLLAMA])
def adapter(request: pytest.FixtureRequest) -> ProviderName:
    """Each wire in turn."""
    name: ProviderName = request.param
    return name


@pytest.fixture(scope="session")
def thinker() -> Thinker:
    return Thinker()


@pytest.fixture(scope="session")
async def thinking(thinker: Thinker) -> AsyncGenerator[Upstream]:
    """The server at which all four providers are."""
    async with raw_upstream(thinker.answer) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def new_api(stack: LocalSupabase, thinking: Upstream, tmp_path_factory: pytest.TempPathFactory) -> NewApi:
    """Starts an API process: `async with new_api(SETTING="value") as api`. Its deadlines are the defaults."""

    def start(**settings: str) -> AbstractAsyncContextManager[Api]:
        log: Path = tmp_path_factory.mktemp("thinking") / "api.log"
        at = {"HTTP_PROXY": thinking.url, "OLLAMA_BASE_URL": thinking.url}
        return running_api(stack, log, **at | SETTINGS | settings)

    return start


@pytest.fixture(scope="session")
async def replicas(new_api: NewApi) -> AsyncGenerator[tuple[Api, Api]]:
    """Two API processes, for tests that leave them as they are."""
    async with new_api() as one, new_api() as two:
        yield one, two


@pytest.fixture
async def person(stack: LocalSupabase) -> Person:
    """A new user."""
    return await sign_up(stack)


@pytest.fixture
async def client(replicas: tuple[Api, Api], person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """The user's, on the first replica."""
    async with person_client(replicas[0], person) as opened:
        yield opened


@pytest.fixture
async def elsewhere(replicas: tuple[Api, Api], person: Person) -> AsyncGenerator[httpx.AsyncClient]:
    """The user's, on the second replica."""
    async with person_client(replicas[1], person) as opened:
        yield opened
