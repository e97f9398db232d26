"""Shapes a prompt so that every server takes it: system text first, then the user and the assistant in alternation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from app.providers.dialect import Option, Steps, form
from app.values import Message

Speaker = Literal["user", "assistant"]

OPENING = "(The conversation begins with your message.)"
"""Said by the user before a conversation whose first message is the assistant's."""

SYSTEM = Option(
    "system",
    # as Gemma's and Mistral's templates say it, OpenAI's first reasoning models, and Gemini of Gemma
    re.compile(
        r"system\W{0,3} ?(role|message|prompt|instruction)?s? (is |are )?(not|un)|support\w*( the)? \W?system|only user"
        r"|roles must alternate|roles must be|developer instruction|got \W?system|role\W+ ?system",
        re.IGNORECASE,
    ),
)
"""System text of its own. Where it is refused, it stands before the user's first words."""


def alternating(messages: Iterable[Message], steps: Steps) -> tuple[str, list[tuple[Speaker, str]]]:
    """The system text, empty when there is none, and the turns: the user first, then in alternation.

    Messages of one speaker in a row are joined by a blank line. Blank ones are left out: a stopped reply may be blank.
    """
    system: list[str] = []
    turns: list[tuple[Speaker, str]] = []
    for message in messages:
        if not message.content.strip():
            continue
        if message.role == "system":
            system.append(message.content)
        elif turns and turns[-1][0] == message.role:
            turns[-1] = (message.role, f"{turns[-1][1]}\n\n{message.content}")
        else:
            turns.append((message.role, message.content))
    if turns and turns[0][0] == "assistant":
        turns.insert(0, ("user", OPENING))
    text = "\n\n".join(system)
    if text and turns and form(steps, SYSTEM, ("apart", "folded")) == "folded":
        turns[0] = ("user", f"{text}\n\n{turns[0][1]}")
        text = ""
    return text, turns


def in_one_list(messages: Iterable[Message], steps: Steps) -> list[dict[str, str]]:
    """The same for wires whose system text is the first message."""
    system, turns = alternating(messages, steps)
    listed = [{"role": role, "content": text} for role, text in turns]
    return [{"role": "system", "content": system}, *listed] if system else listed
