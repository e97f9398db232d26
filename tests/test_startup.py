"""What a start says of the settings in use."""

from __future__ import annotations

import pytest

from app.settings import load_settings
from app.startup import in_use
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
