"""What somebody has filled into a page of a PDF: fields, ticked boxes, typewritten text. It is no text of the page."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pypdfium2
from pypdfium2 import raw as pdfium

MOST_ANNOTATIONS = 5000
"""Of a page that are looked at."""
NEAR = 1.5
"""Words closer to a field than this many times its height belong to it."""
SLACK_POINTS = 2.0
"""How much higher and lower than a field the words beside it may be."""

_UNSEEN = 1 << 1 | 1 << 5  # hidden, no view: PDF 32000-1, 12.5.3
_PASSWORD = 1 << 13  # 12.7.4.3
_BOXES = (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON)
_LISTS = (pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)


class _Field(msgspec.Struct, frozen=True):
    """A field of a form, in points from the page's lower left."""

    kind: int
    name: str
    value: str
    """"" for one that is not filled in, or a box that is not ticked."""
    left: float
    bottom: float
    right: float
    top: float


def filled_in(page: pypdfium2.PdfPage, environment: pypdfium2.PdfFormEnv | None) -> list[str]:
    """A line for each field that is filled in, with the words beside it, and each text that was written on the page."""
    fields: list[_Field] = []
    written: list[str] = []
    for number in range(min(pdfium.FPDFPage_GetAnnotCount(page), MOST_ANNOTATIONS)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        if not annotation:
            continue
        try:
            if pdfium.FPDFAnnot_GetFlags(annotation) & _UNSEEN:
                continue
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind == pdfium.FPDF_ANNOT_FREETEXT:
                written.append(_text(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents"))
            elif kind == pdfium.FPDF_ANNOT_WIDGET and environment is not None:
                fields.append(_field(environment, annotation))
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)
    return [*(line.strip() for line in _lines(page, fields)), *filter(None, (text.strip() for text in written))]


def _lines(page: pypdfium2.PdfPage, fields: list[_Field]) -> Iterator[str]:
    if not any(field.value for field in fields):
        return
    textpage = page.get_textpage()
    try:
        for field in fields:
            if not field.value:
                continue
            label = _beside(textpage, field, fields).rstrip(": ") or field.name
            # a radio button is one of several that have the same words beside them, or words of its own
            named = field.kind != pdfium.FPDF_FORMFIELD_CHECKBOX and field.value not in label
            text = ": ".join(filter(None, (label, field.value if named else ""))) or field.value
            yield f"[x] {text}" if field.kind in _BOXES else text
    finally:
        textpage.close()


def _beside(textpage: pypdfium2.PdfTextPage, field: _Field, fields: list[_Field]) -> str:
    """The words on the field's line that belong to it: near ones, those on its own side of the next field."""

    def words(left: float, right: float) -> str:
        shown = textpage.get_text_bounded(left, field.bottom - SLACK_POINTS, right, field.top + SLACK_POINTS)
        return " ".join(shown.split())

    near = NEAR * (field.top - field.bottom)
    line = [one for one in fields if one.bottom < field.top and one.top > field.bottom]
    before = max((one.right for one in line if one.right <= field.left), default=0.0)
    after = min((one.left for one in line if one.left >= field.right), default=textpage.page.get_bbox()[2])
    on_the_left, on_the_right = words(before, field.left), words(field.right, after)
    if field.kind in _BOXES and words(field.right, min(after, field.right + near)):
        return on_the_right
    return on_the_left or (on_the_right if field.kind in _BOXES else "")


def _field(environment: pypdfium2.PdfFormEnv, annotation: Any) -> _Field:
    kind = pdfium.FPDFAnnot_GetFormFieldType(environment, annotation)
    name = _text(pdfium.FPDFAnnot_GetFormFieldAlternateName, environment, annotation) or _text(
        pdfium.FPDFAnnot_GetFormFieldName, environment, annotation
    )
    rectangle = pdfium.FS_RECTF()
    pdfium.FPDFAnnot_GetRect(annotation, rectangle)
    value = ""
    if kind in _BOXES:
        if pdfium.FPDFAnnot_IsChecked(environment, annotation):
            value = _text(pdfium.FPDFAnnot_GetFormFieldExportValue, environment, annotation) or "x"
    elif kind in _LISTS:
        value = ", ".join(_chosen(environment, annotation)) or _value(environment, annotation)
    elif (
        kind == pdfium.FPDF_FORMFIELD_TEXTFIELD
        and not pdfium.FPDFAnnot_GetFormFieldFlags(environment, annotation) & _PASSWORD
    ):
        value = _value(environment, annotation)
    return _Field(kind, name, value, rectangle.left, rectangle.bottom, rectangle.right, rectangle.top)


def _value(environment: pypdfium2.PdfFormEnv, annotation: Any) -> str:
    return _text(pdfium.FPDFAnnot_GetFormFieldValue, environment, annotation).strip()


def _chosen(environment: pypdfium2.PdfFormEnv, annotation: Any) -> Iterator[str]:
    """The words of the options that are chosen: a list's value is only its short name for them."""
    for option in range(pdfium.FPDFAnnot_GetOptionCount(environment, annotation)):
        if pdfium.FPDFAnnot_IsOptionSelected(environment, annotation, option):
            yield _text(pdfium.FPDFAnnot_GetOptionLabel, environment, annotation, option)


def _text(function: Callable[..., int], *arguments: object) -> str:
    """What one of pdfium's functions writes into a buffer: UTF-16, with a NUL at its end."""
    size = function(*arguments, None, 0)
    buffer = ctypes.create_string_buffer(size)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    return buffer.raw[:size].decode("utf-16-le", errors="replace").rstrip("\0")
