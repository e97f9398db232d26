"""Separates the reasoning that a model writes between tags at the beginning of its text from the rest of the text."""

from __future__ import annotations

import re
from functools import cache

from app.values import Delta, Reasoning

TAGS = {
    # Qwen, DeepSeek and most others; Claude; Gemini's OpenAI-compatible API; models from fine-tuning guides
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    # gpt-oss on Bedrock
    "<reasoning>": "</reasoning>",
    # Mistral, Kimi, Seed, LongCat
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<seed:think>": "</seed:think>",
    "<longcat_think>": "</longcat_think>",
    # special tokens of gpt-oss, Gemma 4 and Command A, where the server leaves them in the text
    "<|channel|>analysis<|message|>": "<|end|>",
    "<|channel>thought": "<channel|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
}
"""The tags at the beginning and the end of reasoning. Upper and lower case are the same."""

LEADS = ("<|start|>assistant", "<|channel|>final<|message|>", "<|START_RESPONSE|>")
"""Special tokens before the text, which are left out."""

_FIRSTS = frozenset(tag[0] for tag in (*TAGS, *TAGS.values(), *LEADS))
"""How all of them begin."""

MOST_BLANKS = 1_000
"""The most blanks in a row that are left out. More are handed on, so that a reply of nothing but blanks is noticed."""

Pieces = list[Delta | Reasoning]


class Opening:
    """Reads the text of one reply up to the end of its leading reasoning. Later tags are text.

    Blanks before the first tag and around the reasoning are left out. Reasoning without an end tag is all reasoning. An
    end tag alone is left out: servers that send the reasoning elsewhere may leave it in the text.
    """

    def __init__(self) -> None:
        self.over = False
        """Whether everything that follows is text."""
        # functions, not methods, with which it would refer to itself
        self._read = Opening._before
        self._held = ""
        self._close = ""
        self._begun = False
        self._blanks = 0
        """The number of blanks that were left out after the reasoning."""

    def read(self, text: str) -> Pieces:
        """The pieces of `text`. An end that may be part of a tag is held back until more text comes."""
        held, self._held = self._held + text, ""
        return self._read(self, held)

    def end(self) -> Pieces:
        """The text that was held back, unless it is blank."""
        self.over = True
        held, self._held = self._held, ""
        if not held.strip():
            return []
        return self._thought(held.rstrip()) if self._close else [Delta(held)]

    def _before(self, held: str) -> Pieces:
        start = held.lstrip()
        if start and start[0] not in _FIRSTS:
            return self._text(held)
        if len(held) - len(start) > MOST_BLANKS:
            return self._text(held)
        waits = not start
        for tag, close in TAGS.items():
            if _begins(start, tag):
                self._close = close
                self._read = Opening._inside
                return self._inside(start[len(tag) :])
            if _begins(start, close):
                return self._ended(start[len(close) :])
            waits = waits or _may_begin(start, tag) or _may_begin(start, close)
        for lead in LEADS:
            if _begins(start, lead):
                return self._before(start[len(lead) :])
            waits = waits or _may_begin(start, lead)
        if waits:
            self._held = held
            return []
        return self._text(held)

    def _inside(self, held: str) -> Pieces:
        if found := _ignoring_case(self._close).search(held):
            pieces = self._thought(held[: found.start()].rstrip())
            return pieces + self._ended(held[found.end() :])
        whole = held[: len(held) - _half(held, self._close)]
        thought = whole.rstrip()
        if len(whole) - len(thought) > MOST_BLANKS:
            thought = whole
        self._held = held[len(thought) :]
        return self._thought(thought)

    def _thought(self, text: str) -> Pieces:
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return [Reasoning(text)] if text else []

    def _ended(self, held: str) -> Pieces:
        self._close = ""
        self._read = Opening._after
        return self._after(held)

    def _after(self, held: str) -> Pieces:
        text = held.lstrip()
        self._blanks += len(held) - len(text)
        if not text:
            return self._text(held) if self._blanks > MOST_BLANKS else []
        for lead in LEADS:
            if _begins(text, lead):
                return self._after(text[len(lead) :])
        if any(_may_begin(text, lead) for lead in LEADS):
            self._held = text
            return []
        return self._text(text)

    def _text(self, text: str) -> Pieces:
        self.over = True
        return [Delta(text)]


def _begins(text: str, tag: str) -> bool:
    return text[: len(tag)].lower() == tag.lower()


def _may_begin(text: str, tag: str) -> bool:
    """Whether `text` is the beginning of `tag`, so that the rest of the tag may follow."""
    return len(text) < len(tag) and tag.lower().startswith(text.lower())


def _half(text: str, tag: str) -> int:
    """How many characters at the end of `text` may begin `tag`."""
    longest = min(len(text), len(tag) - 1)
    return next((size for size in range(longest, 0, -1) if _may_begin(text[-size:], tag)), 0)


@cache
def _ignoring_case(tag: str) -> re.Pattern[str]:
    return re.compile(re.escape(tag), re.IGNORECASE | re.ASCII)
