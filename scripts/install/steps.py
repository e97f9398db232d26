"""Steps of the installation: runs programs, in an environment without foreign settings, and marks finished steps."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Variables that make Python, pip or uv use another environment or install other packages.
FOREIGN = ("PYTHON", "PIP_", "UV_", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")


class InstallError(Exception):
    """The installation cannot continue. The message is for the person at the terminal."""


def run(what: str, command: Sequence[str | Path], variables: Mapping[str, str], cwd: Path | None = None) -> None:
    """Run `command`, whose output goes to the terminal. Raises InstallError when it fails."""
    print(f"{what} …", flush=True)
    ended = subprocess.run(command, env=variables, cwd=cwd, check=False)
    if ended.returncode:
        raise InstallError(f"{what} failed with status {ended.returncode}; the reason is above")


def answer(command: Sequence[str | Path], variables: Mapping[str, str]) -> str:
    """The output of `command`. Raises InstallError with its errors when it fails."""
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise InstallError(f"{' '.join(map(str, command))} failed:\n{ended.stderr.strip()}")
    return ended.stdout.strip()


def bare_environment() -> dict[str, str]:
    """This process's environment without the settings of Python, pip and uv."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    # npm would turn an empty HOME into a folder named `~` here; without the variable, programs ask the system
    return {name: value for name, value in kept.items() if value or name != "HOME"}


def digest(*files: Path) -> str:
    """A hash of the contents of `files`, without their names and times."""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def can_write_into(folder: Path) -> bool:
    """Whether `folder` can be written into, or created."""
    # not Path.exists, which raises when a parent folder may not be searched
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)
