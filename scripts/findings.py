"""`make findings`: writes the table of findings/README.md from the beginnings of the programs there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "findings"
PAGE = FOLDER / "README.md"
BEGIN, END = "<!-- begin, written by `make findings` -->", "<!-- end -->"
_HEADER = re.compile(
    r"#!/bin/sh\n"
    r"# One would guess: (?P<guess>.+?)\n"
    r"# What happens: (?P<fact>.+?)\n"
    r"# Ends with 0 while that is so, with 1 when it has changed\. Needs (?P<needs>.+?)\.\n",
    re.DOTALL,
)
_PIN = re.compile(r"(?<![\w@/.-])(@?[a-zA-Z][\w./-]*?)(?:\[\w+\])?(?:==|@)(\d[\w.]*)")


class HeaderError(Exception):
    """A program does not begin as the others do. The message names it and what is missing."""


@dataclass(frozen=True)
class Finding:
    name: str
    packages: tuple[str, ...]
    """With the versions that it installs; the first is what it is about."""
    guess: str
    fact: str


def read(path: Path) -> Finding:
    """Raises HeaderError."""
    text = path.read_text()
    header = _HEADER.match(text)
    if header is None:
        raise HeaderError(f"{path.name}: begin with `# One would guess: …`, `# What happens: …` and what it ends with")
    code = text[header.end() :].replace("\\\n", " ")
    installs = "\n".join(line for line in code.splitlines() if re.search(r"\b(pip|npm)\S* install\b|install --", line))
    packages = tuple(dict.fromkeys(f"{name} {version}" for name, version in _PIN.findall(installs)))
    if not packages:
        raise HeaderError(f"{path.name}: it installs no package of one version")
    return Finding(path.name, packages, _plain(header["guess"]), _plain(header["fact"]))


def _plain(text: str) -> str:
    return re.sub(r"\n# ", " ", text).replace("|", "\\|")


def table() -> str:
    rows = [read(path) for path in sorted(FOLDER.glob("*.sh"))]
    lines = [f"| [{one.name}]({one.name}) | {', '.join(one.packages)} | {one.guess} | {one.fact} |" for one in rows]
    return "\n".join(["| program | with | one would guess | what happens |", "|---|---|---|---|", *lines])


def written() -> str:
    """The page with the table as it must be."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin
    assert end
    return f"{before}{begin}\n\n{table()}\n\n{end}{after}"


if __name__ == "__main__":
    PAGE.write_text(written())
