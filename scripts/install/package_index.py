"""The package index: translates pip's configuration of its package sources for uv.

uv does not read pip's configuration, but machines behind a mirror or a proxy are usually configured for pip, which
comes with Python.
"""

from __future__ import annotations

import ast
import math
import os
import re
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scripts.install.steps import answer, bare_environment

# pip's settings for its package sources and the connection to them. The other settings (`target`, `user`, `constraint`,
# …) would install other packages, or install them elsewhere, so they are not used.
CONNECTION = (
    *("index-url", "extra-index-url", "find-links", "no-index", "keyring-provider"),
    *("trusted-host", "cert", "client-cert", "use-feature", "use-deprecated"),
    *("proxy", "timeout", "default-timeout", "retries", "cache-dir", "no-cache-dir"),
)
# uv's own variables for sources. If the user sets one of them, pip's sources are not used.
UV_SOURCES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS")
# prefixes of uv's variables of the same kind as CONNECTION
UV_CONNECTION = (
    *UV_SOURCES,
    *("UV_INSECURE_HOST", "UV_SYSTEM_CERTS", "UV_NATIVE_TLS", "UV_KEYRING_PROVIDER", "UV_CREDENTIALS_DIR", "UV_HTTP_"),
    *("UV_OFFLINE", "UV_CACHE_DIR", "UV_NO_CACHE", "UV_LINK_MODE", "UV_CONCURRENT_", "UV_NO_PROGRESS"),
)


@dataclass(frozen=True)
class PackageIndex:
    """pip's settings of `CONNECTION`, `{"index-url": …}`, and whether pip trusts the system's certificates."""

    settings: Mapping[str, str]
    system_certificates: bool

    @classmethod
    def of_pip(cls, python: Path) -> PackageIndex:
        """The settings of `python`'s pip, from its files and from PIP_*. Raises InstallError when pip refuses them."""
        # the setting `quiet` in a file would suppress the listing, and `user` would leave out all files but one
        variables = bare_environment() | {"PIP_QUIET": "0", "PIP_VERBOSE": "0", "PIP_USER": "0"}
        if "PIP_CONFIG_FILE" in os.environ:
            variables["PIP_CONFIG_FILE"] = os.environ["PIP_CONFIG_FILE"]
        settings = settings_of(answer([python, "-m", "pip", "config", "list"], variables), os.environ)
        version = answer([python, "-c", "import pip; print(pip.__version__)"], variables)
        return cls(settings, uses_system_certificates(version, settings))

    def pip_variables(self) -> dict[str, str]:
        """The variables with which pip uses this index and nothing else of its configuration."""
        named = {f"PIP_{name.replace('-', '_').upper()}": value for name, value in self.settings.items()}
        return {**named, "PIP_CONFIG_FILE": os.devnull}

    def uv_variables(self) -> dict[str, str]:
        """The variables with which uv uses pip's index; the user's own UV_* of that kind come first."""
        pip = self.settings
        bundle = pip.get("cert") or os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE")
        timeout = pip.get("timeout") or pip.get("default-timeout")
        translated = {
            "UV_DEFAULT_INDEX": None if _uv_has_sources() else pip.get("index-url"),
            "UV_INSECURE_HOST": " ".join(pip.get("trusted-host", "").split()),
            "UV_KEYRING_PROVIDER": "subprocess" if pip.get("keyring-provider") == "subprocess" else None,
            "SSL_CERT_DIR" if bundle and Path(bundle).is_dir() else "SSL_CERT_FILE": bundle,
            "SSL_CLIENT_CERT": pip.get("client-cert"),
            "UV_SYSTEM_CERTS": "true" if self.system_certificates and not bundle else None,
            "HTTP_PROXY": pip.get("proxy"),
            "HTTPS_PROXY": pip.get("proxy"),
            "UV_HTTP_TIMEOUT": timeout and str(math.ceil(float(timeout))),
            "UV_HTTP_RETRIES": pip.get("retries"),
        }
        return {
            # like pip, accept a file from any index that has it; the hashes make sure that it is the right one
            "UV_INDEX_STRATEGY": "unsafe-best-match",
            **{name: value for name, value in translated.items() if value},
            **{name: value for name, value in os.environ.items() if name.startswith(UV_CONNECTION)},
        }

    def uv_further_sources(self) -> dict[str, str]:
        """The variables for pip's sources besides the index; empty when it has none."""
        indexes = " ".join(self.settings.get("extra-index-url", "").split())
        links = ",".join(filter(_uv_can_read, self.settings.get("find-links", "").split()))
        named = {"UV_INDEX": indexes, "UV_FIND_LINKS": links}
        return {} if _uv_has_sources() else {name: value for name, value in named.items() if value}

    @property
    def only_further_sources(self) -> bool:
        """Whether pip is configured not to use the index."""
        no_index = self.settings.get("no-index", "").lower() in {"1", "true", "t", "yes", "y", "on"}
        return no_index and not _uv_has_sources()


def settings_of(listing: str, variables: Mapping[str, str]) -> dict[str, str]:
    """The settings of `CONNECTION` from the output of `pip config list` and from PIP_*; the more specific ones win.

    Since version 26, pip lists a setting once for every file that has it; the last one is used.
    """
    sections: dict[str, dict[str, str]] = {"global": {}, "install": {}}
    for section, name, value in re.findall(r"^(global|install)\.([a-z-]+)=(.*)$", listing, re.MULTILINE):
        sections[section][name] = str(ast.literal_eval(value))
    named = {name[4:].lower().replace("_", "-"): value for name, value in variables.items() if name.startswith("PIP_")}
    # pip treats an empty value as not set
    layers = (sections["global"], sections["install"], named)
    return {name: value for layer in layers for name, value in layer.items() if name in CONNECTION and value.strip()}


def uses_system_certificates(pip_version: str, settings: Mapping[str, str]) -> bool:
    """Whether pip trusts the system's certificates and there are any: uv fails with an empty certificate store."""
    release = tuple(int(number) for number in re.findall(r"\d+", pip_version)[:2])
    by_default = release >= (24, 2) and "legacy-certs" not in settings.get("use-deprecated", "")
    if not by_default and "truststore" not in settings.get("use-feature", ""):
        return False
    paths = ssl.get_default_verify_paths()
    return sys.platform == "darwin" or bool(paths.cafile or (paths.capath and any(os.scandir(paths.capath))))


def _uv_has_sources() -> bool:
    return any(os.environ.get(name) for name in UV_SOURCES)


def _uv_can_read(link: str) -> bool:
    """Whether uv accepts this value of pip's `find-links`: it fails for a missing folder, and for a file."""
    return re.match(r"https?://", link) is not None or Path(link.removeprefix("file://")).expanduser().is_dir()
