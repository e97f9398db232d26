"""What is shipped, its licences, the notice of the web client, and the bills of materials."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, metadata

import pytest

from app import __version__
from scripts import web
from scripts.trust import components
from scripts.trust.components import Component, UnknownLicence, python_components, web_components
from scripts.trust.licences import refused
from scripts.trust.sbom import bill
from tests.support.sources import ROOT


def licensed(licence: str) -> Component:
    return Component("some", "1", "pkg:pypi/some@1", licence)


def test_everything_that_is_shipped_has_an_accepted_licence() -> None:
    assert refused([*python_components(), *web_components()]) == []


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-only", "AGPL-3.0-only", "MIT AND GPL-2.0-only", "SSPL-1.0", "LicenseRef-Proprietary"]
)
def test_other_licences_are_refused(licence: str) -> None:
    [line] = refused([licensed(licence)])
    assert line.startswith(f"some 1: {licence} is not accepted")


@pytest.mark.parametrize(
    "licence", ["MIT", "Apache-2.0 AND MIT", "GPL-2.0-only OR MIT", "(MIT AND ISC) OR GPL-2.0-only"]
)
def test_one_accepted_licence_of_a_choice_is_enough(licence: str) -> None:
    assert refused([licensed(licence)]) == []


def test_a_package_without_a_clear_licence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(components.READ, "pybreaker")
    with pytest.raises(UnknownLicence, match=r"^pybreaker says '' and .*BSD License.*: read its licence"):
        python_components()


def test_what_a_person_has_read_is_still_needed() -> None:
    """A package that is gone, or that names an SPDX licence by now, needs no entry."""
    locked = {one.name for one in python_components()}
    for name in components.READ:
        assert name in locked
        try:
            assert metadata(name).get("License-Expression") is None, name  # type: ignore[attr-defined]
        except PackageNotFoundError:
            continue


def test_notice_has_every_package_of_the_build_with_its_licence() -> None:
    web.build()
    notice = (web.BUILD / "third-party-licences.txt").read_text()
    named = set(re.findall(r"^([@a-z][^ \n]*) ([0-9][^ \n:]*): (.+)$", notice, re.MULTILINE))
    known = {(one.name, one.version): one.licence for one in web_components()}
    assert {"react", "react-dom", "ai", "katex", "@fontsource-variable/figtree"} <= {name for name, _, _ in named}
    assert {(name, version): licence.strip("()") for name, version, licence in named}.items() <= known.items()
    assert "Copyright (c) Meta Platforms" in notice
    assert "SIL OPEN FONT LICENSE" in notice


@pytest.mark.parametrize(("kind", "listed"), [("python", python_components), ("web", web_components)])
def test_bill_of_materials_has_what_the_lock_has(kind: str, listed: object) -> None:
    """`bill` has checked it against the schema of CycloneDX."""
    assert callable(listed)
    made = json.loads(bill(kind))
    assert made["specVersion"] == "1.6"
    assert made["metadata"]["component"]["version"] == __version__
    assert {one["purl"] for one in made["components"]} == {one.purl for one in listed()}
    assert all(one["licenses"] for one in made["components"])
    refs = {one["bom-ref"] for one in made["components"]} | {made["metadata"]["component"]["bom-ref"]}
    assert {one["ref"] for one in made["dependencies"]} == refs
    depended = {ref for one in made["dependencies"] for ref in one.get("dependsOn", [])}
    assert depended <= refs
    # everything is there since something asks for it
    assert depended | {made["metadata"]["component"]["bom-ref"]} == refs


def test_bills_of_materials_are_reproducible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    first = bill("web")
    assert first == bill("web")
    assert json.loads(first)["metadata"]["timestamp"] == "2026-09-21T14:13:20+00:00"


def test_packages_for_development_are_not_shipped() -> None:
    """And what one of them needs too is, which `npm sbom --omit dev` leaves out."""
    names = {one.name for one in web_components()}
    assert {"react", "zod", "@supabase/supabase-js"} <= names
    assert names.isdisjoint({"vite", "typescript", "playwright", "axe-core"})
    assert {one.name for one in python_components()}.isdisjoint({"pytest", "ruff", "psycopg"})


def test_version_is_said_once() -> None:
    package, lock = (json.loads((ROOT / name).read_text()) for name in ("package.json", "package-lock.json"))
    described = json.loads((ROOT / "docs/openapi.json").read_text())
    said = {package["version"], lock["version"], lock["packages"][""]["version"], described["info"]["version"]}
    assert said == {__version__}
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
