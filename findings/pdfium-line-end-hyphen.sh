#!/bin/sh
# One would guess: text read from a PDF keeps its lines, and a hyphen that stands at a line's end stays a hyphen; whoever
# wants to join divided words then looks for a hyphen before a line break.
# What happens: pdfium joins the two lines itself and puts a control character in the hyphen's place, U+0002 when the text
# of an area is asked for and U+FFFE when that of a range is, for every real hyphen between letters: an order number and a
# compound lose theirs as a divided word does. Between two digits the line break stays.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "pypdfium2==5.15.2"

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

import pypdfium2


def pdf(lines):
    """A page with one line of Helvetica for each of these."""
    shown = b"BT /F1 11 Tf 14 TL 50 780 Td " + b" ".join(b"(%s) Tj T*" % line.encode() for line in lines) + b" ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(shown), shown),
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(body)
    return body + b"xref\n0 6\n0000000000 65535 f \n" + table + trailer


print(f"pypdfium2 {version('pypdfium2')}")
seen = []
for lines in (["order AB-", "1234 today"], ["a well-", "known fact"], ["more infor-", "mation"], ["pages 10-", "12"]):
    page = pypdfium2.PdfDocument(pdf(lines))[0].get_textpage()
    area, text_range = page.get_text_bounded(), page.get_text_range()
    print(f"  {lines}: of the area {area!r}, of the range {text_range!r}")
    seen.append((area, text_range))
expected = [
    ("order AB\x021234 today", "order AB\ufffe1234 today"),
    ("a well\x02known fact", "a well\ufffeknown fact"),
    ("more infor\x02mation", "more infor\ufffemation"),
    ("pages 10-\r\n12", "pages 10-\r\n12"),
]
sys.exit(0 if seen == expected else 1)
PYTHON
