"""Tells events that each bring all the text so far from events that bring what is new, which nearly all do."""

from __future__ import annotations

CERTAIN = 16
"""Characters. A second text that begins with so long a first one repeats it."""


class Cumulative:
    """Reads the text of the events of one reply, as DashScope sends it at times: all of it with every event.

    A second text that begins with a short first one, such as `)` and `))`, is held until the third one decides.
    """

    def __init__(self) -> None:
        self.over = False
        """Whether what comes is new text, as it is."""
        self._given = ""
        """The text that was given out."""
        self._held = ""
        self._repeats = False

    def read(self, text: str) -> str:
        """What is new in `text`."""
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
        """What was held."""
        held, self._held = self._held, ""
        return held

    def _rest(self, text: str) -> str:
        rest, self._given, self._held = text[len(self._given) :], text, ""
        return rest
