"""Claude: settings, models and parts."""

from __future__ import annotations

from app.providers.base import Provider
from app.providers.description import Configuration, KnownModel, ProviderDescription, Setting, dollars
from app.values import ProviderName

NAME = ProviderName("claude")
API_KEY = Setting("ANTHROPIC_API_KEY", "key", aliases=("CLAUDE_API_KEY",))
BASE_URL = Setting("ANTHROPIC_BASE_URL", "url", default="https://api.anthropic.com", aliases=("CLAUDE_BASE_URL",))
MODEL = Setting("CLAUDE_MODEL", "model", aliases=("ANTHROPIC_MODEL",))


def _chat(configuration: Configuration) -> Provider:
    from app.providers.claude.chat import ClaudeProvider
    from app.providers.claude.client import make_client

    return ClaudeProvider(make_client(configuration))


CLAUDE = ProviderDescription(
    name=NAME,
    settings=(API_KEY, BASE_URL, MODEL),
    enabled_by=API_KEY,
    make=_chat,
    tasks=("code",),
    # From platform.claude.com/docs/en/models in November 2026. The first, the default, is the mid-range current model.
    models=(
        KnownModel("claude-sonnet-5-5", 1_000_000, 128_000, dollars(2.00, 0.10, 10.00)),
        KnownModel("claude-opus-5-5", 1_000_000, 128_000, dollars(4.00, 0.20, 20.00)),
        KnownModel("claude-haiku-5-5", 1_000_000, 128_000, dollars(0.10, 0.01, 0.50)),
    ),
    families=("claude-",),
    traced_as="anthropic",
)
