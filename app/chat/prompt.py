"""What a provider is asked, from what was said. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.messages import Message, Usage

CHARACTERS_PER_TOKEN = 4
"""English text in today's tokenizers; an estimate, used where no provider has counted."""
DEFAULT_OUTPUT_TOKENS = 4096
"""Kept free for the reply when nobody says how long it may get."""


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` is. Bytes, not characters: scripts other than Latin take more tokens a character."""
    return -(-len(text.encode()) // CHARACTERS_PER_TOKEN)


def build_prompt(
    history: Sequence[Message], content: str, *, context_tokens: int | None, max_tokens: int | None
) -> tuple[Message, ...]:
    """The messages for a model with this context: the new one, and as much of the newest history as fits."""
    asked = Message("user", content)
    if context_tokens is None:
        return (*history, asked)
    room = context_tokens - (max_tokens or DEFAULT_OUTPUT_TOKENS) - estimate_tokens(content)
    kept: list[Message] = []
    for message in reversed(history):
        room -= estimate_tokens(message.content)
        if room < 0:
            break
        kept.append(message)
    kept.reverse()
    while kept and kept[0].role == "assistant":  # a reply whose question did not fit
        kept.pop(0)
    return (*kept, asked)


def estimate_usage(messages: Sequence[Message], text: str) -> Usage:
    """Usage of a reply whose provider did not get to report it."""
    return Usage(sum(estimate_tokens(message.content) for message in messages), estimate_tokens(text))
