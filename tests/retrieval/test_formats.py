"""What is made of files as the world writes them: charsets by their wrong names, turned pages, titles that are none."""

from __future__ import annotations

import pytest

from app.retrieval.formats import read
from tests.support.pdf import assembled, pdf

LINE = "The turbine runs at 1450 kelvin."


def html(declaration: str, text: str, encoding: str) -> str:
    page = f"<html><head>{declaration}</head><body><p>{text}</p></body></html>"
    return read(page.encode(encoding), "text/html", None, 10_000).content


@pytest.mark.parametrize(
    ("label", "encoding", "text"),
    [
        ("iso-8859-1", "cp1252", "“Zehn €”, sagt Jörg"),
        ("gb2312", "gbk", "朱镕基住在北京"),
        ("x-sjis", "cp932", "東京の①番線"),
        ("EUC-KR", "cp949", "펲시콜라"),
        ("utf-16", "utf-8", "naïve"),
    ],
)
def test_a_page_is_in_what_its_label_means(label: str, encoding: str, text: str) -> None:
    assert html(f'<meta charset="{label}">', text, encoding) == text


def test_a_page_may_say_it_as_xml() -> None:
    declaration = '<?xml version="1.0" encoding="ISO-8859-1"?>'
    assert read(f"{declaration}<html><p>señor</p></html>".encode("latin-1"), "text/html", None, 99).content == "señor"


def test_a_page_turned_with_its_box_but_without_its_text() -> None:
    turned = pdf([LINE]).replace(b"/MediaBox [0 0 595 842]", b"/MediaBox [0 0 842 595] /Rotate 90")
    assert read(turned, "application/pdf", None, 1000).content.strip() == LINE


@pytest.mark.parametrize(("title", "expected"), [("untitled", None), ("Turbines", "Turbines"), (None, None)])
def test_a_title_that_is_one(title: str | None, expected: str | None) -> None:
    assert read(pdf([LINE], title=title), "application/pdf", None, 1000).title == expected


def pdf_text(*lines: str) -> str:
    return read(pdf(["\n".join(lines)]), "application/pdf", None, 10_000).content.strip()


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (("Order AB-", "1234 today"), "Order AB-1234 today"),
        (("between 4711-", "0815 only"), "between 4711-0815 only"),
        (("by Jean-", "Pierre himself"), "by Jean-Pierre himself"),
        (("a well-", "known fact"), "a well-known fact"),
        (("state-of-the-", "art tools"), "state-of-the-art tools"),
        (("more infor-", "mation here"), "more information here"),
        (("the deve-", "lopment goes on"), "the development goes on"),
        # what the rest of the document writes decides
        (("a Regel-", "werk und ein Regelwerk"), "a Regelwerk und ein Regelwerk"),
        (("a dash -", "and more"), "a dash -\nand more"),
        (("a read-", "only file"), "a read-only file"),
        (("an open-", "source licence"), "an open-source licence"),
        (("bring it up-", "to-date now"), "bring it up-to-date now"),
        (("in real-", "time"), "in real-time"),
        (("to under-", "stand it"), "to understand it"),
        (("each require-", "ment"), "each requirement"),
        (("der Ver-", "trag"), "der Vertrag"),
        (("seine Rech-", "nung"), "seine Rechnung"),
        (("Vor-", "und Nachteile"), "Vor- und Nachteile"),
        (("two-", "and three-day trips"), "two- and three-day trips"),
        # in a narrow column
        (("der Ver-", "siche-", "rung"), "der Versicherung"),
        (("AB-", "12-", "34"), "AB-12-34"),
    ],
)
def test_a_hyphen_at_a_line_s_end_stays_unless_it_divides_a_word(lines: tuple[str, ...], text: str) -> None:
    assert pdf_text(*lines) == text


def test_hyphens_with_a_code_of_their_own_are_the_usual_one() -> None:
    assert html("", "AB\u20111234 and well\u2010known", "utf-8") == "AB-1234 and well-known"


def test_paragraphs_of_a_pdf_are_apart() -> None:
    shown = b"(The first one) Tj T* (has two lines.) Tj 0 -26 Td (The second one) Tj T* (too.) Tj 0 -26 Td (Third.) Tj"
    page = assembled([(b"BT /F1 11 Tf 14 TL 50 780 Td " + shown + b" ET", b"")])
    text = read(page, "application/pdf", None, 1000).content
    assert text == "The first one\nhas two lines.\n\nThe second one\ntoo.\n\nThird."


def test_pages_without_text_are_counted() -> None:
    text = read(pdf([LINE, "", LINE, ""]), "application/pdf", None, 1000)
    assert (len(text.page_starts), text.pages_without_text) == (4, 2)
    assert [text.content[start:].startswith(LINE) for start in text.page_starts] == [True, False, True, False]


def test_a_page_in_a_form_keeps_its_text() -> None:
    page = "<form id='aspnetForm'><h1>Rules</h1><p>Dogs are welcome.</p><input type='hidden' value='x'></form>"
    assert html("", page, "utf-8") == "# Rules\n\nDogs are welcome."
