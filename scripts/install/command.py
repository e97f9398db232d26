"""`make install` as a whole: the Python packages, then the Node packages, one run at a time."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.install.node_packages import install_node_packages
from scripts.install.python_packages import install_python_packages
from scripts.install.steps import InstallError

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    """Install what is missing. On failure, exit with one line that names the failed step or what this machine lacks."""
    environment = REPOSITORY / ".venv"
    try:
        with one_at_a_time(REPOSITORY):
            install_python_packages(
                environment, REPOSITORY / "requirements-bootstrap.lock", REPOSITORY / "requirements-dev.lock"
            )
            install_node_packages(REPOSITORY, environment / "bin")
    except (InstallError, OSError) as error:
        sys.exit(f"make install: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Lock `folder`, so that `make run` and `make test` in two terminals do not install at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another installation in this folder …", flush=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
