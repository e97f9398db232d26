"""JSON schemas as Claude's structured output accepts them."""

from __future__ import annotations

from typing import Any

from anthropic import transform_schema

Schema = dict[str, Any]

_WITH_ONE = ("items", "not")
_WITH_LIST = ("anyOf", "oneOf", "allOf", "prefixItems")
_WITH_NAMED = ("properties", "$defs", "definitions")

MOST_PARTS = 10_000
"""Of a schema. Lists of types within each other multiply what is in them: thirty of them would be read for an hour."""


def closed(schema: Schema) -> Schema | None:
    """`schema` with no other fields than those that it names, and with the limits that Claude does not know in its
    descriptions. None when it has what the structured output lacks: an object of any fields, or of none that it names;
    and when it would have more than `MOST_PARTS`.
    """
    try:
        plain = _with_one_type(schema)
        return None if _is_larger(plain) else transform_schema(plain)
    # the SDK's function raises them for schemas that are valid, but not by its own subset
    except (ValueError, TypeError, AttributeError, AssertionError, RecursionError):
        return None


def _is_larger(schema: Schema) -> bool:
    """Whether `schema` has more than `MOST_PARTS`, those counted again that stand in several places."""
    waiting: list[object] = [schema]
    for _ in range(MOST_PARTS):
        if not waiting:
            return False
        part = waiting.pop()
        if isinstance(part, dict):
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
    return bool(waiting)


def _with_one_type(schema: Schema) -> Schema:
    """`schema` with an `anyOf` in the place of each list of types, and of each reference with a description, which the
    SDK (2.12) does not know. Raises `ValueError` for an object that is open."""
    if schema.get("additionalProperties") or (schema.get("type") == "object" and not schema.get("properties")):
        raise ValueError("an open object")
    walked = dict(schema)
    for key in _WITH_ONE:
        if key in walked:
            walked[key] = _with_one_type(walked[key])
    for key in _WITH_LIST:
        if key in walked:
            walked[key] = [_with_one_type(each) for each in walked[key]]
    for key in _WITH_NAMED:
        if key in walked:
            walked[key] = {name: _with_one_type(each) for name, each in walked[key].items()}
    about: Schema = {key: walked[key] for key in ("title", "description") if key in walked}
    if about and "$ref" in walked:
        # what stands beside a reference would be left out
        kept: Schema = {key: walked[key] for key in ("$defs", "definitions") if key in walked}
        return {**about, **kept, "anyOf": [{"$ref": walked["$ref"]}]}
    if not isinstance(types := walked.get("type"), list) or "enum" in walked:
        return walked
    walked = {key: value for key, value in walked.items() if key != "type" and key not in about}
    return {**about, "anyOf": [{"type": "null"} if one == "null" else {**walked, "type": one} for one in types]}
