"""`node_modules`, installed by the real npm from a registry on which time has moved on."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.install.node_packages import install_node_packages
from scripts.install.steps import InstallError
from tests.install.conftest import PROGRAMS
from tests.install.registry import Package, Registry

pytestmark = pytest.mark.installing

HERE = {
    "os": [sys.platform],
    "cpu": [{"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())],
}
ELSEWHERE = {"os": ["aix"], "cpu": ["ppc64"]}

NATIVE = Package("native-here", "1.0.0", HERE)
OF_FOREIGN = Package("native-part", "1.0.0")
FOREIGN = Package("native-elsewhere", "1.0.0", {**ELSEWHERE, "dependencies": {"native-part": "^1.0.0"}})
PEER = Package("peer", "1.0.0")
LIBRARY = Package(
    "library",
    "1.0.0",
    {
        "optionalDependencies": {"native-here": "^1.0.0", "native-elsewhere": "^1.0.0"},
        "peerDependencies": {"peer": "^1.0.0"},
        "scripts": {"postinstall": "touch ran"},
    },
)
# what was published since: npm resolving anew would take these
NEWER = (
    Package("library", "1.1.0", {"dependencies": {"newcomer": "^1.0.0"}}),
    Package("native-here", "1.1.0", HERE),
    Package("peer", "1.1.0"),
    Package("newcomer", "1.0.0"),
)
LOCKED = (LIBRARY, NATIVE, FOREIGN, OF_FOREIGN, PEER)


def lay(folder: Path, *locked: Package) -> None:
    """A package.json that asks for the library, and a lock of these packages, without a registry's address."""
    asked = {"name": "asker", "version": "1.0.0", "devDependencies": {"library": "^1.0.0"}}
    entries: dict[str, dict[str, Any]] = {"": asked}
    for package in locked:
        optional = {"optional": True} if package.name.startswith("native") else {}
        kept = {name: value for name, value in package.manifest.items() if name != "scripts"}
        locked_as = {"version": package.version, "integrity": package.integrity, "dev": True, **optional, **kept}
        entries[f"node_modules/{package.name}"] = locked_as
    lock = {"name": "asker", "version": "1.0.0", "lockfileVersion": 3, "requires": True, "packages": entries}
    (folder / "package.json").write_text(json.dumps(asked))
    (folder / "package-lock.json").write_text(json.dumps(lock))


def installed(folder: Path) -> dict[str, str]:
    """Name to version of what is in `node_modules`."""
    manifests = (json.loads(path.read_text()) for path in folder.glob("node_modules/*/package.json"))
    return {manifest["name"]: manifest["version"] for manifest in manifests}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with Registry(*LOCKED, *NEWER) as running:
        monkeypatch.setenv("npm_config_registry", running.url)
        monkeypatch.setenv("npm_config_fetch_retries", "0")
        yield running


def test_has_exactly_what_the_lock_lists(folder: Path, registry: Registry) -> None:
    lay(folder, *LOCKED)
    install_node_packages(folder, PROGRAMS)
    assert installed(folder) == {"library": "1.0.0", "native-here": "1.0.0", "peer": "1.0.0"}
    here = (LIBRARY, NATIVE, PEER)
    assert set(registry.asked) == {package.name for package in here} | {package.file for package in here}
    assert not (folder / "node_modules" / "library" / "ran").exists()


def test_again_is_silent_and_asks_nothing(folder: Path, registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    lay(folder, *LOCKED)
    install_node_packages(folder, PROGRAMS)
    registry.asked.clear()
    capfd.readouterr()
    lay(folder, *LOCKED)
    install_node_packages(folder, PROGRAMS)
    assert capfd.readouterr() == ("", "")
    assert registry.asked == []


def test_changed_lock_is_installed(folder: Path, registry: Registry) -> None:
    lay(folder, *LOCKED)
    install_node_packages(folder, PROGRAMS)
    lay(folder, LIBRARY, NEWER[1], FOREIGN, OF_FOREIGN, PEER)
    install_node_packages(folder, PROGRAMS)
    assert installed(folder)["native-here"] == "1.1.0"


@pytest.mark.parametrize(
    "settings",
    [
        {"npm_config_omit": "dev optional peer", "NODE_ENV": "production"},
        {"npm_config_before": "2020-01-01"},
        {"npm_config_min_release_age": "4000"},
        {"npm_config_global": "true", "npm_config_prefix": "/nowhere"},
        {"npm_config_dry_run": "true", "npm_config_package_lock_only": "true"},
        {"npm_config_package_lock": "false", "npm_config_legacy_peer_deps": "true"},
        {"npm_config_install_strategy": "linked", "npm_config_ignore_scripts": "false"},
        {"npm_config_cache": "/proc/version/cache"},
        {"PYTHONHOME": "/nowhere", "PYTHONPATH": "/nowhere", "VIRTUAL_ENV": "/nowhere"},
    ],
    ids=lambda settings: next(iter(settings)),
)
@pytest.mark.usefixtures("registry")
def test_users_settings_do_not_change_what_is_installed(
    folder: Path, settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    lay(folder, *LOCKED)
    install_node_packages(folder, PROGRAMS)
    assert installed(folder) == {"library": "1.0.0", "native-here": "1.0.0", "peer": "1.0.0"}
    assert not (folder / "node_modules" / "library" / "ran").exists()


def test_file_with_another_hash_is_refused(folder: Path, registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
    registry.packages[:] = [Package("peer", "1.0.0", text="not what was locked"), LIBRARY, NATIVE]
    lay(folder, *LOCKED)
    with pytest.raises(InstallError, match=r"^Installing the locked Node packages failed with status 1"):
        install_node_packages(folder, PROGRAMS)
    assert "EINTEGRITY" in capfd.readouterr().err


def test_optional_package_that_npm_leaves_out_is_missed(folder: Path, registry: Registry) -> None:
    registry.packages.remove(NATIVE)
    lay(folder, *LOCKED)
    with pytest.raises(
        InstallError, match=r"left out packages that package-lock\.json lists: node_modules/native-here$"
    ):
        install_node_packages(folder, PROGRAMS)
    registry.packages.append(NATIVE)
    install_node_packages(folder, PROGRAMS)
    assert "native-here" in installed(folder)


@pytest.mark.usefixtures("registry")
def test_interrupted_installation_is_done_again(folder: Path) -> None:
    lay(folder, *LOCKED)
    half = folder / "node_modules" / "library"
    half.mkdir(parents=True)
    (half / "half.js").write_text("")
    install_node_packages(folder, PROGRAMS)
    assert not (half / "half.js").exists()
