"""Tables into Markdown: CSV files and spreadsheets."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import islice

from app.retrieval.clean import cleaned
from app.retrieval.formats.text import Text, TooLarge, Unreadable

DELIMITERS = (",", ";", "\t", "|")
SAMPLE_ROWS = 100
"""By which the delimiter is judged."""
NO_DELIMITER = "\x1f"
"""Of a file with one column: the sign is in no text that was cleaned."""
MAX_FIELD_CHARACTERS = 1_000_000


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
    """The one that parts the first rows most evenly: the decimal commas of a `;` table do not."""
    evenness, delimiter = max((_evenness(text, delimiter), delimiter) for delimiter in DELIMITERS)
    return delimiter if evenness[0] > 0.5 else NO_DELIMITER


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


def xlsx(data: bytes, max_characters: int) -> Text:
    """A spreadsheet, each visible sheet as a heading and a table. Raises `Unreadable`."""
    import python_calamine

    parts: list[str] = []
    room = max_characters
    try:
        with zipfile.ZipFile(io.BytesIO(data)):  # calamine reads older formats too, which are not promised
            workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
        visible = [sheet.name for sheet in workbook.sheets_metadata
                   if sheet.visible == python_calamine.SheetVisibleEnum.Visible]  # fmt: skip
        for name in visible:
            rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=True)
            table = cleaned(markdown_table(([_cell(value) for value in row] for row in rows), room))
            if table:
                parts.append(f"## {' '.join(cleaned(name).split())}\n\n{table}")
                room -= len(parts[-1])
    except zipfile.BadZipFile:
        raise Unreadable("The file is not a readable spreadsheet (.xlsx), or is protected by a password.") from None
    except python_calamine.CalamineError as error:
        raise Unreadable("The file is not a readable spreadsheet (.xlsx).") from error
    return Text("\n\n".join(parts), "markdown")


def _cell(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    return str(value)


def markdown_table(rows: Iterable[Sequence[str]], max_characters: int | None = None) -> str:
    """`rows` as a table of GitHub's Markdown; "" without any. The first row that is not empty is the header.

    Raises `TooLarge` once it is longer than `max_characters`.
    """
    lines: list[str] = []
    length = 0
    for row in rows:
        cells = [" ".join(cell.split()).replace("|", "\\|") for cell in row]
        while cells and not cells[-1]:
            cells.pop()
        if not cells:
            continue
        lines.append(f"| {' | '.join(cells)} |")
        if len(lines) == 1:
            lines.append("|" + " --- |" * len(cells))
        length += len(lines[-1]) + 1
        if max_characters is not None and length > max_characters:
            raise TooLarge
    return "\n".join(lines)
