"""Spreadsheets (XLSX) into Markdown: each visible sheet as a heading and its tables.

https://ecma-international.org/publications-and-standards/standards/ecma-376/ (part 1, chapter 18)
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Collection
from xml.etree import ElementTree

import python_calamine

from app.retrieval.clean import cleaned
from app.retrieval.formats.tables import cell_text, markdown_table, spread
from app.retrieval.formats.text import Text, Unreadable

MOST_CELLS = 4_000_000
"""Of the rectangle around a sheet's values. It is held in memory whole, its empty cells too: a value that stands by
mistake in the last row of a sheet makes it larger than any machine."""
HEAD_BYTES = 4096
"""Of a sheet's part: its dimension stands there."""

_PERCENT_FORMATS = frozenset({"9", "10"})
"""Those that every spreadsheet has."""
_QUOTED = re.compile(r'"[^"]*"|\\.')
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_CELL = rb"""<(?:\w+:)?c\s[^>]*?\br=["']([A-Z]{1,3})([0-9]{1,7})["'][^>]*(?<!/)>"""
_FILLED_CELL = re.compile(_CELL + rb"(?!</)")
_DIMENSION = re.compile(rb"""<(?:\w+:)?dimension\s[^>]*?ref=["'](?:[A-Z0-9]+:)?([A-Z]{1,3})([0-9]{1,7})["']""")

Place = tuple[int, int]
"""A cell's row and column, from 0."""


def xlsx(data: bytes, max_characters: int) -> Text:
    """The text of a spreadsheet. Raises `Unreadable`."""
    parts: list[str] = []
    room = max_characters
    try:
        # calamine reads older formats too, which are not promised
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
            names = _parts(archive)
            percent_styles = _percent_styles(archive)
            for sheet in workbook.sheets_metadata:
                if (
                    sheet.visible != python_calamine.SheetVisibleEnum.Visible
                    or sheet.typ != python_calamine.SheetTypeEnum.WorkSheet
                ):
                    continue
                part = names.get(sheet.name)
                if part is not None:
                    _require_room(sheet.name, archive, part)
                percentages = _styled(archive.read(part), percent_styles) if part and percent_styles else frozenset()
                table = markdown_table(_rows(workbook.get_sheet_by_name(sheet.name), percentages), room)
                if table := cleaned(table):
                    parts.append(f"## {' '.join(cleaned(sheet.name).split())}\n\n{table}")
                    room -= len(parts[-1])
    except zipfile.BadZipFile:
        raise Unreadable("The file is not a readable spreadsheet (.xlsx), or is protected by a password.") from None
    except (python_calamine.CalamineError, RuntimeError, NotImplementedError) as error:
        raise Unreadable("The file is not a readable spreadsheet (.xlsx).") from error
    return Text("\n\n".join(parts), "markdown")


def _rows(sheet: python_calamine.CalamineSheet, percentages: Collection[Place]) -> list[list[str]]:
    top, left = sheet.start or (0, 0)
    rows = [
        [cell_text(value, percent=(row, column) in percentages) for column, value in enumerate(values, left)]
        for row, values in enumerate(sheet.to_python(skip_empty_area=True), top)
    ]
    ranges = sheet.merged_cell_ranges or ()
    spread(rows, [((r - top, c - left), (last_r - top, last_c - left)) for (r, c), (last_r, last_c) in ranges])
    return rows


def _require_room(name: str, archive: zipfile.ZipFile, part: str) -> None:
    """Raises `Unreadable` for a sheet whose values lie further apart than memory allows."""
    with archive.open(part) as opened:
        dimension = _DIMENSION.search(opened.read(HEAD_BYTES))
    if dimension and (_row(dimension[2]) + 1) * (_column(dimension[1]) + 1) <= MOST_CELLS:
        return
    # the dimension counts cells that have nothing but a format, too
    places = [(_row(row), _column(column)) for column, row in _FILLED_CELL.findall(archive.read(part))]
    if not places:
        return
    rows, columns = zip(*places, strict=True)
    if (max(rows) - min(rows) + 1) * (max(columns) - min(columns) + 1) > MOST_CELLS:
        last = max(places)
        raise Unreadable(
            f"The values of the sheet {cleaned(name)!r} stand too far apart to be read: "
            f"delete what stands far from its table, such as in row {last[0] + 1}."
        )


def _styled(source: bytes, styles: Collection[str]) -> frozenset[Place]:
    """The places of the cells in `source`, a sheet's part, that have one of these styles."""
    cells = re.compile(rb"""(?=<(?:\w+:)?c\s(?:[^>]*\s)?s=["'](?:%s)["'])""" % "|".join(styles).encode() + _CELL)
    return frozenset((_row(row), _column(column)) for column, row in cells.findall(source))


def _percent_styles(archive: zipfile.ZipFile) -> list[str]:
    """The numbers of the styles whose numbers are shown as percentages, which their values do not say."""
    styles = _xml(archive, "xl/styles.xml")
    formats = {
        format_.get("numFmtId")
        for format_ in styles.iterfind("{*}numFmts/{*}numFmt")
        if "%" in _QUOTED.sub("", format_.get("formatCode") or "")
    } | _PERCENT_FORMATS
    return [str(number) for number, style in enumerate(styles.iterfind("{*}cellXfs/{*}xf"))
            if style.get("numFmtId") in formats]  # fmt: skip


def _parts(archive: zipfile.ZipFile) -> dict[str, str]:
    """The names of the sheets' parts by those of the sheets."""
    targets = {one.get("Id"): one.get("Target") or "" for one in _xml(archive, "xl/_rels/workbook.xml.rels")}
    names = {
        sheet.get("name") or "": posixpath.normpath(posixpath.join("/xl", targets.get(sheet.get(_ID), ""))).lstrip("/")
        for sheet in _xml(archive, "xl/workbook.xml").iterfind("{*}sheets/{*}sheet")
    }
    return {name: part for name, part in names.items() if part in archive.NameToInfo}


def _xml(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    """A part, or an empty one in its place: what is read here is not needed for the values."""
    try:
        return ElementTree.fromstring(archive.read(name))  # noqa: S314 - in the worker, within its limits
    except (KeyError, ElementTree.ParseError):
        return ElementTree.Element("none")


def _row(digits: bytes) -> int:
    return int(digits) - 1


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1
