"""The virtual environment, installed by real pip and real uv from an index on which time has moved on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.install.python_packages import install_python_packages
from scripts.install.steps import InstallError
from tests.install.index import Index, Wheel, wheel

pytestmark = pytest.mark.installing

# what the lock was made of: an application that asks for a package with an extra, as google-genai does for google-auth
APPLICATION = wheel("application", "1.0", requires=["auth[requests]>=1"])
AUTH = wheel("auth", "1.0", extras=["requests"], requires=["transport>=1; extra == 'requests'"])
TRANSPORT = wheel("transport", "1.0")
# what was published since
NEWER = (
    wheel("application", "1.1", requires=["auth[requests]>=2"]),
    wheel("auth", "2.0", extras=["requests"], requires=["transport>=2; extra == 'requests'", "newcomer"]),
    wheel("transport", "2.0"),
    wheel("newcomer", "1.0"),
)


class Place:
    """A virtual environment and its locks, in one folder."""

    def __init__(self, folder: Path, index: Index, uv: Wheel) -> None:
        self.environment = folder / ".venv"
        self.bootstrap_lock = folder / "requirements-bootstrap.lock"
        self.lock = folder / "requirements-dev.lock"
        self.index = index
        self.uv = uv
        self.first_asked: list[str] = []
        self.packages = self.environment / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"

    def install(self, *wheels: Wheel, uv: Wheel | None = None) -> list[str]:
        """Install a lock of these wheels; what the index was asked for."""
        self.index.asked.clear()
        self.bootstrap_lock.write_text((uv or self.uv).locked)
        self.lock.write_text("".join(wheel.locked for wheel in (*wheels, self.uv)))
        install_python_packages(self.environment, self.bootstrap_lock, self.lock)
        return self.index.asked

    @property
    def installed(self) -> dict[str, str]:
        """Name to version, without what the virtual environment begins with."""
        found = dict(path.name.removesuffix(".dist-info").split("-") for path in self.packages.glob("*.dist-info"))
        return {name: version for name, version in found.items() if name not in {"pip", "setuptools"}}


@pytest.fixture(scope="module")
def index(uv: Wheel) -> Iterator[Index]:
    with Index(uv, APPLICATION, AUTH, TRANSPORT, *NEWER) as running:
        yield running


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, index: Index, uv: Wheel) -> Place:
    return Place(tmp_path_factory.mktemp("an environment"), index, uv)


@pytest.fixture
def place(shared: Place, index: Index, monkeypatch: pytest.MonkeyPatch) -> Place:
    """An environment that has the three packages; making one takes seconds, so there is one for all tests."""
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    shared.first_asked = shared.first_asked or list(shared.install(APPLICATION, AUTH, TRANSPORT))
    shared.install(APPLICATION, AUTH, TRANSPORT)
    return shared


def test_has_exactly_what_the_lock_lists(place: Place) -> None:
    assert place.installed == {"application": "1.0", "auth": "1.0", "transport": "1.0", "uv": "0.0.1"}


def test_index_is_asked_for_locked_packages_only(place: Place, uv: Wheel) -> None:
    locked = (APPLICATION, AUTH, TRANSPORT, uv)
    assert set(place.first_asked) == {wheel.name for wheel in locked} | {wheel.file for wheel in locked}


def test_again_is_silent_and_asks_nothing(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    assert place.install(APPLICATION, AUTH, TRANSPORT) == []
    os.utime(place.environment / ".installed", (0, 0))
    assert place.install(APPLICATION, AUTH, TRANSPORT) == []
    assert capfd.readouterr() == ("", "")


def test_changed_lock_brings_what_changed_only(place: Place) -> None:
    untouched = (place.packages / "auth.py").stat()
    newer = NEWER[2]
    asked = place.install(APPLICATION, AUTH, newer)
    assert [name for name in asked if name.endswith(".whl")] == [newer.file]
    assert place.installed == {"application": "1.0", "auth": "1.0", "transport": "2.0", "uv": "0.0.1"}
    assert (place.packages / "auth.py").stat() == untouched


def test_package_that_left_the_lock_is_removed(place: Place) -> None:
    place.install(APPLICATION, AUTH)
    assert place.installed == {"application": "1.0", "auth": "1.0", "uv": "0.0.1"}


def test_file_with_another_hash_is_refused(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    other = wheel("transport", "3.0", text="print('not what was locked')")
    place.index.wheels.append(other)
    locked = wheel("transport", "3.0")
    with pytest.raises(
        InstallError, match=r"^Installing the locked Python packages failed with status 1; the reason is"
    ):
        place.install(APPLICATION, AUTH, locked)
    place.index.wheels.remove(other)
    said = capfd.readouterr().err
    assert "Hash mismatch for `transport==3.0`" in said
    assert locked.locked.partition("sha256:")[2].strip() in said


def test_uv_with_another_hash_is_refused(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    other = wheel("uv", "0.0.2", text="print('not what was locked')")
    place.index.wheels.append(other)
    with pytest.raises(InstallError, match=r"^Installing uv failed with status 1; the reason is above$"):
        place.install(APPLICATION, AUTH, TRANSPORT, uv=wheel("uv", "0.0.2"))
    place.index.wheels.remove(other)
    assert "DO NOT MATCH THE HASHES" in capfd.readouterr().err


def test_lock_without_a_hash_is_refused(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    place.lock.write_text("transport==1.0\n")
    with pytest.raises(InstallError, match=r"^Installing the locked Python packages failed"):
        install_python_packages(place.environment, place.bootstrap_lock, place.lock)
    assert "all requirements must have a hash" in capfd.readouterr().err


@pytest.mark.parametrize("left", ["interrupted", "other Python", "without Python"])
def test_environment_that_cannot_be_trusted_is_made_anew(place: Place, left: str) -> None:
    rest = place.packages / "half.py"
    rest.write_text("")
    marker = place.environment / ".installed"
    if left == "interrupted":
        marker.unlink()
    elif left == "other Python":
        marker.write_text(marker.read_text().replace("Python 3.", "Python 3.9"))
    else:
        (place.environment / "bin" / "python").unlink()
    place.install(APPLICATION, AUTH, TRANSPORT)
    assert not rest.exists()
    assert place.installed == {"application": "1.0", "auth": "1.0", "transport": "1.0", "uv": "0.0.1"}


def test_change_that_fails_before_it_begins_leaves_a_complete_environment(place: Place) -> None:
    with pytest.raises(InstallError):
        place.install(APPLICATION, wheel("unheard_of", "1.0"))
    assert place.installed == {"application": "1.0", "auth": "1.0", "transport": "1.0", "uv": "0.0.1"}
    assert place.install(APPLICATION, AUTH, TRANSPORT) == []
