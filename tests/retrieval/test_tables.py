"""Tables as offices make them: titles above them, merged cells, formats, several in one sheet, values far away."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import xlsxwriter

from app.retrieval.chunk import chunks
from app.retrieval.formats import Unreadable, read
from app.retrieval.media_types import CSV, DOCX, HTML, MARKDOWN, PPTX, XLSX
from tests.retrieval.office import docx, slides, workbook

Sheet = xlsxwriter.worksheet.Worksheet


def xlsx(write: Callable[[xlsxwriter.Workbook, Sheet], object]) -> str:
    """The text of a spreadsheet with one sheet, without the heading that names it."""
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True, "default_date_format": "yyyy-mm-dd hh:mm"})
    write(book, book.add_worksheet("S"))
    book.close()
    return text_of(buffer.getvalue(), XLSX).removeprefix("## S\n\n")


def text_of(data: bytes, media_type: str) -> str:
    return read(data, media_type, None, 1_000_000).content


def csv(written: str) -> str:
    return text_of(written.encode(), CSV)


def test_percentages_are_as_they_are_shown() -> None:
    def write(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
        sheet.write_row(0, 0, ["name", "share", "plain"])
        for row, (share, code) in enumerate([(0.256, "0.0%"), (0.07, "0%"), (1, '0 "of all" %'), (0.5, '0 "%"')], 1):
            sheet.write(row, 0, f"n{row}")
            sheet.write_number(row, 1, share, book.add_format({"num_format": code}))
            sheet.write_number(row, 2, share)

    rows = xlsx(write).splitlines()[2:]
    assert rows == ["| n1 | 25.6% | 0.256 |", "| n2 | 7% | 0.07 |", "| n3 | 100% | 1 |", "| n4 | 0.5 | 0.5 |"]


def test_numbers_dates_and_durations_are_as_they_are_meant() -> None:
    def write(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
        sheet.write_row(0, 0, ["what", "value"])
        sheet.write_row(1, 0, ["sum", 0.1 + 0.2])
        sheet.write_row(2, 0, ["large", 4711081500])
        sheet.write("A4", "moment")
        sheet.write_datetime("B4", datetime(2026, 1, 31, 13, 30))  # noqa: DTZ001 - a spreadsheet's have none
        sheet.write("A5", "time")
        sheet.write_datetime("B5", timedelta(hours=30, minutes=5), book.add_format({"num_format": "[h]:mm:ss"}))
        sheet.write("A6", "formula")
        sheet.write_formula("B6", "=B2*10", None, 3)

    assert [line.split(" | ")[1].rstrip(" |") for line in xlsx(write).splitlines()[2:]] == [
        "0.3",
        "4711081500",
        "2026-01-31 13:30:00",
        "30:05:00",
        "3",
    ]


def test_what_stands_above_a_table_is_not_its_header() -> None:
    def write(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
        sheet.merge_range("A1:C1", "Sales of 2026")
        sheet.write_row("A2", ["As of", "May"])
        sheet.write_row("A4", ["region", "city", "sales", "costs"])
        sheet.write_row("A5", ["North", "Kiel", 12, 3])
        sheet.write("A7", "Without tax.")

    assert xlsx(write) == (
        "Sales of 2026\n\nAs of May\n\n| region | city | sales | costs |\n| --- | --- | --- | --- |\n"
        "| North | Kiel | 12 | 3 |\n\nWithout tax."
    )


def test_merged_cells_stand_in_each_row_that_they_reach() -> None:
    def write(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
        sheet.write_row("B2", ["region", "month", "sales"])
        sheet.merge_range("B3:B5", "North")
        for row, month in enumerate(["May", "June", "July"], 2):
            sheet.write_row(row, 2, [month, row])

    assert xlsx(write).splitlines()[2:] == ["| North | May | 2 |", "| North | June | 3 |", "| North | July | 4 |"]


def test_two_tables_of_a_sheet_have_each_their_header_and_groups_of_one_have_its() -> None:
    def write(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
        rows = [["part", "price"], ["Bolt", 1], [], ["Nut", 2], [], ["city", "zip"], ["Bonn", 53111]]
        for row, values in enumerate(rows):
            sheet.write_row(row, 0, values)

    parts = "| part | price |\n| --- | --- |\n"
    assert xlsx(write) == (
        f"{parts}| Bolt | 1 |\n\n{parts}| Nut | 2 |\n\n| city | zip |\n| --- | --- |\n| Bonn | 53111 |"
    )


def test_a_sheet_that_is_a_chart_costs_the_others_nothing() -> None:
    def write(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
        sheet.write_column("A1", ["n", 1, 2])
        chart = book.add_chart({"type": "line"})
        chart.add_series({"values": "=S!$A$2:$A$3"})
        book.add_chartsheet("C").set_chart(chart)

    assert xlsx(write).splitlines()[0] == "| n |"


def test_a_format_in_the_last_row_is_no_value_there() -> None:
    def write(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
        sheet.write_row(0, 0, ["a", "b"])
        for column in range(50):
            sheet.write_blank(1_048_575, column, None, book.add_format({"bold": True}))

    assert xlsx(write) == "| a | b |\n| --- | --- |"


def test_values_too_far_apart_are_named() -> None:
    def write(book: xlsxwriter.Workbook, sheet: Sheet) -> None:
        sheet.write_row(0, 0, ["a", "b"])
        sheet.write(1_048_575, 4, "by mistake")

    with pytest.raises(Unreadable, match=r"The values of the sheet 'S' stand too far apart .* in row 1048576\."):
        xlsx(write)


# ── CSV ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("written", "row"),
    [
        # without a header, decimal commas part the rows as evenly
        ("2,50;3,10\n4,75;5,20\n", "| 4,75 | 5,20 |"),
        ("1,5\t2,5\t3,5\n4,5\t5,5\t6,5\n", "| 4,5 | 5,5 | 6,5 |"),
        ("name,tags\nBolt,a;b\nNut,c;d\n", "| Bolt | a;b |"),
        ('a;b\n"x\n\ny;z";"1,5"\n', "| x y;z | 1,5 |"),
    ],
)
def test_the_delimiter_is_the_one_that_is_meant(written: str, row: str) -> None:
    assert row in csv(written).splitlines()


def test_a_statement_of_a_bank_has_its_header_where_it_is() -> None:
    written = (
        'Konto;DE02 1203 0000\nZeitraum;"01.01.2026 - 31.01.2026"\n\n'
        "Buchung;Empfänger;Betrag;Währung\n02.01.2026;Stadtwerke;-80,15;EUR\n03.01.2026;Miete;-900,00;EUR\n"
    )
    assert csv(written).split("\n\n")[-1].splitlines() == [
        "| Buchung | Empfänger | Betrag | Währung |",
        "| --- | --- | --- | --- |",
        "| 02.01.2026 | Stadtwerke | -80,15 | EUR |",
        "| 03.01.2026 | Miete | -900,00 | EUR |",
    ]
    assert "DE02 1203 0000" in csv(written)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_says_the_charset_and_is_no_text(encoding: str) -> None:
    table = "größe\tpreis\n1\t2,5\n".encode(encoding)
    assert text_of(table, CSV).splitlines()[0] == "| größe | preis |"


def test_another_charset_is_asked_for_by_name() -> None:
    table = "größe;preis\n1;2,5\n".encode("cp1252")
    with pytest.raises(Unreadable, match="name its charset"):
        text_of(table, CSV)
    assert read(table, CSV, "windows-1252", 1000).content.splitlines()[0] == "| größe | preis |"


# ── every kind ───────────────────────────────────────────────────────────────────────────────────────────────────

ROWS = [["Article", "Price"], *([f"Product number {number}, made of steel", f"{number} EUR"] for number in range(200))]
PAGE = "<table>" + "".join(f"<tr><td>{name}</td><td>{price}</td></tr>" for name, price in ROWS) + "</table>"
PIPED = ["| " + " | ".join(row) + " |" for row in ROWS]


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (workbook({"S": ROWS}), XLSX),
        (docx([(None, "Before.")], ROWS), DOCX),
        (slides([("Plan", "See below", "")], ROWS), PPTX),
        (PAGE.encode(), HTML),
        (f"<form><ul><li>One{PAGE}</li></ul></form>".encode(), HTML),
        (f"<blockquote>{PAGE}</blockquote>".encode(), HTML),
        ("\n".join([PIPED[0], "|---|---|", *PIPED[1:]]).encode(), MARKDOWN),
        ("\n".join(";".join(row) for row in ROWS).encode(), CSV),
    ],
    ids=["xlsx", "docx", "pptx", "html", "html in a list", "html in a quotation", "markdown", "csv"],
)
def test_each_passage_of_any_table_has_its_header(data: bytes, media_type: str) -> None:
    text = read(data, media_type, None, 1_000_000)
    found = list(chunks(text.content, text.structure, text.page_starts))
    assert len(found) > 5
    assert all("Article" in chunk.content.split("Product")[0] for chunk in found)
    assert sum(chunk.content.count("Product number") for chunk in found) == 200


def html(source: str) -> str:
    return text_of(source.encode(), HTML)


def test_merged_cells_of_a_page_stand_in_each_row_and_a_header_s_rows_are_one() -> None:
    page = (
        "<table><thead><tr><th rowspan=2>Region<th colspan=2>2025</tr><tr><th>Q1<th>Q2</tr></thead>"
        "<tr><td rowspan=2>North<td>1<td>a|b</tr><tr><td>3<td>4</tr></table>"
    )
    assert html(page) == (
        "| Region | 2025 Q1 | 2025 Q2 |\n| --- | --- | --- |\n| North | 1 | a\\|b |\n| North | 3 | 4 |"
    )


def test_a_table_that_lays_out_a_page_is_none() -> None:
    page = (
        "<form><table><tr><td>Menu</td><td><h1>Orders</h1><p>All of May.</p><table><tr><th>No<th>Sum</tr>"
        "<tr><td>4711<td>12</tr></table></td></tr></table></form>"
    )
    assert html(page).split("\n\n") == [
        "Menu",
        "# Orders",
        "All of May.",
        "| No | Sum |\n| --- | --- |\n| 4711 | 12 |",
    ]


def test_a_table_with_headings_that_holds_another_stays_one() -> None:
    page = "<table><tr><th>a<th>b</tr><tr><td>1<td><table><tr><td>x</td></tr></table></tr></table>"
    assert html(page).splitlines()[0] == "| a | b |"
