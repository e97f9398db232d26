"""Word documents and presentations into Markdown."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from typing import Any
from xml.etree import ElementTree

from app.retrieval.clean import cleaned
from app.retrieval.formats.html import page
from app.retrieval.formats.tables import cell_text, in_one_line, lines_of, markdown_table, spread
from app.retrieval.formats.text import Text, TooLarge, Unreadable

_TITLE = ".//{http://purl.org/dc/elements/1.1/}title"
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PLAINER = [
    (re.compile(pattern, re.DOTALL), instead)
    for pattern, instead in (
        (rb"</?w:fldSimple\b[^<>]*>", b""),
        (rb"<w:(rt|rubyPr)>(?:(?!<w:\1>).)*?</w:\1>|</?w:ruby(?:Base)?>", b""),
        (rb"<(/?)m:([rt])\b", rb"<\1w:\2"),
        (rb"</?m:[^<>]*>", b""),
    )
]
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_DIAGRAM = "{http://schemas.openxmlformats.org/drawingml/2006/diagram}relIds"
_DATA = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}dm"
# the container of protected files, and of those that Office wrote before 2007
_OLD_OR_PROTECTED = b"\xd0\xcf\x11\xe0"


def docx(data: bytes) -> Text:
    """The text of a Word document, with its headings, lists, tables, footnotes, text boxes, and what stands above and
    below its pages. Raises `Unreadable`."""
    import mammoth

    _require_open_package(data, "Word document (.docx)")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # pictures are left out: a page's source would carry all their bytes
            converted = mammoth.convert_to_html(
                _plainer(archive), convert_image=lambda _: [], style_map="p[style-name='Title'] => h1:fresh"
            )
            title = _title(archive)
            above, below = (_margins(archive, kind) for kind in ("header", "footer"))
    except Exception as error:
        raise Unreadable("The file is not a readable Word document (.docx).") from error
    text = page(converted.value)
    return Text("\n\n".join(filter(None, (*above, text.content, *below))), "markdown", title or text.title)


def _plainer(archive: zipfile.ZipFile) -> io.BytesIO:
    """The document in simpler elements, where it has some that mammoth leaves out with their text: simple fields,
    words with their reading above them, formulas."""
    copied = io.BytesIO()
    with zipfile.ZipFile(copied, "w") as copy:
        for name in archive.namelist():
            if not name.startswith("word/media/"):
                part = archive.read(name)
                if name.startswith("word/") and name.endswith(".xml"):
                    for elements, instead in _PLAINER:
                        part = elements.sub(instead, part)
                copy.writestr(name, part)
    return copied


def _margins(archive: zipfile.ZipFile, kind: str) -> list[str]:
    """The paragraphs of the document's headers or footers, each once."""
    parts = sorted(name for name in archive.namelist() if re.fullmatch(rf"word/{kind}\d*\.xml", name))
    roots = (ElementTree.fromstring(archive.read(name)) for name in parts)  # noqa: S314 - in the worker
    lines = (
        "".join(text.text or "" for text in line.iter(f"{_WORD}t")) for root in roots for line in root.iter(f"{_WORD}p")
    )
    return list(dict.fromkeys(cleaned(line).strip() for line in lines))


def pptx(data: bytes, max_characters: int) -> Text:
    """The text of a presentation: its slides are the pages, each with its tables and notes. Raises `Unreadable`."""
    import pptx as library

    _require_open_package(data, "presentation (.pptx)")
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    try:
        presentation = library.Presentation(io.BytesIO(data))
        for slide in presentation.slides:
            starts.append(length)
            part = cleaned("\n\n".join(filter(None, _slide(slide)))) + "\n\n"
            parts.append(part)
            length += len(part)
            if length > max_characters:
                raise TooLarge
        title = presentation.core_properties.title
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable("The file is not a readable presentation (.pptx).") from error
    return Text("".join(parts), "markdown", title or None, starts, sum(not part.strip() for part in parts))


def _slide(slide: Any) -> Iterator[str]:
    title = slide.shapes.title
    if title is not None and title.has_text_frame and title.text_frame.text.strip():
        yield "## " + " ".join(title.text_frame.text.split())
    yield from _shapes(slide.shapes, None if title is None else title.shape_id)
    if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
        yield frame.text.strip()


def _shapes(shapes: Any, title_id: int | None) -> Iterator[str]:
    for shape in shapes:
        if shape.shape_id == title_id:
            continue
        if hasattr(shape, "shapes"):  # a group
            yield from _shapes(shape.shapes, title_id)
        elif getattr(shape, "has_table", False):
            yield _table(shape.table)
        elif getattr(shape, "has_chart", False):
            yield from _as_far_as_readable(_chart(shape.chart))
        elif shape.has_text_frame:
            yield "\n\n".join(text for line in shape.text_frame.paragraphs if (text := line.text.strip()))
        else:
            yield from _as_far_as_readable(_diagram(shape))


def _as_far_as_readable(texts: Iterator[str]) -> Iterator[str]:
    """The texts up to the first that cannot be read: a strange chart does not cost the rest of the presentation."""
    with suppress(ValueError, LookupError, AttributeError, TypeError, ElementTree.ParseError):
        yield from texts


def _table(table: Any) -> str:
    rows = [[cell.text for cell in row.cells] for row in table.rows]
    cells = ((place, column, cell) for place, row in enumerate(table.rows) for column, cell in enumerate(row.cells))
    spread(
        rows,
        [
            ((place, column), (place + cell.span_height - 1, column + cell.span_width - 1))
            for place, column, cell in cells
            if cell.is_merge_origin
        ],
    )
    return markdown_table(rows)


def _chart(chart: Any) -> Iterator[str]:
    """What a chart shows: its title, and its series beside their categories."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield chart.chart_title.text_frame.text.strip()
    for plot in chart.plots:
        series = list(plot.series)
        names = list(plot.categories) or [float(point.text) for point in plot._element.xpath("c:ser[1]/c:xVal//c:v")]
        values = zip_longest(names, *(one.values for one in series))
        rows = [["", *(one.name for one in series)], *(list(map(cell_text, row)) for row in values)]
        yield "\n".join(lines_of([[in_one_line(cell) for cell in row] for row in rows]))


def _diagram(shape: Any) -> Iterator[str]:
    """The texts of a diagram (SmartArt), which are in a part of their own."""
    for relations in shape.element.iter(_DIAGRAM):
        diagram = ElementTree.fromstring(shape.part.related_part(relations.get(_DATA)).blob)  # noqa: S314 - in the worker
        for paragraph in diagram.iter(f"{_DRAWING}p"):
            yield "".join(text.text or "" for text in paragraph.iter(f"{_DRAWING}t"))


def _title(archive: zipfile.ZipFile) -> str | None:
    try:
        return ElementTree.fromstring(archive.read("docProps/core.xml")).findtext(_TITLE)  # noqa: S314 - in the worker
    except (KeyError, ElementTree.ParseError):
        return None


def _require_open_package(data: bytes, kind: str) -> None:
    if data.startswith(_OLD_OR_PROTECTED):
        raise Unreadable(f"The file is protected by a password, or older than a {kind}: save it as one without.")
    if not zipfile.is_zipfile(io.BytesIO(data)):
        raise Unreadable(f"The file is not a readable {kind}.")
