"""The kinds of files that can be read, by their name's end and by what senders call them."""

from __future__ import annotations

from pathlib import PurePosixPath

TEXT, MARKDOWN, HTML, PDF = "text/plain", "text/markdown", "text/html", "application/pdf"
CSV, TSV = "text/csv", "text/tab-separated-values"
_OFFICE = "application/vnd.openxmlformats-officedocument."
DOCX = _OFFICE + "wordprocessingml.document"
PPTX = _OFFICE + "presentationml.presentation"
XLSX = _OFFICE + "spreadsheetml.sheet"
EPUB = "application/epub+zip"

KINDS = "plain text, Markdown, HTML, PDF, DOCX, PPTX, XLSX, EPUB and CSV"

EXTENSIONS = {
    ".txt": TEXT,
    ".text": TEXT,
    ".md": MARKDOWN,
    ".markdown": MARKDOWN,
    ".html": HTML,
    ".htm": HTML,
    ".xhtml": HTML,
    ".pdf": PDF,
    ".docx": DOCX,
    ".pptx": PPTX,
    ".xlsx": XLSX,
    ".epub": EPUB,
    ".csv": CSV,
    ".tsv": TSV,
}
_CALLED = {kind: kind for kind in EXTENSIONS.values()} | {
    "text/x-markdown": MARKDOWN,
    "application/xhtml+xml": HTML,
    "application/csv": CSV,
}


def media_type_of(name: str, declared: str, data: bytes) -> str | None:
    """What a file is: by its first bytes, its name, or what the sender calls it. None when it cannot be read."""
    if data.startswith(b"%PDF-"):
        return PDF
    return EXTENSIONS.get(PurePosixPath(name.lower()).suffix) or _CALLED.get(declared.lower())
