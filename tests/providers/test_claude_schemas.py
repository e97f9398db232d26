"""JSON schemas for Claude's structured output: nothing that they say is lost, or they are not used at all."""

from __future__ import annotations

from typing import Any

import pytest

from app.providers.claude.schemas import closed


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def closed_object(**properties: Any) -> dict[str, Any]:
    return {**an_object(**properties), "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "accepted"),
    [
        (an_object(a={"type": "string"}), closed_object(a={"type": "string"})),
        (
            an_object(a={"type": ["string", "null"], "description": "Maybe."}),
            closed_object(a={"description": "Maybe.", "anyOf": [{"type": "string"}, {"type": "null"}]}),
        ),
        (
            an_object(a={"type": ["array", "null"], "items": an_object(b={"type": "integer"})}),
            closed_object(
                a={"anyOf": [{"type": "array", "items": closed_object(b={"type": "integer"})}, {"type": "null"}]}
            ),
        ),
        (
            an_object(a={"type": "integer", "minimum": 1}),
            closed_object(a={"type": "integer", "description": "{minimum: 1}"}),
        ),
        (an_object(a={"type": ["string", "null"], "enum": ["x", None]}), closed_object(a={"enum": ["x", None]})),
        (
            {
                **an_object(a={"$ref": "#/$defs/A", "description": "Where."}),
                "$defs": {"A": an_object(b={"type": "null"})},
            },
            {
                **closed_object(a={"description": "Where.", "anyOf": [{"$ref": "#/$defs/A"}]}),
                "$defs": {"A": closed_object(b={"type": "null"})},
            },
        ),
    ],
)
def test_schemas_that_it_accepts(schema: dict[str, Any], accepted: dict[str, Any]) -> None:
    assert closed(schema) == accepted


@pytest.mark.parametrize("depth", [15, 45])
def test_lists_of_types_within_each_other_are_not_multiplied_without_end(depth: int) -> None:
    """A small body may hold 45 of them, which would be read as 2 ** 45 schemas."""
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": ["object", "array"], "properties": {"a": schema}, "items": {"type": "string"}}
    assert closed(schema) is None


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = an_object(a=schema)
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        an_object(a={"type": "object", "additionalProperties": {"type": "string"}}),
        {**an_object(a={"type": "string"}), "additionalProperties": True},
        an_object(a={}),
        an_object(a=True),
        an_object(a={"anyOf": "x"}),
        nested(5000),
    ],
    ids=["any object", "a map", "open", "anything", "true", "no list", "deep"],
)
def test_schemas_that_it_cannot_have(schema: dict[str, Any]) -> None:
    assert closed(schema) is None
