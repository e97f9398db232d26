"""Shapes a prompt so that every server accepts it: system text first, then user and assistant in alternation."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

import msgspec

from app.providers.call_ids import Accepts, WireIds, anything, parted
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


class Call(msgspec.Struct):
    """A tool call of the assistant, with the id that the server is sent and the signature that came with it."""

    id: str
    name: str
    arguments: str
    signature: str | None = None


class Result(msgspec.Struct):
    """What a tool call brought, by the id and the name of the call."""

    id: str
    name: str
    content: str


class Turn(msgspec.Struct):
    """All that one speaker says before the other one does. The user's results come before the text."""

    speaker: Speaker
    text: str = ""
    calls: list[Call] = msgspec.field(default_factory=list)
    results: list[Result] = msgspec.field(default_factory=list)
    reasoning: str = ""

    def add(self, text: str) -> None:
        """Add `text`, unless it is blank, with a blank line between it and what was said before."""
        if text.strip():
            self.text = f"{self.text}\n\n{text}" if self.text else text


def alternating(messages: Iterable[Message], steps: Steps, accepts: Accepts = anything) -> tuple[str, list[Turn]]:
    """The system text (empty when there is none) and the turns: the user's first, then in alternation.

    Consecutive messages of one speaker are joined with a blank line between them; the results of tools are the user's,
    in the order of their calls.
    Blank messages, such as a reply that was stopped early, are left out. A server is sent the ids that it `accepts`.
    """
    system: list[str] = []
    turns: list[Turn] = []
    ids = WireIds(accepts)
    called: dict[str, deque[Call]] = {}
    for message in messages:
        if message.role == "system":
            if message.content.strip():
                system.append(message.content)
            continue
        if not (message.content.strip() or message.tool_calls or message.role == "tool"):
            continue
        speaker: Speaker = "assistant" if message.role == "assistant" else "user"
        if not turns or turns[-1].speaker != speaker:
            turns.append(Turn(speaker))
        turn = turns[-1]
        if message.role == "tool":
            waiting = called.get(message.tool_call_id or "")
            # calls of one id are answered in their order
            call = waiting.popleft() if waiting else Call(ids.of(message.tool_call_id or ""), "tool", "")
            turn.results.append(Result(call.id, call.name, message.content))
            continue
        turn.add(message.content)
        turn.reasoning = turn.reasoning or message.reasoning
        for made in message.tool_calls:
            bare, signature = parted(made.id)
            call = Call(ids.of(bare), made.name, made.arguments, signature)
            called.setdefault(made.id, deque()).append(call)
            turn.calls.append(call)
    for calling, answering in pairwise(turns):
        # older servers know whose a result is by its place alone
        places = {call.id: place for place, call in enumerate(calling.calls)}
        answering.results.sort(key=lambda result: places.get(result.id, len(places)))
    if turns and turns[0].speaker == "assistant":
        turns.insert(0, Turn("user", OPENING))
    text = "\n\n".join(system)
    if text and turns and form(steps, SYSTEM, ("apart", "folded")) == "folded":
        turns[0].text = f"{text}\n\n{turns[0].text}" if turns[0].text else text
        text = ""
    return text, turns


def in_one_list(
    system: str,
    turns: Sequence[Turn],
    assistant: Callable[[Turn], dict[str, Any]],
    result: Callable[[Result], dict[str, Any]],
) -> list[dict[str, Any]]:
    """The same as one list, for formats in which the system text is the first message and each result one of its own.
    `assistant` makes what a message with calls has beside its text."""
    listed: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for turn in turns:
        listed += map(result, turn.results)
        if turn.calls:
            listed.append({"role": turn.speaker, "content": turn.text, **assistant(turn)})
        elif turn.text:
            listed.append({"role": turn.speaker, "content": turn.text})
    return listed


def arguments_of(arguments: str) -> dict[str, Any]:
    """The arguments of a call as an object, for formats that have one there. What a model wrote that is no object is
    under the name `arguments`."""
    value = json_in(arguments) if arguments.strip() else {}
    return value if isinstance(value, dict) else {"arguments": arguments}


def json_in(text: str) -> Any:
    """The value of the JSON text `text`; None when it is not JSON."""
    try:
        return json.loads(text, parse_constant=_refused)
    except (ValueError, RecursionError):
        return None


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")
