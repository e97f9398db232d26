"""What the tests of the installation share: an environment without settings of pip, uv and npm, a stand-in for uv."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.install.index import Wheel, wheel

PROGRAMS = Path(sys.executable).parent
CONFIGURATION = ("PIP_", "UV_", "npm_config_", "NPM_CONFIG_")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY")


@pytest.fixture(scope="session")
def uv() -> Wheel:
    """The package `uv` of the tests' indexes: its program is the uv that these tests run beside."""
    return wheel("uv", "0.0.1", programs={"uv": f'#!/bin/sh\nexec "{PROGRAMS / "uv"}" "$@"\n'})


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This machine's own settings, caches and proxies are not what is tested."""
    for name in [name for name in os.environ if name.startswith(CONFIGURATION) or name.upper() in CERTIFICATES]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    monkeypatch.setenv("npm_config_userconfig", str(tmp_path / "npmrc"))


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name has blanks."""
    return tmp_path_factory.mktemp("a folder of mine")
