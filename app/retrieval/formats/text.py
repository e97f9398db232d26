"""What a file's text is, why there may be none, and bytes into text by their charset."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

import msgspec

from app.retrieval.chunk import Structure

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

    def __init__(self, message: str = "The document holds too much text.") -> None:
        super().__init__(message)


class Text(msgspec.Struct, frozen=True):
    """The text of a file, the title that the file itself has, and where its pages begin if it has pages."""

    content: str
    structure: Structure
    title: str | None = None
    page_starts: Sequence[int] = ()
    pages_without_text: int = 0
    """Of its pages: pictures of text, most likely."""


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
