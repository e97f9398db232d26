"""The build of the web client: made where its sources have changed, within its budget, on the API's current types."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import openapi, web
from scripts.local_supabase.node import NODE, REPOSITORY

FIRST_LOAD_BYTES = 200_000
TYPES = web.WEB / "src" / "lib" / "schema.d.ts"
PROGRAM = REPOSITORY / "node_modules" / "openapi-typescript" / "bin" / "cli.js"


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    web.build()
    found: dict[str, Any] = json.loads((web.BUILD / ".vite" / "manifest.json").read_text())
    return found


def loaded_with(manifest: dict[str, Any], name: str) -> set[str]:
    """The files that come with a part of the build before it runs."""
    waiting, names = [name], set[str]()
    while waiting:
        if (one := waiting.pop()) not in names:
            names.add(one)
            waiting += manifest[one].get("imports", [])
    return {manifest[one]["file"] for one in names}


def sent(file: str) -> int:
    """The bytes of a file as browsers are sent it."""
    path = web.BUILD / file
    compressed = path.with_name(path.name + ".br")
    return (compressed if compressed.exists() else path).stat().st_size


def test_first_load_is_within_its_budget(manifest: dict[str, Any]) -> None:
    sizes = {file: sent(file) for file in loaded_with(manifest, "index.html")}
    assert 50_000 < sum(sizes.values()) <= FIRST_LOAD_BYTES, sizes


def test_chat_is_not_part_of_the_first_load(manifest: dict[str, Any]) -> None:
    assert manifest["src/chat/ChatPane.tsx"]["isDynamicEntry"]
    assert manifest["src/chat/ChatPane.tsx"]["file"] not in loaded_with(manifest, "index.html")


def test_each_text_file_is_there_compressed(manifest: dict[str, Any]) -> None:
    for path in web.BUILD.rglob("*"):
        if path.suffix in (".js", ".css", ".html") and path.stat().st_size >= 1024:
            for end in (".br", ".gz"):
                smaller = path.with_name(path.name + end)
                assert smaller.stat().st_size < path.stat().st_size, path


def test_unchanged_sources_are_not_built_again(manifest: dict[str, Any]) -> None:
    before = (web.BUILD / "index.html").stat().st_mtime_ns
    assert web.build() is False
    assert (web.BUILD / "index.html").stat().st_mtime_ns == before


def test_types_are_those_of_the_described_api(tmp_path: Path) -> None:
    """`make openapi` writes both."""
    written = tmp_path / "schema.d.ts"
    subprocess.run(
        [NODE, PROGRAM, openapi.COPY, "--output", written],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        timeout=60,
    )
    assert written.read_text() == TYPES.read_text()
