"""The source files of the service, and what they import."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
APP = ROOT / "app"
SOURCES = {path: path.read_text() for path in sorted(APP.rglob("*.py"))}


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def imports(source: str) -> frozenset[str]:
    """The dotted names that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            # `from app import store` names the stage in its second half
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)
