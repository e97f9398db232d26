#!/bin/sh
# One would guess: the text of a PDF page includes what somebody has typed into its form fields; or at the least that it
# does once the page has been flattened, which makes fields part of the page.
# What happens: the values are no text of the page, and flattening the page that one holds does not change that: only a
# page that is loaded again afterwards has them. Nothing is raised on the way.
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

label = b"BT /F1 11 Tf 50 780 Td (Name:) Tj ET"
objects = [
    b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R] /DR << /Font << /F1 3 0 R >> >> >> >>",
    b"<< /Type /Pages /Count 1 /Kids [4 0 R] >>",
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R"
    b" /Annots [6 0 R] >>",
    b"<< /Length %d >>\nstream\n%s\nendstream" % (len(label), label),
    b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (name) /V (Ada) /F 4 /Rect [100 775 300 795] /P 4 0 R"
    b" /DA (/F1 11 Tf 0 g) >>",
]
body, offsets = b"%PDF-1.4\n", []
for number, content in enumerate(objects, 1):
    offsets.append(len(body))
    body += b"%d 0 obj\n%s\nendobj\n" % (number, content)
body, start = body + b"xref\n0 7\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % at for at in offsets), len(body)
body += b"trailer\n<< /Size 7 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start

print(f"pypdfium2 {version('pypdfium2')}")
document = pypdfium2.PdfDocument(body)
document.init_forms()
page = document[0]
seen = [page.get_textpage().get_text_bounded()]
page.flatten()
seen.append(page.get_textpage().get_text_bounded())
seen.append(document[0].get_textpage().get_text_bounded())
for when, text in zip(("as loaded", "the same page, flattened", "loaded again"), seen, strict=True):
    print(f"  {when}: {text!r}")
sys.exit(0 if seen[:2] == ["Name:", "Name:"] and seen[2].split() == ["Name:", "Ada"] else 1)
PYTHON
