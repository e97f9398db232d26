"""A provider is a folder: nothing outside names one, and no folder knows another."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.providers.registry import PROVIDERS
from tests.support.sources import SOURCES, imports, shown

ROOT = Path(__file__).parent.parent.parent
REGISTRY = "app/providers/registry.py"
SDKS = {"openai": "openai", "anthropic": "claude", "google": "gemini", "ollama": "ollama"}
"""The folder in which each SDK is imported."""
COMPANIES = {"anthropic", "google"}
"""Whose names stand in the settings of a provider that is called otherwise."""
WORDS = {*PROVIDERS.names, *COMPANIES}
EXAMPLES = {"app/api/events.py", "app/api/examples.py", "app/api/ui_chunks.py"}
"""Answers that are shown in the API's description, one provider's among them."""
PROGRAMS = {
    path: path.read_text()
    for path in sorted((ROOT / "scripts").rglob("*.py"))
    if path.parent.name not in ("bench", "peers", "attack", "soak")
} | SOURCES
"""All that runs; benchmarks, attacks and the soak play one provider, and name it."""


def folder_of(path: Path) -> str | None:
    """The provider whose folder a file is in."""
    parts = Path(shown(path)).parts
    return parts[2] if parts[:2] == ("app", "providers") and len(parts) > 3 and parts[2] in PROVIDERS else None


def names(source: str) -> Iterator[tuple[int, str]]:
    """What a program calls things and compares with, with its line: identifiers and texts, without docstrings."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield node.lineno, name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.Constant(value=str(text)):
                yield node.lineno, text
            case ast.Constant(value=bytes(content)):
                yield node.lineno, content.decode(errors="replace")


def mentioned(name: str) -> set[str]:
    """The providers that an identifier, a text of one word or a text that is a list of names mentions. `DEMO_EMAIL` and
    the like are the demo user's, and a path below `/openai` is the service's own."""
    if name.startswith("/openai/"):
        return set()
    if set(name.split()) <= WORDS:
        return set(name.split())
    if " " in name or "\n" in name:
        return set()
    # `OllamaCandidate` is two words
    words = set(re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())) - {"demo"}
    return WORDS & {*words, name}


def test_no_provider_is_named_outside_its_folder() -> None:
    found = [
        f"{shown(path)}:{line} {name}"
        for path, source in PROGRAMS.items()
        if folder_of(path) is None and shown(path) not in {REGISTRY, *EXAMPLES}
        for line, name in names(source)
        # in the scripts, the demo is the user that `make run` creates
        if mentioned(name) - (set() if path in SOURCES else {"demo"})
    ]
    assert not found


@pytest.mark.parametrize(
    ("source", "provider"),
    [
        ('if provider == "ollama": ...', "ollama"),
        ('match provider:\n    case "claude": ...', "claude"),
        ('Name = Literal["gemini", "x"]', "gemini"),
        ('makers = {"openai": 1}', "openai"),
        ("def f(openai_api_key): ...", "openai"),
        ("settings.google_ai_api_key", "google"),
        ("replace(settings, ollama_model=1)", "ollama"),
        ('environ["ANTHROPIC_API_KEY"]', "anthropic"),
        ("class Settings:\n    claude_model: str", "claude"),
        ("def _ollama(self): ...", "ollama"),
        ('if "demo" in providers: ...', "demo"),
        ("class OllamaCandidate: ...", "ollama"),
        ('prefix = b"claude"', "claude"),
    ],
)
def test_no_way_of_naming_one_is_overlooked(source: str, provider: str) -> None:
    assert [mentioned(name) for _, name in names(source) if mentioned(name)] == [{provider}]


def test_a_list_of_names_in_one_text_is_not_overlooked() -> None:
    assert mentioned("gemini openai") == {"gemini", "openai"}


@pytest.mark.parametrize("name", ["openapi", "an OpenAI-compatible server", "claudette", "DEMO_EMAIL"])
def test_other_words_are_nobodys(name: str) -> None:
    assert not mentioned(name)


def test_only_the_registry_knows_the_folders_and_no_folder_another() -> None:
    foreign = [
        f"{shown(path)}: {name}"
        for path, source in SOURCES.items()
        for name in imports(source)
        if shown(path) != REGISTRY
        and re.match(rf"app\.providers\.({'|'.join(PROVIDERS.names)})\.", name)
        and name.split(".")[2] != folder_of(path)
    ]
    assert not foreign


@pytest.mark.parametrize("sdk", SDKS)
def test_an_sdk_is_imported_in_its_folder_only(sdk: str) -> None:
    users = {
        folder_of(path) for path, source in SOURCES.items() if sdk in {name.split(".")[0] for name in imports(source)}
    }
    assert users == {SDKS[sdk]}


@pytest.mark.parametrize("provider", PROVIDERS.names)
def test_a_folder_has_the_name_of_its_provider(provider: str) -> None:
    files = {file.name for file in (ROOT / "app/providers" / provider).iterdir()}
    assert {"__init__.py", "description.py", "chat.py"} <= files
