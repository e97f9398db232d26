"""PDFs into text: words that a line's end divides, paragraphs, filled forms, pages that are only pictures."""

from __future__ import annotations

import re
from collections.abc import Callable

import pypdfium2

from app.retrieval.clean import cleaned
from app.retrieval.formats.hyphens import joiner
from app.retrieval.formats.pdf_forms import filled_in
from app.retrieval.formats.text import Text, TooLarge, Unreadable

MAX_PAGES = 5000
PARAGRAPH_LEADING = 1.35
"""Lines further apart than this many times the page's usual distance belong to different paragraphs."""

# pdfium joins a line that ends with a hyphen to the next one and gives U+0002 for the hyphen, whether it divides a word
# or belongs to it (pypdfium2 5.15, get_text_bounded; get_text_range gives U+FFFE)
_DIVIDED = re.compile("[^\\s\x02]*(?:\x02[^\\s\x02]*)+")
_SOFT_HYPHEN_AT_END = re.compile("\u00ad[ \t]*\r?\n[ \t]*")
_HYPHEN_AT_END = re.compile("(?<=\\w-)\r\n(?=\\w)")
_OTHER_HYPHEN_AT_END = re.compile("(?<=\\w)[\u2010\u2011]\r\n(?=\\w)")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")


def pdf(data: bytes, max_characters: int) -> Text:
    """The text of a PDF, page by page. Raises `Unreadable`."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise Unreadable("The PDF is protected by a password.") from None
        raise Unreadable("The file is not a readable PDF.") from None
    if len(document) > MAX_PAGES:
        raise TooLarge(f"A PDF has at most {MAX_PAGES} pages.")
    if document.get_formtype():
        document.init_forms()
    pages: list[str] = []
    length = 0
    for number in range(len(document)):
        try:
            page = document[number]
            try:
                lines = filled_in(page, document.formenv)
                pages.append("\n\n".join(filter(None, (_page_text(page), "\n".join(lines)))))
            finally:
                page.close()
        except pypdfium2.PdfiumError:
            pages.append("")  # a broken page does not cost the others
        length += len(pages[-1])
        if length > max_characters:
            raise TooLarge
    between = joiner({word.lower() for page in pages for word in _WORD.findall(page)})
    parts = [cleaned(_DIVIDED.sub(lambda word: _undivided(word[0], between), page)).strip() for page in pages]
    starts = [0]
    for part in parts[:-1]:
        starts.append(starts[-1] + len(part) + 2)
    title = document.get_metadata_dict().get("Title")
    # what libraries write where nobody gave one
    named = bool(title) and title.strip().lower() not in ("untitled", "(anonymous)")
    return Text("\n\n".join(parts), "plain", title if named else None, starts, sum(not part for part in parts))


def _page_text(page: pypdfium2.PdfPage) -> str:
    left, bottom, right, top = page.get_bbox()
    if page.get_rotation() in (90, 270):
        # some writers turn a page's box with the page, but not what they write into it: it may stand outside
        right = left + max(right - left, top - bottom)
        top = bottom + right - left
    textpage = page.get_textpage()
    try:
        # bounded: what stands outside of the page is text that nobody sees
        shown: str = textpage.get_text_bounded(left, bottom, right, top)
        text = _OTHER_HYPHEN_AT_END.sub("\x02", _with_paragraphs(shown, textpage))
        return _HYPHEN_AT_END.sub("", _SOFT_HYPHEN_AT_END.sub("", text))
    finally:
        textpage.close()


def _with_paragraphs(shown: str, textpage: pypdfium2.PdfTextPage) -> str:
    """`shown` with an empty line where the page has more room between two lines than usual."""
    if textpage.get_text_range() != shown.replace("\x02", "\ufffe") or textpage.count_chars() != len(shown):
        return shown  # some text is outside the page: the places of characters are not those in `shown`
    breaks = [match.start() for match in re.finditer("(?<=\\S)\r\n(?=\\S)", shown)]
    baselines = [
        (textpage.get_charbox(at - 1, loose=True)[1], textpage.get_charbox(at + 2, loose=True)[1]) for at in breaks
    ]
    leadings = [above - below for above, below in baselines]
    downward = sorted(leading for leading in leadings if leading > 0)  # a new column begins above
    # the lower quartile: where paragraphs are short, many lines are the last of one
    usual = downward[len(downward) // 4] if downward else 0.0
    parts: list[str] = []
    done = 0
    for place, leading in zip(breaks, leadings, strict=True):
        if leading > PARAGRAPH_LEADING * usual > 0:
            parts.append(shown[done:place] + "\r\n")
            done = place
    return "".join(parts) + shown[done:]


def _undivided(divided: str, between: Callable[[str, str], str]) -> str:
    """The parts of a word at lines' ends, put together."""
    text, *others = divided.split("\x02")
    for other in others:
        text += between(text, other) + other
    return text
