"""Which providers, embedders and moderators the settings configure, and that a start imports none of their SDKs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.messages import ChatRequest, ProviderName
from app.providers.deferred import Deferred, DeferredProvider
from app.providers.demo.chat import DemoProvider
from app.providers.factory import embedding_provider, make_embedder, make_moderator, make_providers, warm
from app.settings import Settings

ROOT = Path(__file__).parent.parent.parent
KEYS: dict[ProviderName, dict[str, str]] = {
    "openai": {"openai_api_key": "k"},
    "gemini": {"google_ai_api_key": "k"},
    "claude": {"anthropic_api_key": "k"},
    "ollama": {"ollama_base_url": "http://127.0.0.1:11434"},
}


def settings(**values: Any) -> Settings:
    return Settings(supabase_url="http://s", supabase_publishable_key="p", supabase_secret_key="s", **values)


@pytest.mark.parametrize("name", KEYS)
def test_one_key_one_provider(name: ProviderName) -> None:
    providers = make_providers(settings(**KEYS[name]))
    assert list(providers) == [name]
    assert providers[name].name == name


def test_all_keys() -> None:
    assert list(make_providers(settings(**{k: v for keys in KEYS.values() for k, v in keys.items()}))) == list(KEYS)


def test_no_key_is_the_demo() -> None:
    assert list(make_providers(settings())) == ["demo"]


def test_an_address_is_no_key() -> None:
    assert list(make_providers(settings(openai_base_url="http://127.0.0.1:8080/v1"))) == ["demo"]


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("text-embedding-3-small", "openai"),
        ("text-embedding-ada-002", "openai"),
        ("gemini-embedding-001", "gemini"),
        ("nomic-embed-text", "ollama"),
        ("bge-m3:latest", "ollama"),
        ("local", None),
    ],
)
def test_whose_embedding_model_it_is(model: str, provider: ProviderName | None) -> None:
    assert embedding_provider(model) == provider
    embedder = make_embedder(settings(embedding_model=model, **(KEYS[provider] if provider else {})))
    assert (embedder and embedder.model) == (model if provider else None)


@pytest.mark.parametrize("model", ["text-embedding-3-small", "gemini-embedding-001", "nomic-embed-text"])
def test_embedding_model_of_a_provider_without_key(model: str) -> None:
    assert make_embedder(settings(embedding_model=model)) is None


def test_moderator_needs_openai() -> None:
    assert make_moderator(settings(**KEYS["openai"])) is not None
    assert make_moderator(settings(**KEYS["claude"])) is None


def test_a_start_imports_no_sdk() -> None:
    program = """
import sys
from app.providers.factory import make_embedder, make_moderator, make_providers
from app.settings import Settings
settings = Settings(supabase_url="http://s", supabase_publishable_key="p", supabase_secret_key="s",
    openai_api_key="k", google_ai_api_key="k", anthropic_api_key="k", ollama_base_url="http://o")
make_providers(settings), make_embedder(settings), make_moderator(settings)
print({"openai", "anthropic", "google.genai", "ollama", "httpx2"} & set(sys.modules))
"""
    printed = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == "set()"


async def test_what_is_deferred_is_made_once() -> None:
    made: list[object] = []
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def make() -> object:
        made.append(object())
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        return made[-1]

    deferred = Deferred(make)
    first, second, third = (asyncio.create_task(deferred.get()) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    release.set()

    assert await second is await third is await deferred.settled() is made[0]
    assert len(made) == 1


async def test_what_was_never_used_is_never_made() -> None:
    def make() -> DemoProvider:
        raise AssertionError

    provider = DeferredProvider("demo", make)
    await provider.aclose()


async def test_what_is_warm_is_made_before_its_first_call() -> None:
    made: list[DemoProvider] = []

    def make() -> DemoProvider:
        made.append(DemoProvider(pace=0))
        return made[-1]

    await warm([DemoProvider(pace=0), DeferredProvider("demo", make)])
    assert len(made) == 1


async def test_first_and_later_streams_are_alike() -> None:
    provider = DeferredProvider("demo", lambda: DemoProvider(pace=0))
    request = ChatRequest("demo", ())

    first = [event async for event in provider.stream(request)]

    assert len(first) > 1
    assert [event async for event in provider.stream(request)] == first
