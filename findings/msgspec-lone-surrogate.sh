#!/bin/sh
# One would guess: JSON that ends as it should and holds half of a surrogate pair is refused for that half, or decoded.
# What happens: where the first half ends a text, msgspec says that the input was truncated, though it is whole; a half
# that is followed by something else is called what it is.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "msgspec==0.22.0"

"$folder/venv/bin/python" - <<'PYTHON'
import json
import sys

import msgspec

print(f"msgspec {msgspec.__version__}")
seen = []
for text in (r'{"name": "\ud83d"}', r'{"name": "\ud83d and more"}', r'{"name": "\ud83d\ude00"}'):
    json.loads(text)  # it is whole
    try:
        said = repr(msgspec.json.decode(text))
    except msgspec.DecodeError as error:
        said = str(error)
    print(f"  {text}: {said}")
    seen.append(said)
truncated, called, taken = seen
changed = truncated != "Input data was truncated" or "surrogate" not in called or taken != "{'name': '😀'}"
sys.exit(1 if changed else 0)
PYTHON
