"""`make install`: a virtual environment with exactly the packages of `requirements-dev.lock`.

pip resolves what it installs even when every version is pinned and hashed, so a package published tomorrow can break a
lock that is good today. So pip only brings `uv` (one wheel without dependencies, pinned and hashed), and
`uv pip sync` lays down what the lock lists and consults nothing else.

Runs on the machine's own Python before anything is installed: standard library only.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
MINIMUM = (3, 11)


def main() -> None:
    """Make `.venv` anew; ends with one line that says what is missing or which step failed."""
    try:
        require_usable_python()
        install(REPOSITORY / ".venv", REPOSITORY / "requirements-bootstrap.lock", REPOSITORY / "requirements-dev.lock")
    except (InstallError, OSError) as error:
        sys.exit(f"make install: {error}")


class InstallError(Exception):
    """What keeps the installation from going on; its text is for the person at the terminal."""


def require_usable_python() -> None:
    """Raise InstallError when this Python is too old, or cannot make virtual environments."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if sys.version_info < MINIMUM:
        raise InstallError(f"Parley needs Python 3.11 or newer; this is {version} (PYTHON=… names another one)")
    if find_spec("ensurepip") is None:
        raise InstallError(
            f"this Python cannot make virtual environments: install the package python{version}-venv"
            f" (Debian, Ubuntu: `apt-get install python{version}-venv`), then try again"
        )


def install(environment: Path, bootstrap_lock: Path, lock: Path) -> None:
    """Make the virtual environment `environment` from nothing and put the packages of `lock` into it.

    `bootstrap_lock` pins uv alone. Only wheels are taken: building a source distribution would install build
    requirements that no lock names. Raises InstallError with the step that failed; that step has said why.
    """
    print(f"Creating {environment.name} with Python {sys.version.split()[0]} …", flush=True)
    venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(environment)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    python = programs / "python"
    pip = [str(python), "-m", "pip"]
    exact = ["--require-hashes", "--no-deps", "--only-binary", ":all:"]
    _step(
        "Installing uv",
        [*pip, "install", "--quiet", "--disable-pip-version-check", *exact, "-r", str(bootstrap_lock)],
        os.environ,
    )
    _step(
        "Installing the locked packages",
        [str(programs / "uv"), "pip", "sync", "--python", str(python), "--require-hashes", "--no-build", str(lock)],
        {**uv_settings(pip_settings(pip)), **os.environ, "VIRTUAL_ENV": str(environment)},
    )


def pip_settings(pip: list[str]) -> dict[str, str]:
    """pip's own configuration, from its files and from PIP_*: `{"index-url": …}`; what is more specific wins."""
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    settings: dict[str, str] = {}
    for line in listed.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, key = name.rpartition(".")
        # pip prints the environment's settings first, and a command's section only matters to that command
        if section == ":env:" or (section in {"global", "install"} and key not in settings):
            settings[key] = str(ast.literal_eval(value))
    return settings


def uv_settings(pip: Mapping[str, str]) -> dict[str, str]:
    """The variables with which uv uses the package index that pip is configured for: uv reads no pip configuration."""
    translated = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": pip.get("extra-index-url"),
        "UV_FIND_LINKS": pip.get("find-links"),
        "UV_INSECURE_HOST": pip.get("trusted-host"),
        "SSL_CERT_FILE": pip.get("cert"),
        "UV_HTTP_TIMEOUT": pip.get("default-timeout") or pip.get("timeout"),
    }
    # pip takes a file from whichever index has it; the hashes keep that from being somebody else's package
    return {"UV_INDEX_STRATEGY": "unsafe-best-match"} | {
        name: " ".join(value.split()) for name, value in translated.items() if value
    }


def _step(what: str, command: list[str], environment: Mapping[str, str]) -> None:
    print(f"{what} …", flush=True)
    ended = subprocess.run(command, env=dict(environment), check=False)
    if ended.returncode:
        raise InstallError(f"{what} failed with status {ended.returncode}; the reason is above")


if __name__ == "__main__":
    main()
