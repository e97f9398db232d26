"""Small PDFs for tests, written by hand: real ones, broken ones, and bombs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence


def pdf(pages: Sequence[str], *, title: str | None = None) -> bytes:
    """A PDF with a line of text for each line of a page."""
    streams = [page_stream(page).encode("latin-1", "replace") for page in pages]
    return assembled([(stream, b"") for stream in streams], title=title)


def page_stream(text: str) -> str:
    lines = [line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)") for line in text.splitlines()]
    shown = "".join(f"({line}) Tj T*\n" for line in lines)
    return f"BT /F1 11 Tf 14 TL 50 780 Td\n{shown}ET"


def widgets(labels: str, fields: Sequence[str]) -> bytes:
    """A PDF whose page has `labels`, as operators of its content stream, and these fields or other annotations."""
    page = f"BT /F1 11 Tf {labels} ET".encode()
    numbers = range(6, 6 + len(fields))
    references = " ".join(f"{number} 0 R" for number in numbers)
    mark = b"<< /N << /Yes %d 0 R /Off %d 0 R >> >>" % (numbers.stop, numbers.stop)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%s] /DR << /Font << /F1 3 0 R >> >> >> >>"
        % references.encode(),
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
        b"/Contents 5 0 R /Annots [%s] >>" % references.encode(),
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(page), page),
    ]
    for field in fields:
        entries = field if "/Subtype" in field else f"/Subtype /Widget {field} /DA (/F1 11 Tf 0 g)"
        entries = entries if "/F " in field else f"{entries} /F 4"
        appearance = b" /AP " + mark if "/Btn" in field else b""
        objects.append(b"<< /Type /Annot %s /P 4 0 R%s >>" % (entries.encode(), appearance))
    objects.append(b"<< /Type /XObject /Subtype /Form /BBox [0 0 14 14] /Length 0 >>\nstream\n\nendstream")
    return _file(objects)


def bomb(megabytes: int) -> bytes:
    """A PDF whose one page unpacks to that much, twice compressed."""
    inner = zlib.compress(b"(A) Tj " * (megabytes * 150_000), 9)
    return assembled([(zlib.compress(inner, 9), b"/Filter [/FlateDecode /FlateDecode]")])


def assembled(streams: Sequence[tuple[bytes, bytes]], *, title: str | None = None) -> bytes:
    """A PDF of pages with these content streams: (bytes, entries of its dictionary)."""
    count = len(streams)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {count} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, (stream, entries) in enumerate(streams):
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % (5 + 2 * number)
        )
        objects.append(b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(stream), entries, stream))
    info = b""
    if title is not None:
        objects.append(f"<< /Title ({title}) >>".encode())
        info = b" /Info %d 0 R" % len(objects)
    return _file(objects, info)


def _file(objects: Sequence[bytes], info: bytes = b"") -> bytes:
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    size = len(objects) + 1
    return (
        body
        + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R%s >>\nstartxref\n%d\n%%%%EOF\n"
        % (
            size,
            table,
            size,
            info,
            len(body),
        )
    )
