"""Cumulative text: recognises streams whose events each have all the text so far instead of the new text only."""

from __future__ import annotations

CERTAIN = 16
"""Characters. A second text that begins with a first one of this length repeats it."""


class Cumulative:
    """Reads the texts of one reply's events. Some of DashScope's models send cumulative text.

    If the first text is short and the second begins with it (`)` and `))`), the second is held until the third decides.
    """

    def __init__(self) -> None:
        self.over = False
        """The texts are not cumulative: no further ones need to be read here."""
        self._given = ""
        """The text returned so far."""
        self._held = ""
        self._repeats = False

    def read(self, text: str) -> str:
        """The new part of `text`."""
        before = self._held or self._given
        if self._repeats:
            return self._rest(text) if text.startswith(before) else text
        if not before:
            self._given = text
            return text
        if len(text) == len(before) or not text.startswith(before):
            self.over = True
            return self.end() + text
        if self._held or len(before) >= CERTAIN:
            self._repeats = True
            return self._rest(text)
        self._held = text
        return ""

    def end(self) -> str:
        """The text that is still held."""
        held, self._held = self._held, ""
        return held

    def _rest(self, text: str) -> str:
        rest, self._given, self._held = text[len(self._given) :], text, ""
        return rest
