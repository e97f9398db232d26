"""Python packages: makes a virtual environment with exactly what the lock lists."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from scripts.install.package_index import PackageIndex
from scripts.install.steps import InstallError, answer, bare_environment, can_write_into, digest, run

# Only wheels are installed: building a source distribution would install build requirements that no lock lists.
PIP_INSTALL = (
    *("install", "--quiet", "--disable-pip-version-check"),
    *("--require-hashes", "--no-deps", "--only-binary=:all:", "-r"),
)
UV_SYNC = ("pip", "sync", "--no-config", "--require-hashes", "--no-build")


def install_python_packages(environment: Path, bootstrap_lock: Path, lock: Path) -> None:
    """Install exactly the packages of `lock` into the virtual environment `environment`, with the uv of
    `bootstrap_lock`.

    In a complete environment only the differences are installed. An environment is made again if an installation was
    interrupted, if another Python made it, or if it was moved. Raises InstallError with the failed step, which has
    printed the reason. If that step has changed nothing, a complete environment still counts as complete.
    """
    made_for = f"Python {sys.version_info.major}.{sys.version_info.minor} in {str(environment)!a}\n"
    complete = f"{made_for}{digest(bootstrap_lock, lock)}\n"
    python = environment / "bin" / "python"
    marker = environment / ".installed"
    found = marker.read_text() if marker.exists() and python.exists() else ""
    if found == complete:
        return
    marker.unlink(missing_ok=True)
    if not found.startswith(made_for):
        create_environment(environment)
        found = ""
    before = state(environment)
    try:
        index = PackageIndex.of_pip(python)
        pip: list[str | Path] = [python, "-m", "pip", *PIP_INSTALL, bootstrap_lock]
        run("Installing uv", pip, bare_environment() | index.pip_variables())
        sync(environment, lock, index)
    except InstallError:
        if found and state(environment) == before:
            marker.write_text(found)
        raise
    marker.write_text(complete)


def state(environment: Path) -> dict[str, int]:
    """The installed packages and the times of their installation; equal as long as nothing is installed or removed."""
    return {path.name: path.stat().st_mtime_ns for path in environment.glob("lib/python*/site-packages/*")}


def create_environment(environment: Path) -> None:
    """Make an empty virtual environment with its own pip, replacing an existing one."""
    if not (is_there("venv") and is_there("ensurepip")):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise InstallError(
            f"this Python ({sys.executable}) cannot make virtual environments: install the package {package}"
            f" (Debian, Ubuntu: `apt-get install {package}`), then try again"
        )
    run(
        f"Creating {environment.name} with Python {sys.version.split()[0]}",
        [sys.executable, "-Im", "venv", "--clear", environment],
        bare_environment(),
    )


def is_there(package: str) -> bool:
    """Whether this Python has `package`. Debian ships `venv` and `ensurepip` in separate packages."""
    # an empty folder with that name would be found as a package without a file
    found = find_spec(package)
    return found is not None and found.origin is not None


def sync(environment: Path, lock: Path, index: PackageIndex) -> None:
    """Let uv add, replace and remove packages until `environment` has those of `lock`.

    The index alone is tried first, and pip's further sources only if that fails: one of them may not be reachable, or
    may have its own build of the same version with another hash. pip skips both, but uv fails at either.
    """
    what = "Installing the locked Python packages"
    uv = environment / "bin" / "uv"
    variables = bare_environment() | index.uv_variables()
    if not can_write_into(Path(answer([uv, "cache", "dir", "--no-config"], variables))):
        variables["UV_NO_CACHE"] = "1"
    command: list[str | Path] = [uv, *UV_SYNC, "--python", environment / "bin" / "python", lock]
    if not sys.stderr.isatty():
        command.append("--quiet")
    further = index.uv_further_sources()
    if index.only_further_sources:
        command.append("--no-index")
    elif further:
        print(f"{what} …", flush=True)
        if subprocess.run(command, env=variables, stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return
        what += ", also from pip's further sources"
    run(what, command, variables | further)
