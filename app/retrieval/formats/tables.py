"""Tables into Markdown: CSV files, and the rows of all others."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from app.retrieval.clean import cleaned
from app.retrieval.formats.text import Text, TooLarge, Unreadable

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 100
"""By which the delimiter and the header are judged."""
FEW_ROWS = 10
"""A block with no more, and half as wide as another one, is no table: an account's number and dates above one."""
NO_DELIMITER = "\x1f"
"""Of a file with one column: the sign is in no text that was cleaned."""
MAX_FIELD_CHARACTERS = 1_000_000
DIGITS = 15
"""Of a number: as many as spreadsheets keep. What comes after them are errors of the arithmetic."""
MAX_SPREAD_CHARACTERS = 200
"""Of merged cells: a longer text is not repeated in each row."""
_NUMBER = re.compile(r"(?=.*\d)[\d\s.,:/%+()\-\u2212\u00a4\u20ac$\u00a3\u00a5]+")
"""Numbers, dates, times and prices: no name of a column."""


def csv_table(text: str, delimiter: str | None, max_characters: int) -> Text:
    """A CSV file as one table, its first row as the header. Raises `Unreadable`."""
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    text = cleaned(text)
    # Excel's own way to say it, in a line of its own
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first) == 5:
        text, delimiter = rest, first[4]
    delimiter = delimiter or delimiter_of(text)
    try:
        table = markdown_table(csv.reader(io.StringIO(text), delimiter=delimiter), max_characters)
    except csv.Error as error:
        raise Unreadable(f"The file is not a readable CSV table: {error}.") from None
    return Text(table, "markdown")


def delimiter_of(text: str) -> str:
    """The one that parts the first rows most evenly: the decimal commas of a `;` table do not, or no more evenly."""
    evenness = {delimiter: _evenness(text, delimiter) for delimiter in DELIMITERS}
    delimiter = max(DELIMITERS, key=lambda one: (evenness[one][0], one != ",", evenness[one][1]))
    return delimiter if evenness[delimiter][0] > 0.5 else NO_DELIMITER


def _evenness(text: str, delimiter: str) -> tuple[float, int]:
    """The share of rows that have the commonest number of fields, and that number; (0, 0) when that is 1."""
    try:
        rows = islice(csv.reader(io.StringIO(text), delimiter=delimiter), SAMPLE_ROWS)
        widths = Counter(len(row) for row in rows if row)
    except csv.Error:
        return 0.0, 0
    if not widths:
        return 0.0, 0
    # rows of one field say nothing for a delimiter, but against it
    width, rows_of_it = max(widths.items(), key=lambda item: (item[0] > 1, item[1], item[0]))
    return (rows_of_it / widths.total(), width) if width > 1 else (0.0, 0)


def markdown_table(rows: Iterable[Sequence[str]], max_characters: int | None = None) -> str:
    """`rows` as tables of GitHub's Markdown; "" without any.

    Empty rows part blocks. A block's rows before its header (a title, a date, an account's number) become lines of
    text; a block that only goes on with the table before it gets that one's header again. Raises `TooLarge` once it is
    longer than `max_characters`.
    """
    parts: list[str] = []
    header: list[str] = []
    blocks = [(block, max(map(_filled, block[:SAMPLE_ROWS]))) for block in _blocks(rows, max_characters)]
    widest = max((most for _, most in blocks), default=0)
    for block, most in blocks:
        first = next(place for place, row in enumerate(block) if 2 * _filled(row) > most)
        if 2 * most <= widest and (most == 1 or len(block) <= FEW_ROWS):
            first = len(block)
        parts += (" ".join(filter(None, row)) for row in block[:first])
        table = block[first:]
        if not table:
            continue
        if not header or _begins_anew(table, header):
            header, *table = table
        parts.append("\n".join(lines_of([header, *table])))
    text = "\n\n".join(parts)
    if max_characters is not None and len(text) > max_characters:
        raise TooLarge
    return text


def in_one_line(cell: str) -> str:
    """A cell's text as it stands in a Markdown table."""
    return " ".join(cell.split()).replace("|", "\\|")


def _blocks(rows: Iterable[Sequence[str]], max_characters: int | None) -> Iterator[list[list[str]]]:
    """Runs of rows that are not empty, their cells in one line each and without empty ones at the end."""
    length = 0
    block: list[list[str]] = []
    for row in rows:
        cells = [in_one_line(cell) for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            block.append(cells)
            length += sum(map(len, cells)) + 3 * len(cells)
            if max_characters is not None and length > max_characters:
                raise TooLarge
        elif block:
            yield block
            block = []
    if block:
        yield block


def _begins_anew(block: Sequence[Sequence[str]], header: Sequence[str]) -> bool:
    """Whether the block's first row is a header of its own, in place of one more row below `header`."""
    first, *rest = block
    if _filled(first) > _filled(header):
        return True
    if not rest or any(map(_NUMBER.fullmatch, first)):
        return False
    return _filled(first) != _filled(header) or any(map(_NUMBER.fullmatch, rest[0]))


def _filled(row: Sequence[str]) -> int:
    return sum(map(bool, row))


def lines_of(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table whose first row is its header. No cell has a line's end, and `|` only as `\\|`."""
    for place, row in enumerate(rows):
        yield f"| {' | '.join(row)} |"
        if place == 0:
            yield "|" + " --- |" * len(row)


def spread(rows: Sequence[list[str]], merged: Iterable[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Write the value of merged cells, given by their first and last row and column, into each of them, so that every
    row says what it belongs to. One that has its row for itself is a title, and keeps to its first column."""
    for (top, left), (bottom, right) in merged:
        if not (0 <= top < len(rows) and 0 <= left < len(rows[top])):
            continue
        value = rows[top][left]
        if not 0 < len(value) <= MAX_SPREAD_CHARACTERS:
            continue
        others = rows[top][:left] + rows[top][right + 1 :]
        for row in rows[top : bottom + 1]:
            for column in range(left, min(right + 1 if any(others) else left + 1, len(row))):
                row[column] = value


def cell_text(value: object, *, percent: bool = False) -> str:
    """What a cell shows; "" for None. `percent`: its number is shown as a percentage."""
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(f"{value:.{DIGITS}g}")
        if percent:
            return f"{number * 100:.{DIGITS - 2}g}%"
        return str(int(number)) if number.is_integer() else repr(number)
    if isinstance(value, datetime):
        return value.replace(microsecond=0).isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(value, timedelta):
        minutes, seconds = divmod(round(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return str(value)
