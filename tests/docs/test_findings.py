"""The programs of findings/ say what they show, and their page lists them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.findings import FOLDER, PAGE, HeaderError, read, written

PROGRAMS = sorted(FOLDER.glob("*.sh"))


def test_page_lists_every_program() -> None:
    assert PAGE.read_text() == written(), "run `make findings`"


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_says_what_it_shows_and_cleans_up(path: Path) -> None:
    found = read(path)
    assert len(found.guess) > 40
    assert len(found.fact) > 40
    text = path.read_text()
    assert "set -eu\n" in text
    assert "mktemp -d" in text
    assert re.search(r"trap .+ EXIT", text)
    # no address of a registry, and nothing of this repository
    assert not re.search(r"--(extra-)?index-url|--registry|parley", text, re.IGNORECASE)
    hosts = set(re.findall(r"https?://([\w.-]+)", text))
    assert hosts <= {"127.0.0.1", "localhost", "host", "schemas.openxmlformats.org"}, hosts


def test_program_without_a_beginning_is_named(tmp_path: Path) -> None:
    (tmp_path / "some.sh").write_text("#!/bin/sh\n# One would guess: nothing\necho\n")
    with pytest.raises(HeaderError, match=r"^some\.sh: begin with"):
        read(tmp_path / "some.sh")
