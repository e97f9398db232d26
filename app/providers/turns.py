"""Shapes a prompt so that every server accepts it: system text first, then user and assistant in alternation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from app.providers.dialect import Option, Steps, form
from app.values import Message

Speaker = Literal["user", "assistant"]

OPENING = "(The conversation begins with your message.)"
"""The user message that is inserted before a conversation that begins with a message of the assistant."""

SYSTEM = Option(
    "system",
    # the words of Gemma's and Mistral's templates, of OpenAI's first reasoning models, and of Gemini's API for Gemma
    re.compile(
        r"system\W{0,3} ?(role|message|prompt|instruction)?s? (is |are )?(not|un)|support\w*( the)? \W?system|only user"
        r"|roles must alternate|roles must be|developer instruction|got \W?system|role\W+ ?system"
        # as pydantic lists the values of `role`
        r"|\brole\b(?=[^.]*(should|must|permitted|expected))[^.]*\buser\W{1,8}(or \W)?assistant\b(?!.*system)",
        re.IGNORECASE,
    ),
)
"""System text as a message of its own. A model that refuses it gets the text before the first user message."""


def alternating(messages: Iterable[Message], steps: Steps) -> tuple[str, list[tuple[Speaker, str]]]:
    """The system text (empty when there is none) and the messages: the user's first, then in alternation.

    Consecutive messages of one speaker are joined with a blank line between them. Blank messages, such as a reply that
    was stopped early, are left out.
    """
    system: list[str] = []
    turns: list[tuple[Speaker, str]] = []
    for message in messages:
        if not message.content.strip():
            continue
        if message.role == "system":
            system.append(message.content)
            continue
        speaker: Speaker = "assistant" if message.role == "assistant" else "user"
        if turns and turns[-1][0] == speaker:
            turns[-1] = (speaker, f"{turns[-1][1]}\n\n{message.content}")
        else:
            turns.append((speaker, message.content))
    if turns and turns[0][0] == "assistant":
        turns.insert(0, ("user", OPENING))
    text = "\n\n".join(system)
    if text and turns and form(steps, SYSTEM, ("apart", "folded")) == "folded":
        turns[0] = ("user", f"{text}\n\n{turns[0][1]}")
        text = ""
    return text, turns


def in_one_list(messages: Iterable[Message], steps: Steps) -> list[dict[str, str]]:
    """The same as one list, for formats in which the system text is the first message."""
    system, turns = alternating(messages, steps)
    listed = [{"role": role, "content": text} for role, text in turns]
    return [{"role": "system", "content": system}, *listed] if system else listed
