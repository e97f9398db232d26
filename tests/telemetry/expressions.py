"""The metrics and labels that an expression of PromQL names, by the parser of promql-parser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import promql_parser


class Selected(NamedTuple):
    """A selector of an expression: a metric's name, and the values that its labels may have."""

    name: str
    matchers: dict[str, list[str]]


def parsed(expression: str) -> Any:
    """Raises ValueError for what is no PromQL."""
    return promql_parser.parse(expression)


def parts(tree: Any) -> Iterator[Any]:
    """A tree and all below it."""
    yield tree
    children = [getattr(tree, name, None) for name in ("expr", "lhs", "rhs", "vector_selector", "param")]
    for child in (*children, *getattr(tree, "args", ())):
        if isinstance(child, promql_parser.Expr):
            yield from parts(child)


def selected(tree: Any) -> list[Selected]:
    found = []
    for part in parts(tree):
        if isinstance(part, promql_parser.VectorSelector):
            matchers = {one.name: one.value.split("|") for one in part.matchers.matchers}
            found.append(Selected(part.name, matchers))
    return found


def grouped(tree: Any) -> set[str]:
    """The labels by which anything is grouped or matched."""
    labels: set[str] = set()
    for part in parts(tree):
        modifier = getattr(part, "modifier", None)
        for holder in (modifier, getattr(modifier, "matching", None)):
            labels.update(getattr(holder, "labels", None) or ())
    return labels
