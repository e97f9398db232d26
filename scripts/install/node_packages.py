"""Node packages: installs exactly what `package-lock.json` lists, with the npm of the virtual environment."""

from __future__ import annotations

import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.install.steps import InstallError, answer, bare_environment, can_write_into, digest, run

# `npm ci` installs the versions and hashes of the lock. The other options override settings of the user, in any file or
# variable, that would leave packages out, refuse new ones, run their scripts or suggest a newer npm.
NPM_CI = (
    *("ci", "--no-audit", "--no-fund", "--loglevel=error"),
    *("--include=dev", "--include=optional", "--include=peer", "--no-legacy-peer-deps", "--install-strategy=hoisted"),
    *("--no-before", "--min-release-age=0", "--ignore-scripts"),
    *("--package-lock", "--no-package-lock-only", "--no-dry-run"),
    *("--no-global", "--location=project", "--no-workspaces"),
)


def install_node_packages(folder: Path, programs: Path) -> None:
    """Install exactly the packages of `folder`'s lock into its `node_modules`, with the npm in the folder `programs`.

    Raises InstallError when npm fails or leaves out a package that is meant for this machine, as it does with an
    optional one that it cannot download.
    """
    lock = folder / "package-lock.json"
    complete = digest(folder / "package.json", lock)
    marker = folder / "node_modules" / ".installed"
    if marker.exists() and marker.read_text() == complete:
        return
    marker.unlink(missing_ok=True)
    # npm looks for `node` on PATH. Like pip, it must trust the system's certificates in addition to its own.
    variables = {"NODE_USE_SYSTEM_CA": "1", **bare_environment(), "npm_config_update_notifier": "false"}
    variables["PATH"] = os.pathsep.join([str(programs), os.environ.get("PATH", os.defpath)])
    npm = programs / "npm"
    with tempfile.TemporaryDirectory() as instead:
        if not can_write_into(Path(answer([npm, "config", "get", "cache"], variables))):
            variables["npm_config_cache"] = instead
        run("Installing the locked Node packages", [npm, *NPM_CI], variables, cwd=folder)
    if missing := list(missing_packages(folder, json.loads(lock.read_text())["packages"])):
        raise InstallError(f"npm left out packages that package-lock.json lists: {', '.join(missing)}")
    marker.parent.mkdir(exist_ok=True)
    marker.write_text(complete)


def missing_packages(folder: Path, packages: dict[str, dict[str, Any]]) -> Iterator[str]:
    """The paths of the `packages` of a lock that are meant for this machine but are not installed. What only packages
    for other machines depend on is not meant for it, though the lock does not say so."""
    reached = {""}
    waiting = [""]
    while waiting:
        path = waiting.pop()
        if path and not (folder / path / "package.json").is_file():
            yield path
        for name in _dependencies(packages[path]):
            found = _found_from(path, name, packages)
            if found is not None and found not in reached and _is_meant_for_this_machine(packages[found]):
                reached.add(found)
                waiting.append(found)


def _dependencies(package: dict[str, Any]) -> Iterator[str]:
    for kind in ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies"):
        yield from package.get(kind, {})


def _found_from(path: str, name: str, packages: dict[str, dict[str, Any]]) -> str | None:
    """Where Node finds the package `name` from the package at `path`: in the nearest `node_modules` above."""
    while True:
        candidate = f"{path}/node_modules/{name}".removeprefix("/")
        if candidate in packages:
            return candidate
        if not path:
            return None
        path = path.rpartition("node_modules/")[0].removesuffix("/")


def _is_meant_for_this_machine(package: dict[str, Any]) -> bool:
    cpu = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    libc = "glibc" if platform.libc_ver()[0] == "glibc" else "musl"
    return (
        sys.platform in package.get("os", [sys.platform])
        and cpu in package.get("cpu", [cpu])
        and (sys.platform != "linux" or libc in package.get("libc", [libc]))
    )
