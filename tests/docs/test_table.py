"""Every block of code in the documents has an entry that says how it is run, and every command in them exists."""

from __future__ import annotations

import ast
import re
import subprocess
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.entries import Elsewhere, Read, Shell, Shown, Targets
from tests.docs.table import TABLE
from tests.support.documented import DOCUMENTS, block, blocks, inline_commands
from tests.support.documented_commands import SHELL, asked_for_help, commands, flags, help_of, program, spelled_out
from tests.support.sources import ROOT

READ = [entry for entry in TABLE if isinstance(entry, Read)]
ELSEWHERE = [entry for entry in TABLE if isinstance(entry, Elsewhere)]
MAKEFILE = (ROOT / "Makefile").read_text()
HELP = dict(re.findall(r"^([a-z][a-z-]*):.*?## (.*)$", MAKEFILE, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_has_one_entry(document: str) -> None:
    entries = Counter(block(document, entry.excerpt).place for entry in TABLE if entry.document == document)
    missing = [one.place for one in blocks(document) if one.language and one.place not in entries]
    assert missing == [], "add a line to tests/docs/table.py, which says how"
    assert [place for place, count in entries.items() if count > 1] == []


def test_every_entry_is_of_a_document_that_is_looked_at() -> None:
    assert {entry.document for entry in TABLE} <= set(DOCUMENTS)


@pytest.mark.parametrize("entry", READ, ids=lambda entry: f"{entry.document}: {entry.excerpt}")
def test_the_test_of_a_block_is_there_and_reads_it(entry: Read) -> None:
    path, _, name = entry.test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in functions, f"there is no {entry.test}"
    reader = ROOT / (entry.reader or path)
    if reader.suffix == ".py":
        assert (entry.document, entry.excerpt) in calls_of_block(reader), f"{reader} does not read the block"
    else:  # in another language: it takes the only block of its kind
        language = block(entry.document, entry.excerpt).language
        assert entry.document in reader.read_text()
        assert f"```{language}" in reader.read_text()
        assert [one.language for one in blocks(entry.document)].count(language) == 1


def test_make_target_runs_the_tests_of_the_blocks() -> None:
    _, _, recipe = MAKEFILE.partition("\ndocs-commands:")
    recipe, _, _ = recipe.partition("\n\n")
    words = re.findall(r"\w+", recipe.partition('-k "')[2])
    for entry in READ:
        path, _, name = entry.test.partition("::")
        assert path in recipe or "tests/docs" in path
        assert any(word in f"{path} {name}" for word in words), f"-k leaves {entry.test} out"


def calls_of_block(reader: Path) -> set[tuple[str, ...]]:
    """The arguments of each call of `block` in a file, where they are texts."""
    return {
        tuple(given.value for given in node.args if isinstance(given, ast.Constant))
        for node in ast.walk(ast.parse(reader.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "block"
    }


def test_entries_give_their_reasons() -> None:
    for entry in TABLE:
        if isinstance(entry, Elsewhere | Shown):
            assert len(entry.reason) > 10, entry
        if isinstance(entry, Targets):
            assert (ROOT / entry.run_by).exists() or " " in entry.run_by, f"there is no {entry.run_by}"


def told() -> dict[str, list[list[str]]]:
    """The commands that are not run here, each with its places."""
    found: dict[str, list[list[str]]] = {}
    for entry in TABLE:
        if isinstance(entry, Elsewhere | Targets):
            found.setdefault(f"{entry.document}: {entry.excerpt}", []).extend(
                commands(block(entry.document, entry.excerpt).text)
            )
    for document in DOCUMENTS:
        for command in inline_commands(document):
            for one in spelled_out(command):
                found.setdefault(f"{document}: {command}", []).extend(commands(one))
    return found


def test_targets_of_the_makefile_are_there() -> None:
    targets: dict[str, str] = {}
    for place, told_there in told().items():
        for words in told_there:
            if program(words) == "make":
                names = [word for word in words[1:] if re.fullmatch(r"[a-z][a-z-]*", word)]
                targets |= dict.fromkeys(names, place)
                for variable in re.findall(r"\b([A-Z]+)=", " ".join(words)):
                    assert f"$({variable})" in MAKEFILE or f"$(or $({variable})" in MAKEFILE, place
    assert targets
    assert {name: place for name, place in targets.items() if name not in HELP} == {}
    done = subprocess.run(["make", "--dry-run", *HELP], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_help_of_the_makefile_is_true() -> None:
    """It lists every target but the parts of others, and the files that it names are there."""
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert set(re.findall(r"^  make ([a-z-]+) ", listed, re.MULTILINE)) == set(HELP)
    phony = set(re.findall(r"^\.PHONY: ([a-z-]+)$", MAKEFILE, re.MULTILINE))
    assert set(HELP) <= phony
    assert phony - set(HELP) == {"static"}
    for name, text in HELP.items():
        for path in re.findall(r"\b((?:docs|web|supabase|tests)/[\w./-]*\w)", text):
            made = path in ("web/dist", "web/dist-states")
            assert made or (ROOT / path).exists(), f"make {name}: there is no {path}"


@pytest.mark.timeout(400)  # each program is started for its help, which takes long on a busy machine
def test_modules_subcommands_and_flags_are_there() -> None:
    unchecked = {f"{entry.document}: {entry.excerpt}": entry.unchecked for entry in ELSEWHERE}
    wrong: list[str] = []
    for place, told_there in told().items():
        for words in told_there:
            if program(words) in {"make", *SHELL, *unchecked.get(place, ())}:
                continue
            asked = asked_for_help(words)
            if asked is None:
                wrong.append(f"{place}: nothing looks up {words[0]}; is it `unchecked`?")
                continue
            if asked[1] == "-m" and not asked[3:-1] and not flags(words):
                assert find_spec(asked[2]) is not None, f"{place}: there is no module {asked[2]}"
                continue
            text = help_of(asked)
            wrong += [
                f"{place}: {' '.join(asked)} does not name {flag}"
                for flag in flags(words)
                if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text)
            ]
    assert wrong == []


def test_shell_blocks_are_of_a_shell() -> None:
    for entry in TABLE:
        if isinstance(entry, Shell | Targets):
            assert block(entry.document, entry.excerpt).language in ("sh", "bash"), entry
