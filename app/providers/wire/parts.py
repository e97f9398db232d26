"""Parts: reads text and reasoning from the shapes that servers send: a string, an object or a list of parts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

# OpenAI's, Mistral's and Anthropic's parts, OpenRouter's `reasoning_details`, and OpenAI's `{"text": {"value": …}}`
_FIELDS = ("text", "thinking", "think", "thought", "reasoning", "summary", "content", "reasoning_content", "value")
_THOUGHT = re.compile("think|thought|reason")


def text_of(value: object) -> str:
    """All text in `value`, without images, audio and encrypted reasoning. A number is text, see `parts_of`."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(text_of, value))
    if value.__class__ in (int, float):
        return json.dumps(value)
    if isinstance(value, dict):
        return next((text for field in _FIELDS if (text := text_of(value.get(field)))), "")
    return ""


def is_thought(kind: object) -> bool:
    """Whether parts of the type `kind` are reasoning."""
    return isinstance(kind, str) and _THOUGHT.search(kind.lower()) is not None


def parts_of(value: object) -> Iterator[tuple[bool, str]]:
    """The parts of a message's content in order. Each is a pair: whether it is reasoning, and its text, never empty.

    A number is text, since Cloudflare writes the token `1` as a number. Raises `ValueError` when `value` is not empty
    and not a string, a number, an object or a list.
    """
    if isinstance(value, list):
        for part in value:
            if isinstance(part, str | dict):
                yield from parts_of(part)
    elif isinstance(value, dict):
        kind = value.get("type")
        thought = value.get("thought") is True or is_thought(kind)
        # parts of other kinds may also hold text, which is not meant for the user
        if (thought or not kind or "text" in str(kind).lower()) and (text := text_of(value)):
            yield thought, text
    elif isinstance(value, str):
        if value:
            yield False, value
    elif value.__class__ in (int, float):
        yield False, json.dumps(value)
    elif value:
        raise ValueError(f"the content is a {type(value).__name__}")
