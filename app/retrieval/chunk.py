"""Text into passages of a few hundred tokens, cut where its structure allows, each knowing its place. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec
from markdown_it import MarkdownIt
from semantic_text_splitter import MarkdownSplitter, TextSplitter

MIN_TOKENS, MAX_TOKENS = 200, 400
"""Large enough to hold an answer, small enough that a handful fits any prompt."""
TOKENIZER = "text-embedding-3-small"
"""Whose tokens are counted, for all models: they differ by little. The tables are part of the splitter's package."""
SHORT_CHARACTERS = 120
"""A piece below this, such as a heading alone, goes with what follows it."""
LONG_RUN_CHARACTERS = 1000
"""Longer runs without a blank or the end of a sentence are cut at this length beforehand, and longer runs of blanks are
left out: tokenizers take quadratic time over them."""
MAX_CHARACTERS = 4000
"""Of a piece: rows of the same sign, such as rulers, are hardly any tokens."""
MAX_HEADING_CHARACTERS = 300
MAX_TABLE_HEADER_TOKENS, HEADER_STEP = 200, 25
"""A longer header of a table is not repeated: it would take the room of its rows. Headers are measured in steps."""
LEAST_TABLE_CHARACTERS = 1500
"""A shorter table may share a passage with what is around it."""
LONG_TABLE_CHARACTERS = 30_000
"""A longer table is split in parts, of whole rows: the splitter takes quadratic time over it."""

Structure = Literal["markdown", "plain"]

_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
# scripts without blanks between words have signs of their own between sentences and their parts
_LONG_RUN = re.compile(
    rf"[^\s\u3001\u3002\uff01\uff0c\uff0e\uff1a\uff1b\uff1f\uff61\uff64]{{{LONG_RUN_CHARACTERS + 1},}}"
    rf"|\s{{{LONG_RUN_CHARACTERS + 1},}}"
)


class Chunk(msgspec.Struct, frozen=True):
    """A passage and its place: `start` and `end` are offsets in the document's text, in code points.

    `content` is what stands there; where that goes on with a table, the table's header stands before it.
    """

    content: str
    start: int
    end: int
    heading: str | None = None
    """The headings above it, outermost first, joined by " > "."""
    page: int | None = None
    """From 1, where the document has pages."""


def chunks(text: str, structure: Structure, page_starts: Sequence[int] = ()) -> Iterator[Chunk]:
    """The passages of `text` in order. `page_starts` are the offsets at which its pages begin, if it has pages."""
    headings, tables = _outline(text) if structure == "markdown" else ([], [])
    heading_starts = [offset for offset, _ in headings]
    row_starts = [table.rows for table in tables]
    for start, end in _joined(text, _pieces(text, structure, _cuts(text, tables))):
        above = bisect_right(heading_starts, start)
        begun = bisect_right(row_starts, start)
        header = tables[begun - 1].header if begun and start < tables[begun - 1].end else ""
        yield Chunk(
            header + text[start:end],
            start,
            end,
            headings[above - 1][1] if above else None,
            bisect_right(page_starts, start) or None,
        )


def _pieces(text: str, structure: Structure, cuts: Sequence[_Cut]) -> Iterator[tuple[int, int]]:
    """Where the pieces begin and end, without the blanks around them. None of them reaches over a cut."""
    done = 0
    for run in _LONG_RUN.finditer(text):
        yield from _between(text, done, run.start(), structure, cuts)
        if not run[0].isspace():
            for start, end in _cut(run.start(), run.end(), LONG_RUN_CHARACTERS):
                yield from _between(text, start, end, structure, cuts)
        done = run.end()
    yield from _between(text, done, len(text), structure, cuts)


def _between(text: str, start: int, end: int, structure: Structure, cuts: Sequence[_Cut]) -> Iterator[tuple[int, int]]:
    place = bisect_right(cuts, start, key=lambda cut: cut.at)
    room = cuts[place - 1].room if place else MAX_TOKENS
    while place < len(cuts) and cuts[place].at < end:
        yield from _split(text, start, cuts[place].at, structure, room)
        start, room = cuts[place]
        place += 1
    yield from _split(text, start, end, structure, room)


def _split(text: str, start: int, end: int, structure: Structure, room: int) -> Iterator[tuple[int, int]]:
    for offset, piece in _splitter(structure, room).chunk_indices(text[start:end]):
        yield from _cut(start + offset, start + offset + len(piece), MAX_CHARACTERS)


