"""Word documents and presentations into Markdown."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

from app.retrieval.clean import cleaned
from app.retrieval.formats.html import page
from app.retrieval.formats.tables import markdown_table
from app.retrieval.formats.text import Text, TooLarge, Unreadable

_TITLE = ".//{http://purl.org/dc/elements/1.1/}title"
# the container of protected files, and of those that Office wrote before 2007
_OLD_OR_PROTECTED = b"\xd0\xcf\x11\xe0"


def docx(data: bytes) -> Text:
    """The text of a Word document, with its headings, lists, tables and footnotes. Raises `Unreadable`."""
    import mammoth

    _require_open_package(data, "Word document (.docx)")
    try:
        # pictures are left out: a page's source would carry all their bytes
        converted = mammoth.convert_to_html(io.BytesIO(data), convert_image=lambda _: [])
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            title = _title(archive)
    except Exception as error:
        raise Unreadable("The file is not a readable Word document (.docx).") from error
    text = page(converted.value)
    return Text(text.content, "markdown", title or text.title)


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
            yield markdown_table([[cell.text for cell in row.cells] for row in shape.table.rows])
        elif shape.has_text_frame:
            yield "\n\n".join(text for line in shape.text_frame.paragraphs if (text := line.text.strip()))


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
