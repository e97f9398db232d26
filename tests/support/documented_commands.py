"""The commands of a shell script, and the help of their programs."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from itertools import product

from tests.support.sources import ROOT

SHELL = {"set", ".", "export", "cd", "echo", "printf", "test", "true", "umask"}
"""Of the shell itself, or of every system."""
PREFIXES = {"exec", "nice", "sudo", "time"}
_ENDS = set(";|&()<>")


def commands(script: str) -> Iterator[list[str]]:
    """The words of each command of a script, without assignments before it."""
    lexer = shlex.shlex(script.replace("\\\n", " ").replace("\n", "\n;"), posix=True, punctuation_chars=";|&()<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if not _ENDS.issuperset(word):
            words.append(word)
        elif word in ("<", ">", ">>"):
            words.append("…")
        else:
            while words and (words[0] in PREFIXES or re.match(r"\w+=", words[0])):
                del words[0]
            if words:
                yield words
            words = []


def spelled_out(command: str) -> list[str]:
    """A command of the text, once for each choice that it leaves: `keys create|list` is two."""
    return [" ".join(words) for words in product(*(word.split("|") for word in command.split(" ")))]


def program(words: list[str]) -> str:
    """The program's name, without its folder."""
    return words[0].rpartition("/")[2]


def asked_for_help(words: list[str]) -> tuple[str, ...] | None:
    """The command that prints the help for a command; None for a program that the lock files do not install."""
    name, rest = program(words), words[1:]
    if name.startswith("python") and rest[:1] == ["-m"]:
        start = [sys.executable, "-m", rest[1]]
        rest = rest[2:]
    elif name.startswith("python") and rest[:1] and rest[0].endswith(".py"):
        start = [sys.executable, rest[0]]
        rest = rest[1:]
    elif name.endswith(".py"):
        start = [sys.executable, words[0]]
    elif name == "npx":
        start = [str(ROOT / "node_modules/.bin" / rest[0])]
        rest = rest[1:]
    elif words[0].startswith(".venv/bin/"):
        start = [str(ROOT / words[0])]
    else:
        return None
    subcommands: list[str] = []
    for word in rest:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        subcommands.append(word)
    return (*start, *subcommands, "--help")


@cache
def help_of(command: tuple[str, ...]) -> str:
    """Raises AssertionError for a program, module or subcommand that there is not."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, f"{shlex.join(command)}: {done.stderr or done.stdout}"
    return done.stdout


def flags(words: list[str]) -> list[str]:
    """The options of a command, without their values."""
    return [word.partition("=")[0] for word in words[1:] if re.match(r"--?[a-zA-Z]", word) and word != "-m"]