def _cut(start: int, end: int, length: int) -> Iterator[tuple[int, int]]:
    for begin in range(start, end, length):
        yield begin, min(begin + length, end)


class _Cut(NamedTuple):
    """From offset `at` on, a piece has at most `room` tokens."""

    at: int
    room: int


def _cuts(text: str, tables: Sequence[_Table]) -> list[_Cut]:
    """A long table is cut from what is around it, as its header needs a part of each passage, and at the ends of some
    of its rows, as the splitter looks at all the rest of a table for each piece of it."""
    cuts: list[_Cut] = []
    for table in tables:
        if table.end - table.start < LEAST_TABLE_CHARACTERS:
            continue
        cuts.append(_Cut(table.start, table.room))
        place = text.find("\n", table.rows + LONG_TABLE_CHARACTERS, table.end) + 1
        while 0 < place < table.end:
            cuts.append(_Cut(place, table.room))
            place = text.find("\n", place + LONG_TABLE_CHARACTERS, table.end) + 1
        cuts.append(_Cut(table.end, MAX_TOKENS))
    return cuts


def _joined(text: str, pieces: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The pieces, none of them only a few words: such a piece is put before the next one."""
    waiting: int | None = None
    last: tuple[int, int] | None = None
    for start, end in pieces:
        if not text[start:end].strip():
            continue
        if last is not None and start - last[1] > LONG_RUN_CHARACTERS:
            yield last
            waiting = last = None
        begin = start if waiting is None else waiting
        if end - begin < SHORT_CHARACTERS:
            waiting = begin
            last = (begin, end)
            continue
        waiting = None
        last = None
        yield begin, end
    if last is not None:
        yield last


class _Table(msgspec.Struct, frozen=True):
    """A table from offset `start` to `end`, its rows from `rows` on. `header` is its first row and the line below it,
    or "" where these are too long to be repeated."""

    header: str
    room: int
    """In tokens, for its rows in a passage that has the header as well."""
    start: int
    rows: int
    end: int


def _outline(text: str) -> tuple[list[tuple[int, str]], list[_Table]]:
    """The offset of each heading and the path that begins with it, and the tables."""
    lines = [0]
    lines.extend(match.end() for match in re.finditer("\n", text))
    lines.append(len(text))
    path: list[tuple[int, str]] = []
    headings: list[tuple[int, str]] = []
    tables: list[_Table] = []
    for token, content in pairwise(_block_parser().parse(text)):
        if token.map is None:
            continue
        first, after = token.map
        if token.type == "heading_open" and token.level == 0:
            level = int(token.tag[1:])
            while path and path[-1][0] >= level:
                path.pop()
            path.append((level, " ".join(_LINK.sub(r"\1", content.content).split())))
            joined = " > ".join(title for _, title in path if title)
            headings.append((lines[first], joined[:MAX_HEADING_CHARACTERS]))
        elif token.type == "table_open":
            start, rows, end = lines[first], lines[first + 2], lines[min(after, len(lines) - 1)]
            needed = _tokens(text[start:rows])
            header, room = ("", MAX_TOKENS) if needed is None else (text[start:rows], MAX_TOKENS - needed)
            tables.append(_Table(header, room, start, rows, end))
    return headings, tables


@cache
def _block_parser() -> MarkdownIt:
    # headings and tables are blocks: what stands inside lines need not be parsed
    return MarkdownIt("commonmark").enable("table").disable("inline")


def _tokens(header: str) -> int | None:
    """How many tokens a header has at most; None above the limit."""
    if len(header) > MAX_CHARACTERS:
        return None
    sizes = range(HEADER_STEP, MAX_TABLE_HEADER_TOKENS + 1, HEADER_STEP)
    return next((size for size in sizes if len(_counter(size).chunks(header)) == 1), None)


@cache
def _counter(tokens: int) -> TextSplitter:
    return TextSplitter.from_tiktoken_model(TOKENIZER, tokens)


@cache
def _splitter(structure: Structure, room: int) -> MarkdownSplitter | TextSplitter:
    kind = MarkdownSplitter if structure == "markdown" else TextSplitter
    return kind.from_tiktoken_model(TOKENIZER, (min(MIN_TOKENS, room), room))
