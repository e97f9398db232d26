"""`make install` as a person runs it: in a copy of the Makefile and the installer, on an index with small packages."""

from __future__ import annotations

import ast
import copy
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.install.conftest import PROGRAMS, unconfigured_variables
from tests.install.index import Index, Wheel, wheel

pytestmark = pytest.mark.installing

ROOT = Path(__file__).parents[2]
APPLICATION = wheel("application", "1.0", text="ANSWER = 42\n")
NODE = wheel("node", "1.0", programs={"npm": f'#!/bin/sh\nPATH="{PROGRAMS}:$PATH" exec npm "$@"\n'})


class Tree:
    """A folder with what `make install` needs of this repository, and the environment that it runs in."""

    def __init__(self, folder: Path, variables: Mapping[str, str], *wheels: Wheel) -> None:
        self.folder = folder
        self.variables = variables
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "__init__.py", folder / "scripts")
        installer = folder / "scripts" / "install"
        shutil.copytree(ROOT / "scripts" / "install", installer, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "requirements-bootstrap.lock").write_text(wheels[0].locked)
        (folder / "requirements-dev.lock").write_text("".join(wheel.locked for wheel in wheels))
        described = {"name": "tree", "version": "1.0.0"}
        lock = {**described, "lockfileVersion": 3, "requires": True, "packages": {"": described}}
        (folder / "package.json").write_text(json.dumps(described))
        (folder / "package-lock.json").write_text(json.dumps(lock))

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`make install`."""
        command = ["make", "install", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd=self.folder, env=self.variables, stdout=pipe, stderr=pipe, text=True)

    def make(self, *arguments: str) -> tuple[int, str, str]:
        """Its exit code, what it said, and the errors that it said."""
        running = self.start(*arguments)
        said, errors = running.communicate(timeout=110)
        return running.returncode, said, errors


def foreign(folder: Path) -> dict[str, str]:
    """What another project's shell or a careful user may have set: each would break or redirect an installation."""
    (folder / "constraints.txt").write_text("application==0.1\nuv==0.1\n")
    (folder / "uv.toml").write_text('exclude-newer = "2000-01-01T00:00:00Z"\n[pip]\ntarget = "elsewhere"\n')
    (folder / "application.py").write_text("raise ImportError('another project')\n")
    elsewhere = str(folder / "elsewhere")
    names = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONUSERBASE", "PIP_TARGET", "PIP_PREFIX", "PIP_PYTHON")
    return {
        **dict.fromkeys((*names, "UV_PROJECT_ENVIRONMENT", "UV_PYTHON", "UV_WORKING_DIR"), elsewhere),
        **dict.fromkeys(("PIP_USER", "PIP_REQUIRE_VIRTUALENV", "PIP_DRY_RUN", "PYTHONSAFEPATH", "PIP_PRE"), "1"),
        **dict.fromkeys(("UV_SYSTEM_PYTHON", "UV_NO_BINARY", "UV_NO_VERIFY_HASHES"), "true"),
        **dict.fromkeys(("PIP_CONSTRAINT", "UV_CONSTRAINT"), str(folder / "constraints.txt")),
        "PYTHONPATH": str(folder),
        "PIP_NO_BINARY": ":all:",
        "PIP_QUIET": "3",
        "UV_CONFIG_FILE": str(folder / "uv.toml"),
        "UV_EXCLUDE_NEWER": "2000-01-01",
    }


@pytest.fixture(scope="module")
def index(uv: Wheel) -> Iterator[Index]:
    with Index(uv, APPLICATION, NODE) as running:
        yield running


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory, index: Index, uv: Wheel) -> Tree:
    """Installed in a folder with blanks, by a user without a home whose shell is set up for another project."""
    other = tmp_path_factory.mktemp("other")
    caches = {"UV_NO_CACHE", "PIP_NO_CACHE_DIR", "npm_config_cache", "npm_config_userconfig"}
    own = {name: value for name, value in unconfigured_variables(other).items() if name not in caches}
    homeless = {"HOME": "", "XDG_CACHE_HOME": "/proc/version", "LANG": "C"}
    variables = {**own, **foreign(other), **homeless, "PIP_INDEX_URL": index.url}
    tree = Tree(tmp_path_factory.mktemp("a folder of mine"), variables, uv, APPLICATION, NODE)
    code, _, errors = tree.make(f"PYTHON={sys.executable}")
    assert not code, errors
    assert not errors
    return tree


