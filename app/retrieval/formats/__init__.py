"""Files into text, by a library each. Runs in a worker process only: what arrives here is anybody's, see `reader`."""

from __future__ import annotations

from app.retrieval.clean import cleaned
from app.retrieval.formats.text import Text, TooLarge, Unreadable, decoded
from app.retrieval.media_types import CSV, DOCX, EPUB, HTML, MARKDOWN, PDF, PPTX, TSV, XLSX

__all__ = ["Text", "TooLarge", "Unreadable", "read"]


def read(data: bytes, media_type: str, charset: str | None, max_characters: int) -> Text:
    """The text of `data`. Raises `Unreadable`. Each library is imported when a file needs it."""
    text = _read(data, media_type, charset, max_characters)
    if not text.content.strip():
        raise Unreadable("The document has no text." + (" Is it a scan?" if media_type == PDF else ""))
    if len(text.content) > max_characters:
        raise TooLarge
    return text


def _read(data: bytes, media_type: str, charset: str | None, max_characters: int) -> Text:
    if media_type == PDF:
        from app.retrieval.formats.pdf import pdf

        return pdf(data, max_characters)
    if media_type == HTML:
        from app.retrieval.formats.html import html

        return html(data, charset)
    if media_type == DOCX:
        from app.retrieval.formats.office import docx

        return docx(data)
    if media_type == PPTX:
        from app.retrieval.formats.office import pptx

        return pptx(data, max_characters)
    if media_type == XLSX:
        from app.retrieval.formats.spreadsheet import xlsx

        return xlsx(data, max_characters)
    if media_type == EPUB:
        from app.retrieval.formats.epub import epub

        return epub(data, max_characters)
    if media_type in (CSV, TSV):
        from app.retrieval.formats.tables import csv_table

        return csv_table(decoded(data, charset), "\t" if media_type == TSV else None, max_characters)
    return Text(cleaned(decoded(data, charset)), "markdown" if media_type == MARKDOWN else "plain")
