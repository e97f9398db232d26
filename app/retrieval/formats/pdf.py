"""PDFs into text: words that a line's end divides, paragraphs, filled forms, pages that are only pictures."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

import pypdfium2
from semantic_text_splitter import TextSplitter

from app.retrieval.chunk import TOKENIZER
from app.retrieval.clean import cleaned
from app.retrieval.formats.text import Text, TooLarge, Unreadable

MAX_PAGES = 5000
PARAGRAPH_LEADING = 1.35
"""Lines further apart than this many times the page's usual distance belong to different paragraphs."""
_MOST_TOKENS = 8
"""Of a word that is weighed; longer ones count as equally many."""

# pdfium joins a line that ends with a hyphen to the next one and gives U+0002 for the hyphen, whether it divides a word
# or belongs to it (pypdfium2 5.15, get_text_bounded; get_text_range gives U+FFFE)
_DIVIDED = re.compile("([^\\s\x02]*)\x02([^\\s\x02]*)")
_SOFT_HYPHEN_AT_END = re.compile("\u00ad[ \t]*\r?\n[ \t]*")
_HYPHEN_AT_END = re.compile("(?<=\\w-)\r\n(?=\\w)")
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
            if document.formenv is not None:
                # makes the values of form fields text of the page, as it is from its next loading on
                flattened = document[number]
                flattened.flatten()
                flattened.close()
            pages.append(_page_text(document[number]))
        except pypdfium2.PdfiumError:
            pages.append("")  # a broken page does not cost the others
        length += len(pages[-1])
        if length > max_characters:
            raise TooLarge
    undivided = _undivided({word.lower() for page in pages for word in _WORD.findall(page)})
    parts = [cleaned(_DIVIDED.sub(undivided, page)).strip() for page in pages]
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
        return _HYPHEN_AT_END.sub("", _SOFT_HYPHEN_AT_END.sub("", _with_paragraphs(shown, textpage)))
    finally:
        textpage.close()
        page.close()


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


def _undivided(words: set[str]) -> Callable[[re.Match[str]], str]:
    """How the two halves of a word at a line's end are put together: `words` are those of the whole document."""

    def together(divided: re.Match[str]) -> str:
        left, right = divided[1], divided[2]
        ending, beginning = _last_word(left), _first_word(right)
        hyphenated = f"{left}-{right}"
        if not (ending and beginning and beginning[0].islower()):
            return hyphenated  # an order number, a range, a compound of names
        if "-" in left or not (ending.islower() or ending.istitle()):
            return hyphenated
        if (ending + beginning).lower() in words:
            return left + right
        if f"{ending}-{beginning}".lower() in words:
            return hyphenated
        # a word is made of fewer tokens than its halves; a compound is made of those of its parts
        return left + right if _tokens(ending + beginning) < _tokens(ending) + _tokens(beginning) else hyphenated

    return together


def _last_word(text: str) -> str:
    match = re.search(r"[^\W\d_]+\Z", text)
    return match[0] if match else ""


def _first_word(text: str) -> str:
    match = re.match(r"[^\W\d_]+(?![\d_])", text)
    return match[0] if match else ""


@cache
def _counters() -> list[TextSplitter]:
    return [TextSplitter.from_tiktoken_model(TOKENIZER, size) for size in range(1, _MOST_TOKENS)]


@cache
def _tokens(word: str) -> int:
    """How many tokens `word` is: the least size at which the splitter leaves it whole."""
    sizes = (size for size, counter in enumerate(_counters(), 1) if len(counter.chunks(word)) == 1)
    return next(sizes, _MOST_TOKENS)
