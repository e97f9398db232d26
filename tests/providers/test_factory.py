"""Which providers, embedders and moderators the settings configure, and that a start imports none of their SDKs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from app.providers.deferred import Deferred, DeferredProvider
from app.providers.demo.chat import DemoProvider
from app.providers.description import Configuration
from app.providers.factory import make_embedder, make_moderator, make_providers, warm
from app.providers.registry import PROVIDERS
from app.values import ChatRequest, ProviderName

ROOT = Path(__file__).parent.parent.parent
ENABLING = {
    "gemini": {"GOOGLE_AI_API_KEY": "k"},
    "openai": {"OPENAI_API_KEY": "k"},
    "claude": {"ANTHROPIC_API_KEY": "k"},
    "ollama": {"OLLAMA_BASE_URL": "http://127.0.0.1:11434"},
}


def all_of_them() -> Configuration:
    return Configuration({name: value for values in ENABLING.values() for name, value in values.items()})


@pytest.mark.parametrize("name", ENABLING)
def test_one_key_one_provider(name: ProviderName) -> None:
    providers = make_providers(Configuration(ENABLING[name]))
    assert list(providers) == [name]
    assert providers[name].name == name


def test_all_keys() -> None:
    assert list(make_providers(all_of_them())) == list(ENABLING)


def test_no_key_is_the_demo() -> None:
    assert list(make_providers(Configuration())) == ["demo"]


def test_an_address_is_no_key() -> None:
    assert list(make_providers(Configuration({"OPENAI_BASE_URL": "http://127.0.0.1:8080/v1"}))) == ["demo"]


@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("text-embedding-3-small", "openai"),
        ("text-embedding-ada-002", "openai"),
        ("gemini-embedding-001", "gemini"),
        ("nomic-embed-text", "ollama"),
        ("bge-m3:latest", "ollama"),
        ("localai", "ollama"),
        ("local", "demo"),
    ],
)
def test_whose_embedding_model_it_is(model: str, provider: str) -> None:
    description = PROVIDERS.embedding(model)
    assert description is not None
    assert description.name == provider
    embedder = make_embedder(model, Configuration(ENABLING.get(provider, {})))
    assert embedder is not None
    assert embedder.model == model


@pytest.mark.parametrize("model", ["text-embedding-3-small", "gemini-embedding-001", "nomic-embed-text"])
def test_embedding_model_of_a_provider_without_key(model: str) -> None:
    assert make_embedder(model, Configuration()) is None


def test_moderator_needs_its_provider() -> None:
    assert make_moderator("openai", Configuration(ENABLING["openai"])) is not None
    assert make_moderator("openai", Configuration(ENABLING["claude"])) is None
    assert make_moderator("claude", Configuration(ENABLING["claude"])) is None
    assert make_moderator("off", Configuration(ENABLING["openai"])) is None


def test_a_start_imports_no_sdk() -> None:
    program = """
import sys
from app.main import create_app
from app.providers.factory import make_embedder, make_moderator, make_providers
from app.providers.registry import PROVIDERS
from app.settings import load_settings
values = {name: "http://127.0.0.1:1" if setting.kind == "url" else "k" for name, setting in PROVIDERS.settings.items()}
supabase = {"SUPABASE_URL": "http://s", "SUPABASE_PUBLISHABLE_KEY": "p", "SUPABASE_SECRET_KEY": "s"}
settings = load_settings(supabase | values)
assert len(make_providers(settings.providers)) == 4
for model in ("text-embedding-3-small", "gemini-embedding-001", "nomic-embed-text"):
    assert make_embedder(model, settings.providers)
assert make_moderator("openai", settings.providers)
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

    assert await second is await third is deferred.value is made[0]
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
