#!/bin/sh
# One would guess: anthropic's transform_schema, which puts what Claude's structured output does not know into the
# descriptions, keeps descriptions. JSON Schema allows one beside a $ref, and pydantic writes it for each field of a
# nested model that has one.
# What happens: whatever stands beside a $ref is left out without a word. Inside an anyOf of that one $ref it is kept.
# Ends with 0 while that is so, with 1 when it has changed. Needs Python 3.11 and a package index.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "anthropic==2.12.0"

"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from anthropic import transform_schema
from pydantic import BaseModel, Field


class City(BaseModel):
    name: str


class Trip(BaseModel):
    home: City = Field(description="Where it begins.")


print(f"anthropic {version('anthropic')}, pydantic {version('pydantic')}")
field = Trip.model_json_schema()["properties"]["home"]
beside = transform_schema(Trip)["properties"]["home"]
inside = transform_schema({"description": field["description"], "anyOf": [{"$ref": field["$ref"]}]})
print(f"  pydantic:         {field}")
print(f"  transform_schema: {beside}")
print(f"  with an anyOf:    {inside}")
sys.exit(0 if "description" in field and "description" not in beside and "description" in inside else 1)
PYTHON
