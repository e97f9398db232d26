"""Separates the reasoning that a model writes between tags at the beginning of its text from the rest of the text."""

from __future__ import annotations

from app.values import Delta, Reasoning

TAGS = {
    # Qwen, DeepSeek and most others; Claude; Gemini's OpenAI-compatible API; Mistral; Kimi; Seed
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    # gpt-oss on Bedrock
    "<reasoning>": "</reasoning>",
    "[THINK]": "[/THINK]",
    "◁think▷": "◁/think▷",
    "<seed:think>": "</seed:think>",
}
"""The tags at the beginning and the end of reasoning."""

Pieces = list[Delta | Reasoning]


class Opening:
    """Reads the text of one reply up to the end of its leading reasoning. Later tags are text.

    Blanks before the first tag and around the reasoning are left out. Reasoning without an end tag is all reasoning. An
    end tag alone is left out: servers that send the reasoning elsewhere may leave it in the text.
    """

    def __init__(self) -> None:
        self.over = False
        """Whether everything that follows is text."""
        self._read = self._before
        self._held = ""
        self._close = ""
        self._begun = False

    def read(self, text: str) -> Pieces:
        """The pieces of `text`. An end that may be part of a tag is held back until more text comes."""
        held, self._held = self._held + text, ""
        return self._read(held)

    def end(self) -> Pieces:
        """The text that was held back, unless it is blank."""
        self.over = True
        held, self._held = self._held, ""
        if not held.strip():
            return []
        return self._thought(held.rstrip()) if self._close else [Delta(held)]

    def _before(self, held: str) -> Pieces:
        start = held.lstrip()
        for tag, close in TAGS.items():
            if start.startswith(tag):
                self._close = close
                self._read = self._inside
                return self._inside(start[len(tag) :])
            if start.startswith(close):
                self._read = self._after
                return self._after(start[len(close) :])
            if tag.startswith(start) or close.startswith(start):  # also true when there are only blanks
                self._held = held
        return [] if self._held else self._text(held)

    def _inside(self, held: str) -> Pieces:
        thought, close, rest = held.partition(self._close)
        if close:
            self._close = ""
            self._read = self._after
            return [*self._thought(thought.rstrip()), *self._after(rest)]
        thought = held[: len(held) - _half(held, self._close)].rstrip()
        self._held = held[len(thought) :]
        return self._thought(thought)

    def _thought(self, text: str) -> Pieces:
        if not self._begun:
            text = text.lstrip()
            self._begun = bool(text)
        return [Reasoning(text)] if text else []

    def _after(self, held: str) -> Pieces:
        text = held.lstrip()
        return self._text(text) if text else []

    def _text(self, text: str) -> Pieces:
        self.over = True
        return [Delta(text)]


def _half(text: str, tag: str) -> int:
    """How many characters at the end of `text` may begin `tag`."""
    return next((size for size in range(len(tag) - 1, 0, -1) if text.endswith(tag[:size])), 0)
