"""The packages that are shipped: Python's of requirements.lock, and those that the web client is made of."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

from license_expression import ExpressionError, get_spdx_licensing
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PYTHON_LOCK, NODE_LOCK = ROOT / "requirements.lock", ROOT / "package-lock.json"

SPDX = get_spdx_licensing()
CLASSIFIERS = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
"""The SPDX ids of the classifiers that mean one licence. "BSD License" means several."""
READ = {
    "async-timeout": "Apache-2.0",  # for Python before 3.11.3 alone
    "cobble": "BSD-2-Clause",
    "colorama": "BSD-3-Clause",
    "httpx": "BSD-3-Clause",
    "httpx-aiohttp": "BSD-3-Clause",
    "httpx2-jsfetch": "BSD-3-Clause",  # for Python in a browser alone
    "mammoth": "BSD-2-Clause",
    "protobuf": "BSD-3-Clause",
    "pyasn1-modules": "BSD-2-Clause",
    "pybreaker": "BSD-3-Clause",
    "pypdfium2": "BSD-3-Clause AND Apache-2.0",
    "rich-click": "MIT",
    "tzdata": "Apache-2.0",  # for Windows alone
    "uvloop": "MIT OR Apache-2.0",
    "websockets": "BSD-3-Clause",
}
"""Packages whose metadata does not name one SPDX licence, or which no platform of ours installs; read by a person."""


class UnknownLicence(Exception):
    """A package of the lock files says nothing that is an SPDX expression. The message names it, and what it says."""


@dataclass(frozen=True)
class Component:
    """A package as a lock file has it."""

    name: str
    version: str
    purl: str
    licence: str
    """An SPDX expression."""
    sha512: str | None = None
    """Hexadecimal; of the one file that npm's packages are. A Python package has a file for each platform."""
    needs: tuple[str, ...] = ()
    """The purls of the components that it asks for."""
    is_direct: bool = False
    """Whether Parley itself asks for it."""


def python_components() -> list[Component]:
    """Of requirements.lock, by name. Raises UnknownLicence."""
    text = PYTHON_LOCK.read_text()
    entries = re.findall(r"^([\w.-]+)==(\S+)((?:.*\\\n)+.*\n(?: +#.*\n)+)", text, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^[\w.-]+==", text, re.MULTILINE))
    # a package may have one version for each of several Pythons
    purls: dict[str, list[str]] = {}
    for name, version, _ in entries:
        purls.setdefault(name, []).append(f"pkg:pypi/{name}@{version}")
    needed_by = {name: set(re.findall(r"# +(?:via )?([\w.-]+)", rest)) for name, _, rest in entries}
    return [
        Component(
            name,
            version,
            f"pkg:pypi/{name}@{version}",
            _python_licence(name),
            needs=tuple(sorted(purl for other, asking in needed_by.items() if name in asking for purl in purls[other])),
            is_direct="parley" in needed_by[name],
        )
        for name, version, _ in entries
    ]


def _python_licence(name: str) -> str:
    """Its own SPDX expression; else what a person has read; else a field that is SPDX, or its one classifier."""
    known = READ.get(canonicalize_name(name))
    try:
        told: Message = metadata(name)  # type: ignore[assignment]
    except PackageNotFoundError:
        if known is None:
            raise UnknownLicence(f"{name} is not installed here: look its licence up and add it to READ") from None
        return known
    if expression := told.get("License-Expression"):
        return str(expression)
    if known is not None:
        return known
    field = str(told.get("License") or "")
    if is_spdx(field):
        return field
    classifiers = [each for each in told.get_all("Classifier") or () if each.startswith("License")]
    if len(classifiers) == 1 and (classified := CLASSIFIERS.get(classifiers[0])):
        return classified
    raise UnknownLicence(f"{name} says {field[:60]!r} and {classifiers}: read its licence and add it to READ")


def is_spdx(expression: str) -> bool:
    try:
        return SPDX.parse(expression, validate=True) is not None
    except ExpressionError:
        return False


def web_components() -> list[Component]:
    """What the web client is made of: package-lock.json without the packages for development, by name.

    `npm sbom --omit dev` (npm 11) would leave out what a package for development needs too, such as react.
    """
    packages = json.loads(NODE_LOCK.read_text())["packages"]
    development = ("dev", "devOptional", "link")
    shipped = {path: told for path, told in packages.items() if path and not any(map(told.get, development))}
    found: list[Component] = []
    for path, told in shipped.items():
        if "license" not in told:
            raise UnknownLicence(f"{path} of package-lock.json has no licence")
        names = told.get("dependencies", {}) | told.get("peerDependencies", {})
        asked = {_resolved(path, name, shipped) for name in names}
        found.append(
            Component(
                _name(path),
                told["version"],
                _npm_purl(_name(path), told["version"]),
                told["license"].strip("()"),
                base64.b64decode(told["integrity"].removeprefix("sha512-")).hex(),
                tuple(sorted(_npm_purl(_name(other), shipped[other]["version"]) for other in asked if other)),
                is_direct=_name(path) in packages[""]["dependencies"] and path.count("node_modules/") == 1,
            )
        )
    return sorted(found, key=lambda one: (one.name, one.version))


def _name(path: str) -> str:
    return path.rpartition("node_modules/")[2]


def _npm_purl(name: str, version: str) -> str:
    return f"pkg:npm/{name.replace('@', '%40')}@{version}"


def _resolved(path: str, name: str, packages: dict[str, object]) -> str | None:
    """Where Node finds a package that the one at `path` asks for: in its own folder, or in one above."""
    folder = path
    while True:
        candidate = f"{folder}/node_modules/{name}".lstrip("/")
        if candidate in packages:
            return candidate
        if not folder:
            return None
        folder = folder.rpartition("/node_modules/")[0] if "/node_modules/" in folder else ""
