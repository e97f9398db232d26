"""What the documents tell a reader to run: the blocks of code and the commands in the text."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cache

from tests.support.sources import ROOT

PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "findings/README.md")
DOCUMENTS = tuple(
    path.relative_to(ROOT).as_posix()
    for path in (*(ROOT / name for name in PAGES), *sorted(ROOT.glob("docs/**/*.md")))
    if path.exists()
)
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^\1``` *$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"(?<!`)`((?:\.venv/bin/)?(?:make|python|npx|scripts/\w+\.py)\b[^`]*)`(?!`)")


@dataclass(frozen=True)
class Block:
    """A block of code of a document."""

    document: str
    """Its path in the repository."""
    line: int
    """Where the block begins, from 1."""
    language: str
    """As the document names it; empty for a drawing."""
    text: str

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


@cache
def blocks(document: str) -> tuple[Block, ...]:
    """All blocks of a document, in their order."""
    text = (ROOT / document).read_text()
    return tuple(
        Block(document, text.count("\n", 0, found.start()) + 1, found[2], textwrap.dedent(found[3]))
        for found in _BLOCK.finditer(text)
    )


def block(document: str, excerpt: str) -> Block:
    """The one block of a document that contains this text. Raises LookupError for none or several."""
    found = [one for one in blocks(document) if excerpt in one.text]
    if len(found) != 1:
        raise LookupError(f"{document} has {len(found)} blocks with {excerpt!r}; there must be one")
    return found[0]


@cache
def inline_commands(document: str) -> tuple[str, ...]:
    """The commands in the text of a document: what stands between backticks and begins with a program."""
    text = _BLOCK.sub("", (ROOT / document).read_text())
    return tuple(dict.fromkeys(" ".join(found.split()) for found in _INLINE.findall(text)))
