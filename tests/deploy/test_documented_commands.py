"""kubectl knows each command of docs/deploy.md and its flags; a cluster to run them in is not there."""

from __future__ import annotations

import re

import pytest

from tests.deploy.conftest import Tools
from tests.support.documented import blocks
from tests.support.documented_commands import commands, flags, program

KUBECTL = [
    words
    for one in blocks("docs/deploy.md")
    if one.language == "sh"
    for words in commands(one.text)
    if program(words) == "kubectl"
]


def test_there_are_commands_of_kubectl() -> None:
    assert len(KUBECTL) >= 8


@pytest.mark.parametrize("words", KUBECTL, ids=" ".join)
def test_kubectl_knows_the_command(tools: Tools, words: list[str]) -> None:
    # what stands behind `--` is run in the container
    words = words[: words.index("--")] if "--" in words else words
    plain = [word for word in words[1:] if re.fullmatch(r"[a-z]+", word) and word != "parley"]
    asked = tools.run("kubectl", *plain, "--help")
    assert asked.returncode == 0, asked.stderr
    assert f"kubectl {' '.join(plain)}" in asked.stdout
    known = asked.stdout + tools.run("kubectl", "options").stdout
    assert [flag for flag in flags(words) if f"{flag}=" not in known] == []
