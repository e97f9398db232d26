"""Word documents, presentations, spreadsheets, books and CSV files: their text, in order, with its structure."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date
from typing import Any

import pptx
import pytest
from pptx.chart.data import CategoryChartData, XyChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.opc.package import Part
from pptx.opc.packuri import PackURI
from pptx.oxml import parse_xml

from app.retrieval.chunk import chunks
from app.retrieval.formats import Text, TooLarge, Unreadable, read
from app.retrieval.media_types import CSV, DOCX, EPUB, KINDS, PPTX, TSV, XLSX, media_type_of
from tests.retrieval.office import book, docx, packed, slides, word, workbook

DRAWING = "http://schemas.openxmlformats.org/drawingml/2006"


def text_of(data: bytes, media_type: str, max_characters: int = 100_000) -> Text:
    return read(data, media_type, None, max_characters)


def csv(table: str) -> str:
    return text_of(table.encode(), CSV).content


def test_a_word_document_keeps_headings_paragraphs_and_tables() -> None:
    written = docx(
        [("Heading1", "Rules"), (None, "Dogs & cats are welcome."), (None, "The kitchen closes at ten.")],
        [["day", "opens"], ["Monday", "9:00"]],
        title="House rules",
    )
    text = text_of(written, DOCX)
    assert text.title == "House rules"
    assert text.structure == "markdown"
    assert text.content.startswith("# Rules\n\nDogs & cats are welcome.\n\nThe kitchen closes at ten.\n\n| day")
    assert [line.split() for line in text.content.splitlines()[-1:]] == [["|", "Monday", "|", "9:00", "|"]]


def paragraphs(*bodies: str) -> list[str]:
    """The text of a Word document whose paragraphs have these runs, one for each."""
    return text_of(word("".join(f"<w:p>{body}</w:p>" for body in bodies)), DOCX).content.split("\n\n")


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_what_was_deleted_from_a_word_document_is_no_text_of_it() -> None:
    deleted = "<w:del><w:r><w:delText>old</w:delText></w:r></w:del>"
    assert paragraphs(f"{run('The ')}{deleted}<w:ins>{run('new')}</w:ins>{run(' rule')}") == ["The new rule"]


def test_readings_above_words_and_formulas_cost_no_text() -> None:
    reading = (
        f"<w:r><w:ruby><w:rubyPr/><w:rt>{run('とうきょう')}</w:rt><w:rubyBase>{run('東京')}</w:rubyBase></w:ruby></w:r>"
    )
    formula = "<m:oMath><m:r><m:rPr/><m:t>E=m</m:t></m:r><m:sSup><m:e><m:r><m:t>c</m:t></m:r></m:e></m:sSup></m:oMath>"
    assert paragraphs(f"{reading}{run('へ')}", formula) == ["東京へ", "E=mc"]


def test_hyphens_of_a_word_document_are_those_that_are_shown() -> None:
    parts = "<w:r><w:t>Donau</w:t><w:softHyphen/><w:t>dampfer AB</w:t><w:noBreakHyphen/><w:t>12</w:t></w:r>"
    assert paragraphs(parts) == ["Donaudampfer AB-12"]


def test_what_stands_above_and_below_the_pages_of_a_word_document_is_read_once() -> None:
    line = "<w:p><w:r><w:t>{}</w:t></w:r></w:p>"
    parts = {
        "word/header1.xml": line.format("Contract 4711-0815"),
        "word/header2.xml": line.format("Contract 4711-0815"),
        "word/footer1.xml": line.format("Confidential"),
    }
    text = text_of(word(line.format("Body"), parts=parts), DOCX)
    assert text.content == "Contract 4711-0815\n\nBody\n\nConfidential"


def test_the_title_of_a_word_document_is_a_heading() -> None:
    assert text_of(docx([("Title", "Rules"), (None, "Dogs are welcome.")]), DOCX).content.startswith("# Rules\n\nDogs")


def test_a_presentation_s_slides_are_its_pages() -> None:
    written = slides(
        [("Plan", "Build it\nShip it", "Say hello first"), ("Costs", "See below", "")], [["item", "€"], ["ads", "10"]]
    )
    text = text_of(written, PPTX)
    first, second = text.content[: text.page_starts[1]], text.content[text.page_starts[1] :]
    assert first.strip() == "## Plan\n\nBuild it\n\nShip it\n\nSay hello first"
    assert second.strip() == "## Costs\n\nSee below\n\n| item | € |\n| --- | --- |\n| ads | 10 |"
    assert [chunk.page for chunk in chunks(text.content, text.structure, text.page_starts)] == [1]


def one_slide(fill: Callable[[Any], object]) -> str:
    deck = pptx.Presentation()
    fill(deck.slides.add_slide(deck.slide_layouts[6]).shapes)
    buffer = io.BytesIO()
    deck.save(buffer)
    return text_of(buffer.getvalue(), PPTX).content.strip()


def test_a_chart_is_read_as_the_table_that_it_shows() -> None:
    def fill(shapes: Any) -> None:
        data = CategoryChartData()
        data.categories = ["East", "West"]
        data.add_series("2025", (19.2, 21))
        data.add_series("2026", (0.1 + 0.2, None))
        chart = shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, 9, 9, data).chart
        chart.has_title = True
        chart.chart_title.text_frame.text = "Revenue"

    rows = "|  | 2025 | 2026 |\n| --- | --- | --- |\n| East | 19.2 | 0.3 |\n| West | 21 |  |"
    assert one_slide(fill) == f"Revenue\n\n{rows}"


def test_points_of_a_chart_have_both_their_values() -> None:
    def fill(shapes: Any) -> None:
        data = XyChartData()
        series = data.add_series("speed")
        series.add_data_point(1, 2.5)
        series.add_data_point(3, 4.5)
        shapes.add_chart(XL_CHART_TYPE.XY_SCATTER, 0, 0, 9, 9, data)

    assert one_slide(fill) == "|  | speed |\n| --- | --- |\n| 1 | 2.5 |\n| 3 | 4.5 |"


def test_groups_and_merged_cells_of_a_slide() -> None:
    def fill(shapes: Any) -> None:
        group = shapes.add_group_shape().shapes.add_group_shape()
        group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "Inside"
        table = shapes.add_table(3, 2, 0, 0, 9, 9).table
        for row, values in enumerate([("region", "sales"), ("North", "1"), ("", "2")]):
            for column, value in enumerate(values):
                table.cell(row, column).text = value
        table.cell(1, 0).merge(table.cell(2, 0))

    assert one_slide(fill) == "Inside\n\n| region | sales |\n| --- | --- |\n| North | 1 |\n| North | 2 |"


def diagram(shapes: Any, relation: str) -> None:
    """Add a diagram whose texts are in the part with this relation."""
    content = shapes.add_table(1, 1, 0, 0, 9, 9)._element.graphic.graphicData
    content.set("uri", f"{DRAWING}/diagram")
    content.remove(content.tbl)
    content.append(parse_xml(
        f'<dgm:relIds xmlns:dgm="{DRAWING}/diagram" r:dm="{relation}" '
        'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"/>'
    ))  # fmt: skip


def test_a_diagram_whose_texts_are_missing_costs_nothing_else() -> None:
    def fill(shapes: Any) -> None:
        diagram(shapes, "rId99")
        shapes.add_textbox(0, 0, 9, 9).text_frame.text = "Below it"

    assert one_slide(fill) == "Below it"


def test_the_texts_of_a_diagram_are_read() -> None:
    def fill(shapes: Any) -> None:
        texts = "".join(f"<a:p><a:r><a:t>{text}</a:t></a:r></a:p>" for text in ("Plan", "Build"))
        blob = f'<dgm:dataModel xmlns:dgm="{DRAWING}/diagram" xmlns:a="{DRAWING}/main">{texts}</dgm:dataModel>'
        part = Part(PackURI("/ppt/diagrams/data1.xml"), "application/xml", shapes.part.package, blob.encode())
        relation = shapes.part.relate_to(part, "urn:diagram-data")
        diagram(shapes, relation)

    assert one_slide(fill) == "Plan\n\nBuild"


def test_a_spreadsheet_s_visible_sheets_are_tables() -> None:
    rows = [["name", "price", "since", "open"], ["Bolt | M8", 2.5, date(2026, 1, 31), True], ["Nut", 3, None, False]]
    text = text_of(workbook({"Parts": rows, "Notes": [["secret"]]}, hidden=["Notes"]), XLSX)
    assert text.content == (
        "## Parts\n\n| name | price | since | open |\n| --- | --- | --- | --- |\n"
        "| Bolt \\| M8 | 2.5 | 2026-01-31 | True |\n| Nut | 3 |  | False |"
    )


def test_a_book_s_chapters_are_in_the_order_of_its_package() -> None:
    written = book([("z one.xhtml", "<h1>One</h1><p>First.</p>"), ("a.xhtml", "<h1>Two</h1><p>Second.</p>")])
    text = text_of(written, EPUB)
    assert text.title == "A book"
    assert text.content == "# One\n\nFirst.\n\n# Two\n\nSecond."


@pytest.mark.parametrize("empty", ["<title/>", "<script src='a.js'/>", "<style/>", "<textarea/>"])
def test_an_empty_element_of_a_chapter_does_not_take_what_follows(empty: str) -> None:
    """In HTML such an element only begins."""
    page = f"<html><head>{empty}</head><body><p>One<a id='p1'/> two<br/>three</p></body></html>"
    assert text_of(book([("a.xhtml", page)]), EPUB).content.split() == ["One", "two", "three"]


def test_a_chapter_that_is_missing_does_not_cost_the_others() -> None:
    written = book([("a.xhtml", "<p>One</p>"), ("b.xhtml", "<p>Two</p>")])
    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist() if not name.endswith("a.xhtml")}
    assert text_of(packed(parts), EPUB).content == "Two"


def test_a_chapter_is_in_the_charset_that_it_names() -> None:
    page = '<?xml version="1.0" encoding="windows-1252"?><html><body><p>Größe “1”</p></body></html>'
    written = io.BytesIO(book([("a.xhtml", "")]))
    with zipfile.ZipFile(written, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("OEBPS/a.xhtml", page.encode("cp1252"))
    assert text_of(written.getvalue(), EPUB).content == "Größe “1”"


def test_a_book_with_hidden_fonts_is_read_and_one_with_hidden_chapters_says_so() -> None:
    chapters = [("a.xhtml", "<p>Words.</p>")]
    assert text_of(book(chapters, encrypted=["OEBPS/font.otf"]), EPUB).content == "Words."
    with pytest.raises(Unreadable, match=r"protected against copying"):
        text_of(book(chapters, encrypted=["OEBPS/a.xhtml"]), EPUB)


@pytest.mark.parametrize(
    ("written", "row"),
    [
        ("name,price\nBolt,2.50\n", "| Bolt | 2.50 |"),
        ("name;price\nBolt;2,50\nNut;3,10\n", "| Bolt | 2,50 |"),
        ("name;price;text\nBolt;2,50;short, but good\nNut;3,1;cheap\n", "| Bolt | 2,50 | short, but good |"),
        ("name\tprice\nBolt\t2,50\n", "| Bolt | 2,50 |"),
        ("name|price\nBolt|2,50\n", "| Bolt | 2,50 |"),
        ("sep=;\nname;price\nBolt;2,50\n", "| Bolt | 2,50 |"),
        ('name,text\nBolt,"a ""good"" one,\nof steel | iron"\n', '| Bolt | a "good" one, of steel \\| iron |'),
        ("name\nBolt, M8\n", "| Bolt, M8 |"),
        ("name,price\r\nBolt,2.50\r\n", "| Bolt | 2.50 |"),
    ],
)
def test_a_csv_file_is_parted_by_its_own_delimiter(written: str, row: str) -> None:
    assert csv(written).splitlines()[2] == row


def test_tabs_part_a_tsv_file_whatever_else_is_in_it() -> None:
    assert text_of(b"a,b,c\td,e,f\n1,2,3\t4,5,6\n", TSV).content.splitlines()[2] == "| 1,2,3 | 4,5,6 |"


def test_each_passage_of_a_table_begins_with_its_header() -> None:
    rows = "\n".join(f"{number};Product {number};{number},50 €;as good as it gets" for number in range(300))
    found = list(chunks(f"Before.\n\n{csv('id;name;price;note' + chr(10) + rows)}\n\nAfter the table.", "markdown"))
    header = "| id | name | price | note |\n| --- | --- | --- | --- |\n"
    assert len(found) > 10
    assert [chunk.content.count(header) for chunk in found[:-1]] == [1] * (len(found) - 1)
    assert all(chunk.content.startswith(header) for chunk in found[1:-1])
    assert "| id |" not in found[-1].content
    assert sum(chunk.content.count("| Product ") for chunk in found) == 300


@pytest.mark.parametrize("media_type", [DOCX, PPTX, XLSX, EPUB])
@pytest.mark.parametrize("data", [b"", b"no archive", packed({"a.txt": "text"})], ids=["empty", "text", "other"])
def test_what_is_no_such_file_says_so(media_type: str, data: bytes) -> None:
    with pytest.raises(Unreadable, match=r"is not a readable"):
        text_of(data, media_type)


@pytest.mark.parametrize("media_type", [DOCX, PPTX])
def test_a_protected_file_says_so(media_type: str) -> None:
    with pytest.raises(Unreadable, match=r"protected by a password"):
        text_of(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), media_type)


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (slides([("Plan", "word " * 500, "")]), PPTX),
        (workbook({"A": [["word " * 500]] * 3}), XLSX),
        (book([("a.xhtml", "<p>" + "word " * 500 + "</p>")]), EPUB),
        (b"a,b\n" + b"word,word\n" * 300, CSV),
    ],
)
def test_too_much_text_is_refused(data: bytes, media_type: str) -> None:
    with pytest.raises(TooLarge):
        text_of(data, media_type, 2000)


@pytest.mark.parametrize(
    ("name", "declared", "kind"),
    [
        ("a.DOCX", "application/octet-stream", DOCX),
        ("a", PPTX, PPTX),
        ("a.csv", "text/plain", CSV),
        ("a.doc", "x", None),
    ],
)
def test_files_are_known_by_name_or_type(name: str, declared: str, kind: str | None) -> None:
    assert media_type_of(name, declared, b"PK\x03\x04") == kind
    assert "DOCX" in KINDS
