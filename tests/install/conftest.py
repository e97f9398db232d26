"""What the tests of the installation share: an environment without settings of pip, uv and npm, a stand-in for uv."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.install.index import Wheel, wheel

PROGRAMS = Path(sys.executable).parent
CONFIGURATION = ("PIP_", "UV_", "npm_config_", "NPM_CONFIG_", "MAKE", "MFLAGS")
"""Of pip, uv, npm, and of the make that runs these tests, which would have another one say where it is."""
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY")


@pytest.fixture(scope="session")
def uv() -> Wheel:
    """The package `uv` of the tests' indexes: its program is the uv that these tests run beside."""
    return wheel("uv", "0.0.1", programs={"uv": f'#!/bin/sh\nexec "{PROGRAMS / "uv"}" "$@"\n'})


def unconfigured_variables(folder: Path) -> dict[str, str]:
    """This process's environment without the machine's own settings and proxies, with caches in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURATION)}
    return {
        **{name: value for name, value in kept.items() if name.upper() not in CERTIFICATES},
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1",
        "UV_NO_CACHE": "1",
        "npm_config_cache": str(folder / "npm"),
        "npm_config_userconfig": str(folder / "npmrc"),
    }


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine's own settings are not what is tested."""
    variables = unconfigured_variables(tmp_path)
    for name in set(os.environ) - set(variables):
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name has blanks."""
    return tmp_path_factory.mktemp("a folder of mine")
