"""The ways in which a block of the documents is run; `tests/docs/table.py` has an entry for each block."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    document: str
    excerpt: str
    """A text that stands in this block alone."""


@dataclass(frozen=True)
class Shell(Entry):
    """`tests/docs/test_blocks.py` runs it, in `sh`, in a copy of the repository, with an API that runs."""

    says: tuple[str, ...] = ()
    """What its output must contain."""
    replaced: dict[str, str] = field(default_factory=dict)
    """Texts of the block that stand for something of the reader's, and what they are here; `{name}` is that
    variable of the environment."""
    code: int = 0
    """What its last command ends with."""


@dataclass(frozen=True)
class Sql(Entry):
    """`tests/docs/test_blocks.py` runs it as the owner of the database, in a transaction that is rolled back."""


@dataclass(frozen=True)
class Answer(Entry):
    """JSON of the API; `tests/docs/test_blocks.py` holds it against docs/openapi.json."""

    component: str = ""
    """The schema that it is one of. `"…": "…"` in the block stands for fields that are left out."""


@dataclass(frozen=True)
class Read(Entry):
    """A test of another folder reads this block and runs it."""

    test: str = ""
    """`tests/….py::name`."""
    reader: str = ""
    """The file that reads the block, where the test's own does not."""


@dataclass(frozen=True)
class Targets(Entry):
    """Targets of the Makefile, which must exist. CI runs them, or they take too long for tests."""

    run_by: str = ""
    """`tests/….py` that runs such a target, `.ci/run`, or the reason why none does."""


@dataclass(frozen=True)
class Elsewhere(Entry):
    """It cannot run here. The flags of its commands are looked up in the help of the real programs."""

    reason: str = ""
    unchecked: tuple[str, ...] = ()
    """Programs that are not installed here, whose flags nothing looks up."""


@dataclass(frozen=True)
class Shown(Entry):
    """It is no command, and cannot be run on its own."""

    reason: str = ""
