"""Holds what the API answers against its description, docs/openapi.json: every response of a `person_client`.

A status, a media type, a header or a body that an operation does not describe fails the test that got it.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
JSON = {"application/json", "application/problem+json"}

_URI = "urn:openapi"
_registry: Registry[Any] = Registry().with_resource(_URI, Resource.from_contents(DOCUMENT, DRAFT202012))
_paths = [
    (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))), operations)
    for template, operations in DOCUMENT["paths"].items()
]


@functools.cache
def validator(*path: str) -> Draft202012Validator:
    """For values of the schema at a path in the document."""
    pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in path)
    return Draft202012Validator({"$ref": f"{_URI}#/{pointer}"}, registry=_registry)


def check_component(name: str, value: object) -> None:
    """Raises jsonschema's ValidationError unless the value is one of that component."""
    validator("components", "schemas", name).validate(value)


async def check_response(response: httpx.Response) -> None:
    """Raises AssertionError or ValidationError for a response that its operation does not describe."""
    request = response.request
    found: dict[str, Any] = next((item for pattern, item in _paths if pattern.fullmatch(request.url.path)), {})
    operation = found.get(request.method.lower())
    if operation is None:  # a path or a method that there is not
        return
    name, status = operation["operationId"], str(response.status_code)
    assert status in operation["responses"], f"{name} does not describe {status}"
    described = operation["responses"][status]
    strange = {header for header in DOCUMENT["components"]["headers"] if header in response.headers}
    strange -= set(described["headers"])
    assert not strange, f"{name} does not describe {strange} of {status}"
    if "content" not in described:
        assert await response.aread() == b""
        return
    media_type = response.headers["content-type"].partition(";")[0]
    assert media_type in described["content"], f"{name} does not describe {media_type} of {status}"
    if media_type in JSON:
        schema = described["content"][media_type]["schema"]
        await response.aread()
        Draft202012Validator(_absolute(schema), registry=_registry).validate(response.json())


def _absolute(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema of a response, which is a reference or a choice of them, for use outside of the document."""
    if "$ref" in schema:
        return {"$ref": _URI + schema["$ref"]}
    return {"oneOf": [_absolute(choice) for choice in schema["oneOf"]]}
