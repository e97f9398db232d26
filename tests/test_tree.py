"""The tree of tests: a name is one file's, what folders share is in `tests/support`, and the map knows every folder."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

from tests.support.sources import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()


def home(path: Path) -> str:
    """The folder of `tests` that a file is in; empty for those directly below."""
    below = path.relative_to(TESTS).parts
    return below[0] if len(below) > 1 else ""


def imported(path: Path) -> set[tuple[str, ...]]:
    """The modules of `tests` that a file imports, each as the parts of its path below `tests`."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            # `from tests.support import upstream` names the module in its second half
            modules.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    paths = {tuple(name.split(".")[1:]) for name in modules if name.startswith("tests.")}
    return {path for path in paths if TESTS.joinpath(*path).with_suffix(".py").exists()}


def test_no_two_test_files_have_one_name() -> None:
    names = Counter(path.name for path in FILES if path.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_what_folders_share_is_in_support() -> None:
    """A file imports from its own folder and from `tests/support`, and no file of tests."""
    for path in FILES:
        reachable = {"support", home(path)} - {""}
        for parts in imported(path):
            assert parts[0] in reachable, f"{path.relative_to(ROOT)} imports tests.{'.'.join(parts)}"
            assert not parts[-1].startswith("test_"), f"{path.relative_to(ROOT)} imports tests.{'.'.join(parts)}"


def test_the_map_of_the_tests_knows_every_folder() -> None:
    folders = {path.name for path in TESTS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert set(re.findall(r"^\| `tests/(\w+)/`", CONTRIBUTING, re.MULTILINE)) == folders


def test_the_map_of_the_tests_knows_every_module_that_is_shared() -> None:
    shared = {path.stem for path in FILES if home(path) == "support"} - {"__init__"}
    _, _, table = CONTRIBUTING.partition("| module | gives |")
    rows = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == shared


def scripted_ids(path: Path) -> set[str]:
    """The ids that a file gives to scripts of the provider, where they are texts."""
    return {
        given.value.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "script"
        for given in node.keywords
        if given.arg == "id" and isinstance(given.value, ast.Constant) and isinstance(given.value.value, str)
    }


def test_no_two_files_script_the_provider_under_one_id() -> None:
    """The provider is shared by all files: a file that asks for the call of an id would get another one's."""
    ids = Counter(marker for path in FILES for marker in scripted_ids(path))
    assert ids
    assert [marker for marker, count in ids.items() if count > 1] == []
