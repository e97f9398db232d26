"""What is made of files as the world writes them: charsets by their wrong names, turned pages, titles that are none."""

from __future__ import annotations

import pytest

from app.retrieval.formats import read
from tests.retrieval.pdf import pdf

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
