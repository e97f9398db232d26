"""Steps of the installation: running programs, what these may see of the environment, what marks a step as done."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# Variables that aim Python, pip or uv at another environment, or make them install something else.
FOREIGN = ("PYTHON", "PIP_", "UV_", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__")


class InstallError(Exception):
    """What keeps the installation from going on; its text is for the person at the terminal."""


def run(what: str, command: Sequence[str | Path], variables: Mapping[str, str], cwd: Path | None = None) -> None:
    """Run `command`, which talks to the terminal itself. Raises InstallError when it fails."""
    print(f"{what} …", flush=True)
    ended = subprocess.run(command, env=variables, cwd=cwd, check=False)
    if ended.returncode:
        raise InstallError(f"{what} failed with status {ended.returncode}; the reason is above")


def answer(command: Sequence[str | Path], variables: Mapping[str, str]) -> str:
    """What `command` prints. Raises InstallError with its errors when it fails."""
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise InstallError(f"{' '.join(map(str, command))} failed:\n{ended.stderr.strip()}")
    return ended.stdout.strip()


def bare_environment() -> dict[str, str]:
    """This process's environment without the settings of Python, pip and uv."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    # npm takes an empty HOME for a folder named `~` in this one; without the variable, all ask the system
    return {name: value for name, value in kept.items() if value or name != "HOME"}


def digest(*files: Path) -> str:
    """What the contents of `files` are known by; their times and names do not count."""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def can_write_into(folder: Path) -> bool:
    """Whether `folder` can be written into, or be made first."""
    # not Path.exists, which raises where a folder above may not be searched
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)
