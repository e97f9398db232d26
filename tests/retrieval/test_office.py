"""Word documents, presentations, spreadsheets, books and CSV files: their text, in order, with its structure."""

from __future__ import annotations

from datetime import date

import pytest

from app.retrieval.chunk import chunks
from app.retrieval.formats import Text, TooLarge, Unreadable, read
from app.retrieval.media_types import CSV, DOCX, EPUB, KINDS, PPTX, TSV, XLSX, media_type_of
from tests.retrieval.office import book, docx, packed, slides, workbook


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


def test_a_presentation_s_slides_are_its_pages() -> None:
    written = slides(
        [("Plan", "Build it\nShip it", "Say hello first"), ("Costs", "See below", "")], [["item", "€"], ["ads", "10"]]
    )
    text = text_of(written, PPTX)
    first, second = text.content[: text.page_starts[1]], text.content[text.page_starts[1] :]
    assert first.strip() == "## Plan\n\nBuild it\n\nShip it\n\nSay hello first"
    assert second.strip() == "## Costs\n\nSee below\n\n| item | € |\n| --- | --- |\n| ads | 10 |"
    assert [chunk.page for chunk in chunks(text.content, text.structure, text.page_starts)] == [1]


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
