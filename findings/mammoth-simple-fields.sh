#!/bin/sh
# One would guess: text that Word shows of a field (a merged name, a page number, a reference) is in what mammoth makes of
# the document, whichever of the format's two ways the field is written in.
# What happens: text of a complex field (w:fldChar) is there. That of a simple field (w:fldSimple) is left out, with a
# message of the library and without an error; so a letter made of merge fields loses its names.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "mammoth==1.13.0"

"$folder/venv/bin/python" - <<'PYTHON'
import io
import sys
import zipfile
from importlib.metadata import version

import mammoth

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
TYPES = (
    f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/word/document.xml" ContentType="{MAIN}"/></Types>'
)
LINKS = (
    f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{OFFICE}" Target="word/document.xml"/></Relationships>'
)


def run(inside: str) -> str:
    return f"<w:r>{inside}</w:r>"


SAID = run("<w:t>Ada</w:t>")
FIELDS = {
    "simple": f'<w:fldSimple w:instr=" MERGEFIELD name ">{SAID}</w:fldSimple>',
    "complex": run('<w:fldChar w:fldCharType="begin"/>')
    + run("<w:instrText> MERGEFIELD name </w:instrText>")
    + run('<w:fldChar w:fldCharType="separate"/>')
    + SAID
    + run('<w:fldChar w:fldCharType="end"/>'),
}


def read(field: str) -> str:
    line = run('<w:t xml:space="preserve">Dear </w:t>') + field + run("<w:t>,</w:t>")
    document = f'<w:document xmlns:w="{WORD}"><w:body><w:p>{line}</w:p></w:body></w:document>'
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as package:
        package.writestr("[Content_Types].xml", TYPES)
        package.writestr("_rels/.rels", LINKS)
        package.writestr("word/document.xml", document)
    return str(mammoth.convert_to_html(file).value)


print(f"mammoth {version('mammoth')}: a line that Word shows as 'Dear Ada,'")
seen = {name: read(field) for name, field in FIELDS.items()}
for name, html in seen.items():
    print(f"  with a {name} field: {html}")
sys.exit(0 if seen == {"simple": "<p>Dear ,</p>", "complex": "<p>Dear Ada,</p>"} else 1)
PYTHON
