"""Pages' source before it is converted: filled forms become text, and tables that only lay out a page become blocks."""

from __future__ import annotations

import re
from html import escape, unescape

# each begins with a sign and then always matches, to the end of the page if need be: what has no end is not looked for
# again from every other place where it begins
_PIECES = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|textarea)\b.*?(?:</\1\s*>|\Z)"
    r"|(?P<select><select\b.*?(?P<closed></select\s*>|\Z))"
    r"|(?P<input><input\b[^>]*(?:>|\Z))"
    r"|<(?P<end>/?)(?P<table>table|caption|colgroup|col|thead|tbody|tfoot|tr|th|td)\b[^>]*(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_OPTION = re.compile(
    r"<option\b([^<>]*)>((?:(?!</?(?:option|optgroup|select)\b).)*)(?:</option\s*>)?", re.I | re.DOTALL
)
_ATTRIBUTE = re.compile(r"""([a-z][\w-]*)(?:\s*=\s*("[^"]*"|'[^']*'|[^\s>"']+))?""", re.IGNORECASE)
_UNSEEN = ("hidden", "password", "file", "image", "submit", "reset", "button")
"""Kinds of inputs that hold nothing that somebody has filled in, or nothing that is shown."""


def plainer(source: str, *, layouts: bool) -> str:
    """`source` with the values of its fields as text. `layouts`: a table without headings that holds another one lays
    out the page, and its cells become blocks of their own."""
    pieces = list(_PIECES.finditer(source))
    outer = _layouts(pieces) if layouts else set()
    parts: list[str] = []
    done = 0
    for place, piece in enumerate(pieces):
        if place in outer:
            instead = f"<{piece['end']}div>"
        elif piece["input"]:
            instead = _value(piece["input"])
        elif piece["closed"]:
            instead = _chosen(piece["select"])
        else:
            continue
        parts += (source[done : piece.start()], instead)
        done = piece.end()
    return "".join(parts) + source[done:]


def _layouts(pieces: list[re.Match[str]]) -> set[int]:
    """The places of the tags that belong to tables for layout."""
    found: set[int] = set()
    open_tables: list[_Open] = []
    for place, piece in enumerate(pieces):
        name = (piece["table"] or "").lower()
        if not name:
            continue
        if name == "table" and not piece["end"]:
            if open_tables:
                open_tables[-1].nested = True
            open_tables.append(_Open())
        if open_tables:
            innermost = open_tables[-1]
            innermost.tags.append(place)
            innermost.headed = innermost.headed or name in ("th", "thead")
        if name == "table" and piece["end"] and open_tables:
            closed = open_tables.pop()
            if closed.nested and not closed.headed:
                found.update(closed.tags)
    return found


class _Open:
    """A table whose end has not been read yet."""

    def __init__(self) -> None:
        self.tags: list[int] = []
        self.nested = False
        self.headed = False


def _value(tag: str) -> str:
    """What an input shows."""
    attributes = _attributes(tag)
    kind = attributes.get("type", "text").lower()
    if kind in ("checkbox", "radio"):
        return " [x] " if "checked" in attributes else " [ ] "
    return "" if kind in _UNSEEN else f" {escape(attributes.get('value', ''))} "


def _chosen(select: str) -> str:
    """What is chosen in a list; all of it where nothing is."""
    options = [(("selected" in _attributes(found[1])), found[2].strip()) for found in _OPTION.finditer(select)]
    chosen = [text for selected, text in options if selected] or [text for _, text in options]
    return f" {', '.join(filter(None, chosen))} "


def _attributes(tag: str) -> dict[str, str]:
    return {found[1].lower(): unescape((found[2] or "").strip("\"'")) for found in _ATTRIBUTE.finditer(tag)}
