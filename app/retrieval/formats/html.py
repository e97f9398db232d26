"""Pages into Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from html_to_markdown import ConversionOptions, ConversionResult, PreprocessingOptions, convert

from app.retrieval.clean import cleaned
from app.retrieval.formats.markup import plainer
from app.retrieval.formats.tables import lines_of, spread
from app.retrieval.formats.text import Text, decoded

if TYPE_CHECKING:
    from html_to_markdown._html_to_markdown import GridCell

_DECLARED_CHARSET = re.compile(
    rb"""<(?:meta[^>]{0,200}charset|\?xml[^>]{0,100}encoding)\s*=\s*["']?([a-zA-Z0-9_:.-]{1,40})""", re.IGNORECASE
)
_EMPTY = re.compile(r"<([a-zA-Z][\w:.-]*)((?:\s[^<>]*)?)/>")
MOST_SPANNED = 100_000
"""Places in a table that its merged cells reach over; with more it stays as it is."""
_SPAN = re.compile(r"\b(?:row|col)span\s*=", re.IGNORECASE)
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"}


def html(data: bytes, charset: str | None) -> Text:
    """The text of a page, in the charset that its sender or else the page itself names. Raises `Unreadable`."""
    return xhtml(data, charset) if b"<?xml" in data[:100] else page(_source(data, charset), layouts=True)


def xhtml(data: bytes, charset: str | None = None) -> Text:
    """The text of a page of XML. Raises `Unreadable`."""
    return page(_EMPTY.sub(_in_html, _source(data, charset)), layouts=True)


def _source(data: bytes, charset: str | None) -> str:
    if charset is None and (declared := _DECLARED_CHARSET.search(data[:4096])):
        charset = declared[1].decode()
        if charset.lower().startswith("utf-16"):
            charset = None  # a declaration that can be read byte by byte is not in it
    return decoded(data, charset)


def _in_html(empty: re.Match[str]) -> str:
    """An empty element as HTML has it: there `<title/>` only begins a title, which takes all that follows."""
    return empty[0] if empty[1].lower() in _VOID else f"<{empty[1]}{empty[2]}></{empty[1]}>"


def page(source: str, *, layouts: bool = False) -> Text:
    """The text of a page's source, as Markdown. `layouts`: see `markup.plainer`."""
    source = plainer(cleaned(source), layouts=layouts)
    options = ConversionOptions(
        extract_metadata=True,
        skip_images=True,
        # pads no cells: blanks are tokens
        compact_tables=True,
        include_document_structure=_SPAN.search(source) is not None,
        exclude_selectors=["template", "noscript", "svg", "iframe", "object"],
        # a form keeps its text: every page of ASP.NET Web Forms is one
        preprocessing=PreprocessingOptions(enabled=True, remove_navigation=True, remove_forms=False),
        max_depth=500,
    )
    result = convert(source, options)
    title = result.metadata.document.title if result.metadata is not None else None
    content = cleaned(_with_whole_tables(result))
    if content.startswith("---\n") and (end := content.find("\n---\n")) >= 0:
        content = content[end + 5 :]  # the page's metadata, which is no text of it
    return Text(content.strip("\n"), "markdown", title)


def _with_whole_tables(result: ConversionResult) -> str:
    """The content; in its tables each merged cell stands in all rows and columns that it reaches, and the rows of a
    header are one."""
    content = result.content or ""
    parts: list[str] = []
    done = 0
    for table in result.tables:
        cells = table.grid.cells
        source = table.markdown[max(0, table.markdown.find("| ")) :].strip()
        at = content.find(source, done)
        spanned = sum(cell.row_span * cell.col_span for cell in cells) - len(cells)
        # in a list or a quotation marks stand before each line
        if at >= 0 and 0 < spanned <= MOST_SPANNED:
            parts += (content[done:at], "\n".join(lines_of(_whole(cells))))
            done = at + len(source)
    return "".join(parts) + content[done:]


def _whole(cells: Sequence[GridCell]) -> list[list[str]]:
    """The rows of a table, the first of them its header.

    The cells are in order, but their columns do not count what reaches into their row from above (3.21).
    """
    rows: list[list[str]] = []
    merged: list[tuple[tuple[int, int], tuple[int, int]]] = []
    taken: set[tuple[int, int]] = set()
    body = max((cell.row for cell in cells), default=0) + 1
    for cell in cells:
        rows += ([] for _ in range(cell.row + 1 - len(rows)))
        row, column = cell.row, len(rows[cell.row])
        while (row, column) in taken:
            rows[row].append("")
            column += 1
        bottom, right = row + cell.row_span - 1, column + cell.col_span - 1
        rows[row] += [" ".join(cell.content.split()), *[""] * (right - column)]
        taken.update((below, across) for below in range(row + 1, bottom + 1) for across in range(column, right + 1))
        if bottom > row or right > column:
            merged.append(((row, column), (bottom, right)))
        if not cell.is_header:
            body = min(body, row)
    width = max(map(len, rows))
    for line in rows:
        line += [""] * (width - len(line))
    spread(rows, merged)
    height = max(1, body)
    header = [" ".join(dict.fromkeys(filter(None, column))) for column in zip(*rows[:height], strict=True)]
    return [header, *rows[height:]]
