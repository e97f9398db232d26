"""The lock files: complete, hashed, and without the address of any registry."""

from __future__ import annotations

import importlib.metadata
import json
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
RUN, DEVELOP, BOOTSTRAP = "requirements.lock", "requirements-dev.lock", "requirements-bootstrap.lock"
MODELS, CLIENTS, DEPLOY = (f"requirements-{what}.lock" for what in ("models", "clients", "deploy"))
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
)


@dataclass(frozen=True)
class Pin:
    """One entry of a lock."""

    version: Version
    marker: Marker | None
    hashes: tuple[str, ...]


def pins(lock: str) -> dict[str, list[Pin]]:
    """The entries of a lock by name. Fails on a line that is neither an entry, nor one of its hashes, nor a comment."""
    found: dict[str, list[Pin]] = {}
    for entry in re.sub(r"\\\n", "", re.sub(r"(?m)^ *#.*\n", "", (ROOT / lock).read_text())).splitlines():
        read = re.fullmatch(r"([\w.-]+)==(\S+?)( ; (.*?))?((?: +--hash=sha256:[0-9a-f]{64})+)", entry.rstrip())
        assert read, f"{lock}: {entry}"
        name, version, _, marker, hashes = read.groups()
        pin = Pin(Version(version), Marker(marker.strip()) if marker else None, tuple(hashes.split()))
        found.setdefault(canonicalize_name(name), []).append(pin)
    return found


@pytest.mark.parametrize("lock", [RUN, DEVELOP, BOOTSTRAP, MODELS, CLIENTS, DEPLOY])
def test_lock_has_versions_and_hashes_and_nothing_else(lock: str) -> None:
    assert all(pin.hashes for entries in pins(lock).values() for pin in entries)


def test_bootstrap_is_uv_alone_as_the_lock_has_it() -> None:
    assert pins(BOOTSTRAP) == {"uv": pins(DEVELOP)["uv"]}


def test_what_runs_is_what_was_tested() -> None:
    tested = pins(DEVELOP)
    for name, entries in pins(RUN).items():
        assert {(pin.version, pin.hashes) for pin in entries} == {(pin.version, pin.hashes) for pin in tested[name]}


@pytest.mark.parametrize(("lock", "extras"), [(RUN, ("",)), (DEVELOP, ("", "dev"))])
def test_lock_is_of_what_pyproject_asks_for(lock: str, extras: tuple[str, ...]) -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [
        *project["dependencies"],
        *(line for extra in extras if extra for line in project["optional-dependencies"][extra]),
    ]
    locked = pins(lock)
    for requirement in map(Requirement, asked):
        assert any(pin.version in requirement.specifier for pin in locked[canonicalize_name(requirement.name)]), (
            requirement
        )


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(
    "platform", PLATFORMS, ids=lambda platform: f"{platform['sys_platform']}-{platform['platform_machine']}"
)
def test_lock_has_one_version_of_each_package_for_every_python_and_machine(
    platform: dict[str, str], python: str
) -> None:
    about = {
        **platform,
        "python_version": python,
        "python_full_version": f"{python}.0",
        "implementation_name": "cpython",
    }
    for name, entries in pins(DEVELOP).items():
        assert sum(pin.marker is None or pin.marker.evaluate(about) for pin in entries) <= 1, name


def test_lock_has_whatever_its_packages_ask_for() -> None:
    """uv looks at no dependency of what it installs: what the lock forgets would be missing, also behind an extra."""
    locked = pins(DEVELOP)
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [*map(Requirement, project["dependencies"] + project["optional-dependencies"]["dev"])]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        name = canonicalize_name(requirement.name)
        assert any(pin.version in requirement.specifier for pin in locked[name]), requirement
        for extra in {"", *requirement.extras} - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            for line in importlib.metadata.requires(name) or ():
                needed = Requirement(line)
                if needed.marker and needed.marker.evaluate({"extra": extra}):
                    needed.marker = None
                if not needed.marker:
                    waiting.append(needed)
    assert ("google-auth", "requests") in seen


def test_package_lock_has_hashes_and_no_addresses() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert lock["lockfileVersion"] == 3
    assert not [path for path, package in packages.items() if "resolved" in package or "link" in package]
    assert not [path for path, package in packages.items() if package.get("hasInstallScript")]
    unhashed = [path for path, package in packages.items() if not package.get("integrity", "").startswith("sha512-")]
    assert not [path for path in unhashed if not packages[path].get("os")]
    assert "omit-lockfile-registry-resolved=true" in (ROOT / ".npmrc").read_text()


@pytest.mark.parametrize("file", [RUN, DEVELOP, BOOTSTRAP, MODELS, "Makefile", "pyproject.toml", ".npmrc"])
def test_no_file_of_the_installation_names_a_registry(file: str) -> None:
    found = re.findall(r"https?://\S+|--(?:extra-)?index-url|--find-links|registry *=", (ROOT / file).read_text())
    assert not found
