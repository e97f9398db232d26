"""Forms that somebody has filled in: PDFs, pages and Word documents."""

from __future__ import annotations

from app.retrieval.formats import read
from app.retrieval.media_types import DOCX, HTML, PDF
from tests.retrieval.office import word
from tests.support.pdf import widgets


def pdf(labels: str, *fields: str) -> str:
    return read(widgets(labels, fields), PDF, None, 10_000).content


def at(left: int, top: int, entries: str, width: int = 100, height: int = 14) -> str:
    return f"/Rect [{left} {top - height} {left + width} {top}] {entries}"


def test_each_value_has_the_words_beside_its_field() -> None:
    text = pdf(
        "1 0 0 1 50 780 Tm (Name:) Tj 1 0 0 1 50 750 Tm (City) Tj",
        at(120, 790, "/FT /Tx /T (f1) /V (Ada Lovelace)"),
        at(120, 760, "/FT /Tx /T (f2) /V (Bonn)"),
        at(120, 730, "/FT /Tx /T (f3) /TU (Telephone) /V (0228 1)"),
        at(120, 700, "/FT /Tx /T (f4)"),
    )
    assert text.split("\n\n")[-1].splitlines() == ["Name: Ada Lovelace", "City: Bonn", "Telephone: 0228 1"]


def test_ticked_boxes_have_their_words_on_either_side() -> None:
    text = pdf(
        "1 0 0 1 72 780 Tm (Express) Tj 1 0 0 1 172 780 Tm (Mail) Tj 1 0 0 1 50 750 Tm (Insured) Tj",
        at(55, 790, "/FT /Btn /T (a) /V /Yes /AS /Yes", width=14),
        at(155, 790, "/FT /Btn /T (b) /V /Off /AS /Off", width=14),
        at(250, 760, "/FT /Btn /T (c) /V /Yes /AS /Yes", width=14),
    )
    assert [line for line in text.splitlines() if line.startswith("[x]")] == ["[x] Express", "[x] Insured"]


def test_what_is_chosen_in_a_list_is_named_as_it_is_shown() -> None:
    text = pdf(
        "1 0 0 1 50 780 Tm (Colour) Tj",
        at(120, 790, "/FT /Ch /Ff 131072 /T (c) /V (bl) /Opt [[(rd) (Red)] [(bl) (Blue)]]"),
    )
    assert text.splitlines()[-1] == "Colour: Blue"


def test_what_nobody_sees_is_not_read() -> None:
    text = pdf(
        "1 0 0 1 50 780 Tm (Name) Tj",
        at(120, 790, "/FT /Tx /T (h) /V (hidden) /F 2"),
        at(120, 760, "/FT /Tx /Ff 8192 /T (p) /V (hunter2)"),
    )
    assert text.strip() == "Name"


def test_text_that_was_typed_onto_a_page_is_read() -> None:
    text = pdf(
        "1 0 0 1 50 780 Tm (Name:) Tj", at(120, 790, "/Subtype /FreeText /Contents (Ada Lovelace) /DA (/F1 9 Tf)")
    )
    assert text.split() == ["Name:", "Ada", "Lovelace"]


def test_a_page_s_fields_are_read_as_they_are_shown() -> None:
    page = (
        "<form><label>Name</label> <input name=n value='Ada &amp; Co'> <input type=hidden value=secret>"
        "<input type=password value=hunter2> <input type=checkbox checked> Express <input type=radio> Mail<select>"
        "<option>Red<option selected>Blue</select><textarea>A note</textarea><input type=submit value=Go></form>"
    )
    text = read(page.encode(), HTML, None, 10_000).content
    assert " ".join(text.split()) == "Name Ada & Co [x] Express [ ] Mail Blue A note"


def test_a_list_without_a_choice_is_read_whole() -> None:
    page = "<p>Colours: <select><option value=r>Red</option><option value=b>Blue</option></select></p>"
    assert read(page.encode(), HTML, None, 10_000).content == "Colours: Red, Blue"


def test_a_word_document_s_fields_and_boxes_are_read() -> None:
    box = (
        '<w:sdt><w:sdtPr><w14:checkbox><w14:checked w14:val="1"/></w14:checkbox></w:sdtPr>'
        "<w:sdtContent><w:r><w:t>\u2612</w:t></w:r></w:sdtContent></w:sdt>"
    )
    field = '<w:fldSimple w:instr=" MERGEFIELD name "><w:r><w:t>Ada</w:t></w:r></w:fldSimple>'
    control = "<w:sdt><w:sdtContent><w:r><w:t>Bonn</w:t></w:r></w:sdtContent></w:sdt>"
    name = f"<w:r><w:t>Name: </w:t></w:r>{field}"
    document = word(f"<w:p>{name}</w:p><w:p>{control}</w:p><w:p>{box}<w:r><w:t> Express</w:t></w:r></w:p>")
    assert read(document, DOCX, None, 10_000).content.split("\n\n") == ["Name: Ada", "Bonn", "[x] Express"]
