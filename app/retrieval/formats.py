"""Files into text, by a library each. Runs in a worker process only: what arrives here is anybody's, see `reader`."""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence

import msgspec

from app.retrieval.chunk import Structure
from app.retrieval.clean import cleaned

TEXT, MARKDOWN, HTML, PDF = "text/plain", "text/markdown", "text/html", "application/pdf"
MAX_PAGES = 5000

_DECLARED_CHARSET = re.compile(
    rb"""<(?:meta[^>]{0,200}charset|\?xml[^>]{0,100}encoding)\s*=\s*["']?([a-zA-Z0-9_:.-]{1,40})""", re.IGNORECASE
)
_BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MEANT = {
    **dict.fromkeys(("iso-8859-1", "latin-1", "latin1", "us-ascii", "ascii"), "windows-1252"),
    **dict.fromkeys(("gb2312", "gbk"), "gb18030"),
    **dict.fromkeys(("shift_jis", "shift-jis", "x-sjis"), "cp932"),
    **dict.fromkeys(("euc-kr", "ks_c_5601-1987"), "cp949"),
}
"""What pages mean that name these: https://encoding.spec.whatwg.org/#names-and-labels."""


class Unreadable(Exception):
    """The file cannot be indexed; the message says why, in words for its owner."""


class TooLarge(Unreadable):
    """The file holds more text than a document may."""


class Text(msgspec.Struct, frozen=True):
    """The text of a file, the title that the file itself has, and where its pages begin if it has pages."""

    content: str
    structure: Structure
    title: str | None = None
    page_starts: Sequence[int] = ()


def read(data: bytes, media_type: str, charset: str | None, max_characters: int) -> Text:
    """The text of `data`. Raises `Unreadable`."""
    if media_type == PDF:
        text = _pdf(data, max_characters)
    elif media_type == HTML:
        text = _html(data, charset)
    else:
        structure: Structure = "markdown" if media_type == MARKDOWN else "plain"
        text = Text(cleaned(decoded(data, charset)), structure)
    if not text.content.strip():
        raise Unreadable("The document has no text." + (" Is it a scan?" if media_type == PDF else ""))
    if len(text.content) > max_characters:
        raise TooLarge("The document holds too much text.")
    return text


def decoded(data: bytes, charset: str | None) -> str:
    """`data` as text: by its byte order mark, by `charset`, else as UTF-8. Raises `Unreadable`."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            charset = encoding
    charset = charset or "utf-8"
    try:
        return data.decode(_text_codec(_MEANT.get(charset.lower(), charset)))
    except UnicodeError:
        raise Unreadable(f"The document is not valid {charset.upper()} text; name its charset.") from None


def _text_codec(charset: str) -> str:
    try:
        codec = codecs.lookup(charset)
    except LookupError:
        raise Unreadable("The document's charset is unknown.") from None
    # "zip" and the like are codecs too
    if not codec._is_text_encoding:
        raise Unreadable("The document's charset is unknown.")
    return codec.name


def _html(data: bytes, charset: str | None) -> Text:
    from html_to_markdown import ConversionOptions, PreprocessingOptions, convert

    if charset is None and (declared := _DECLARED_CHARSET.search(data[:4096])):
        charset = declared[1].decode()
        if charset.lower().startswith("utf-16"):
            charset = None  # a declaration that can be read byte by byte is not in it
    options = ConversionOptions(
        extract_metadata=True,
        skip_images=True,
        exclude_selectors=["template", "noscript", "svg", "iframe", "object"],
        preprocessing=PreprocessingOptions(enabled=True, remove_navigation=True, remove_forms=True),
        max_depth=500,
    )
    result = convert(cleaned(decoded(data, charset)), options)
    title = result.metadata.document.title if result.metadata is not None else None
    content = cleaned(result.content or "")
    if content.startswith("---\n") and (end := content.find("\n---\n")) >= 0:
        content = content[end + 5 :]  # the page's metadata, which is no text of it
    return Text(content.strip("\n"), "markdown", title)


def _pdf(data: bytes, max_characters: int) -> Text:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unreadable("The PDF is protected by a password.") from None
        raise Unreadable("The file is not a readable PDF.") from None
    if len(document) > MAX_PAGES:
        raise TooLarge(f"A PDF has at most {MAX_PAGES} pages.")
    parts: list[str] = []
    starts: list[int] = []
    length = 0
    for number in range(len(document)):
        starts.append(length)
        try:
            page = document[number]
            left, bottom, right, top = page.get_bbox()
            if page.get_rotation() in (90, 270):
                # some writers turn a page's box with the page, but not what they write into it: it may stand outside
                right = left + max(right - left, top - bottom)
                top = bottom + right - left
            raw = page.get_textpage().get_text_bounded(left, bottom, right, top)
            page.close()
        except pypdfium2.PdfiumError:
            raw = ""  # a broken page does not cost the others
        # U+FFFE is what pdfium makes of a hyphen at the end of a line
        part = cleaned(raw.replace("\ufffe\r\n", "").replace("\ufffe", "")).strip() + "\n\n"
        parts.append(part)
        length += len(part)
        if length > max_characters:
            raise TooLarge("The document holds too much text.")
    title = document.get_metadata_dict().get("Title")
    # what libraries write where nobody gave one
    named = bool(title) and title.strip().lower() not in ("untitled", "(anonymous)")
    return Text("".join(parts), "plain", title if named else None, starts)
