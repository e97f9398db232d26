"""Words that a line's end divides: whether the hyphen there belongs to the word."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from semantic_text_splitter import TextSplitter

from app.retrieval.chunk import TOKENIZER

_MOST_TOKENS = 8
"""Of a word that is weighed; longer ones count as equally many."""
_PREFIX = re.compile("ver|ent|zer|ge|be|emp", re.IGNORECASE)
_SUFFIX = re.compile(r"[bdfgklnrstz]?ung(en)?|[hk]eit(en)?|lich(e[nr]?)?|ische?n?|[ts]ion(s|en)?|ments?|ness|ings?|ly")
"""Syllables of English and German that are no words."""
# the rest of the word before them is the next one's: Vor- und Nachteile
_CONJUNCTION = re.compile(r"und|oder|bzw\.|sowie|and|or|et|ou|y|e|o|ed")
_WRITTEN_IN_ONE = re.compile(
    "readonly|realtime|builtin|fulltext|fullscreen|opensource|email|ebook|ecommerce|sign(in|up)|log(in|out)|check(in|out)"
    "|plugin|addon|popup|dropdown|nonprofit|casesensitive|(back|front)end|runtime|ondemand|multiline|lifetime|longterm"
    "|(off|on)site"
)
"""Compounds that programs write in one, so that they have a token of their own, and people mostly do not."""


def joiner(words: set[str]) -> Callable[[str, str], str]:
    """A function that says what stands between the parts of a word, before and after a line's end: nothing, or the
    hyphen. `words` are those of the whole document, in small letters."""

    def between(left: str, right: str) -> str:
        ending, beginning = _last_word(left), _first_word(right)
        if not (ending and beginning and beginning[0].islower()):
            return "-"  # an order number, a range, a compound of names
        if _CONJUNCTION.fullmatch(right):
            return "- "
        if "-" in left or right.removeprefix(beginning).startswith("-") or not (ending.islower() or ending.istitle()):
            return "-"
        whole = (ending + beginning).lower()
        if whole in words:
            return ""
        if f"{ending}-{beginning}".lower() in words or _WRITTEN_IN_ONE.fullmatch(whole):
            return "-"
        if _PREFIX.fullmatch(ending) or _SUFFIX.fullmatch(beginning):
            return ""
        # a word is made of fewer tokens than its halves; a compound is made of those of its parts
        return "" if _tokens(f" {ending}{beginning}") < _tokens(f" {ending}") + _tokens(beginning) else "-"

    return between


def _last_word(text: str) -> str:
    match = re.search(r"[^\W\d_]+\Z", text)
    return match[0] if match else ""


def _first_word(text: str) -> str:
    match = re.match(r"[^\W\d_]+(?![\d_])", text)
    return match[0] if match else ""


@cache
def _counters() -> list[TextSplitter]:
    return [TextSplitter.from_tiktoken_model(TOKENIZER, size, trim=False) for size in range(1, _MOST_TOKENS)]


@cache
def _tokens(word: str) -> int:
    """How many tokens `word` is: the least size at which the splitter leaves it whole."""
    sizes = (size for size, counter in enumerate(_counters(), 1) if len(counter.chunks(word)) == 1)
    return next(sizes, _MOST_TOKENS)
