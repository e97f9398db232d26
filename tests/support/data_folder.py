"""A folder for the files of a test's own database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory


@contextmanager
def data_folder() -> Iterator[Path]:
    """For a database's files. Not one of pytest's: whenever another pytest starts, it closes their common parent to all
    others, and with them to Postgres' user."""
    with TemporaryDirectory(prefix="parley-", ignore_cleanup_errors=True) as name:
        yield Path(name)
