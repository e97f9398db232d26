"""Templates: the events of a reply's text differ by nothing but the text, so that most need no parser."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from app.errors import ProviderError

LESSONS = 4
"""How many events of a reply are tried as a template: some providers write the time, or noise, into each."""


class Template:
    """The bytes around the text of an event, by which the text of others is read.

    An event is read by it only if it has the same bytes around one JSON string without escapes. Such an event means
    the same as the one that the template is of, but for the string: JSON has no other way to read it.
    """

    __slots__ = ("_begin", "_end", "_first", "_last")

    def __init__(self, begin: bytes, end: bytes) -> None:
        self._begin = begin
        self._end = end
        self._first, self._last = len(begin), -len(end)

    @classmethod
    def of(cls, payload: bytes, text: str, said_in: Callable[[bytes], list[str]]) -> Template | None:
        """A template of the event `payload`, which said `text`. None if the text does not stand in it once, as a
        string, or if `said_in`, which reads an event, does not read another text in its place as that text."""
        if b"\\" in payload:
            return None
        said = text.encode()
        begin, found, end = payload.partition(b'"%b"' % said)
        if not found or found in end:
            return None
        try:
            other = said_in(b'%b"~%b"%b' % (begin, said, end))
        except (msgspec.DecodeError, ProviderError):
            return None
        return cls(begin + b'"', b'"' + end) if other == [f"~{text}"] else None

    def around(self, payload: bytes, read: bytes) -> Template | None:
        """The template of a read with one event, which was `payload`; None if that is not read by this one."""
        if not self.text(payload):
            return None
        before, _, after = read.partition(payload)
        return Template(before + self._begin, self._end + after)

    def text(self, event: bytes) -> str:
        """The text of an event of this form; empty for any other event, and for a text that has escapes."""
        if not (event.startswith(self._begin) and event.endswith(self._end)):
            return ""
        try:
            text = event[self._first : self._last].decode()
        except UnicodeDecodeError:
            return ""
        # JSON writes quotes, backslashes and control characters as escapes
        return text if text.isprintable() and '"' not in text and "\\" not in text else ""
