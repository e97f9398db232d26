"""Shapes a prompt for the wires that want the system text apart and turns that alternate: Claude's and Gemini's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from app.messages import Message

Speaker = Literal["user", "assistant"]

OPENING = "(The conversation begins with your message.)"
"""Said by the user before a conversation whose first message is the assistant's."""


def alternating(messages: Iterable[Message]) -> tuple[str, list[tuple[Speaker, str]]]:
    """The system text, empty when there is none, and the turns: the user first, then in alternation.

    Messages of one speaker in a row are joined by a blank line. Blank messages are left out, since both APIs
    refuse them, and a stopped reply may be one.
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
    return "\n\n".join(system), turns
