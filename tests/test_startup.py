"""What a start says of the settings in use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.settings import load_settings
from app.startup import in_use
from scripts.notices import Notices
from tests.support.required_settings import REQUIRED

LOCAL = "Embeddings: local, since text-embedding-3-small needs OPENAI_API_KEY, which is not set"


@pytest.mark.parametrize(
    ("settings", "lines"),
    [
        ({}, ["Providers: none set, the offline demo answers", LOCAL]),
        (
            {"ANTHROPIC_API_KEY": "a-key", "CLAUDE_MODEL": "claude-next"},
            ["Providers: claude", "Models: claude-next of claude (from CLAUDE_MODEL)", LOCAL],
        ),
        (
            {"OPENAI_API_KEY": "a-key", "OLLAMA_BASE_URL": "http://127.0.0.1:11434"},
            [
                "Providers: openai, ollama",
                "Models: gpt-6.1-terra of openai (from Parley's list), "
                "the first that ollama lists, as OLLAMA_MODEL is not set",
                "Embeddings: text-embedding-3-small of openai (the default)",
            ],
        ),
        (
            {"EMBEDDING_MODEL": "local"},
            ["Providers: none set, the offline demo answers", "Embeddings: local (from EMBEDDING_MODEL)"],
        ),
    ],
)
def test_lines(settings: dict[str, str], lines: list[str]) -> None:
    assert in_use(load_settings({**REQUIRED, **settings})) == lines


@pytest.mark.parametrize(
    ("setting", "provider", "what"),
    [("OPENAI_API_KEY", "openai", "this key"), ("OLLAMA_BASE_URL", "ollama", "to answer without a key")],
)
def test_refusal_of_a_provider_is_told_once(tmp_path: Path, setting: str, provider: str, what: str) -> None:
    """An address that a setting holds is no key."""
    log = tmp_path / "api-1.log"
    line = {"event": "provider.key_refused", "setting": setting, "provider": provider, "status": 401}
    log.write_text(2 * (json.dumps(line) + "\n"))
    assert Notices().fresh(log) == [f"{setting}: {provider} refuses {what} (status 401); its message is in {log}"]