def test_foreign_settings_neither_break_nor_redirect_it(installed: Tree) -> None:
    python = installed.folder / ".venv" / "bin" / "python"
    asked = [python, "-Ec", "import application; print(application.ANSWER)"]
    assert subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "42\n"
    assert not Path(installed.variables["PIP_TARGET"]).exists()
    assert {path.name for path in installed.folder.iterdir()} == {
        *(".venv", "Makefile", "node_modules", "package-lock.json", "package.json"),
        *("requirements-bootstrap.lock", "requirements-dev.lock", "scripts"),
    }


def test_again_is_silent_and_asks_nothing_whatever_the_times_of_files(installed: Tree, index: Index) -> None:
    for file in ("requirements-bootstrap.lock", "requirements-dev.lock", "package.json", "package-lock.json"):
        os.utime(installed.folder / file)
    index.asked.clear()
    assert installed.make() == (0, "", "")
    assert index.asked == []


def test_makes_use_of_its_own_python_once_there_is_one(installed: Tree, tmp_path: Path) -> None:
    for name in ("make", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    (tmp_path / "python3").write_text("#!/bin/sh\nexit 7\n")
    (tmp_path / "python3").chmod(0o755)
    tree = copy.copy(installed)
    tree.variables = {**installed.variables, "PATH": str(tmp_path)}
    assert tree.make() == (0, "", "")


def test_two_at_once_do_not_install_into_each_other(installed: Tree) -> None:
    held = os.open(installed.folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    waiting = installed.start()
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "Waiting for another installation in this folder …\n"
    os.close(held)
    assert waiting.communicate(timeout=60) == ("", "")
    assert waiting.returncode == 0


def stand_in(folder: Path, *statements: str) -> str:
    """`PYTHON=…` for a Python in which `statements` were run first."""
    code = "; ".join(("import runpy, sys", *statements, "runpy.run_module('scripts.install', run_name='__main__')"))
    program = folder / "stand-in"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -Ec "{code}"\n')
    program.chmod(0o755)
    return f"PYTHON={program}"


@pytest.fixture
def tree(folder: Path, uv: Wheel) -> Tree:
    """Nothing is installed yet."""
    return Tree(folder, dict(os.environ), uv)


def test_python_that_is_too_old_is_named(tree: Tree, tmp_path: Path) -> None:
    old = stand_in(tmp_path, "sys.version_info = (3, 9, 2)", "sys.version = '3.9.2 (default)'")
    code, said, errors = tree.make(old)
    assert (code, said) == (2, "")
    refusal = (
        r"make install: Parley needs Python 3\.11 or newer, and this is 3\.9\.2; name another one: `make install PY"
    )
    assert re.match(refusal, errors)
    assert not (tree.folder / ".venv").exists()


@pytest.mark.parametrize("file", ["__init__.py", "install/__init__.py", "install/__main__.py"])
def test_python_that_is_too_old_can_read_what_it_is_shown(file: str) -> None:
    ast.parse((ROOT / "scripts" / file).read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("package", ["ensurepip", "venv"])
def test_python_without_venv_says_which_package_to_install(tree: Tree, tmp_path: Path, package: str) -> None:
    code, said, errors = tree.make(stand_in(tmp_path, f"sys.modules['{package}'] = None"))
    wanted = f"python3.{sys.version_info.minor}-venv"
    assert (code, said) == (2, "")
    assert errors.startswith("make install: this Python (")
    assert f"cannot make virtual environments: install the package {wanted} (Debian, Ubuntu: `apt-get inst" in errors
    assert not (tree.folder / ".venv").exists()
