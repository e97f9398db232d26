"""`make pin-images` asks a registry as its specification says, and writes what builds then take."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from scripts.image.dockerfile import stages
from scripts.image.pin import BASE, DOCKERFILE, PinError, pinned
from tests.support.answering import Quiet, answering

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """A registry that wants a token, which anybody gets: Docker Hub, as far as it matters here."""

    def __init__(self) -> None:
        self.url = ""
        self.kind = INDEX
        self.asked: list[str] = []

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        if path.startswith("/token?"):
            return 200, {}, json.dumps({"token": "of-" + path.partition("repository%3A")[2]}).encode()
        name = path.removeprefix("/v2/").partition("/manifests/")[0]
        if headers.get("authorization") != f"Bearer of-{name.replace('/', '%2F')}%3Apull":
            asked = f'Bearer realm="{self.url}/token",service="registry.test",scope="repository:{name}:pull"'
            return 401, {"WWW-Authenticate": asked}, b"{}"
        if "missing" in name:
            return 404, {}, b"{}"
        return 200, {"Content-Type": self.kind}, of(path)


def of(path: str) -> bytes:
    """The list of an image's platforms."""
    return json.dumps({"schemaVersion": 2, "of": path}).encode()


@pytest.fixture
def registry() -> Iterator[Registry]:
    made = Registry()

    class Answers(Quiet, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            lowered = {name.lower(): value for name, value in self.headers.items()}
            status, headers, body = made.answer(self.path, lowered)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    with answering(Answers) as made.url:
        yield made


def pin(text: str, registry: Registry) -> str:
    with httpx.Client(trust_env=False) as client:
        return pinned(text, client, {"docker.io": registry.url})


def test_the_bases_of_the_dockerfile_get_their_digests(registry: Registry, tmp_path: Path) -> None:
    text = DOCKERFILE.read_text()
    bases = [(base["name"], base["tag"]) for base in BASE.finditer(text)]
    assert [name for name, _ in bases] == ["library/python", "library/node"]
    (tmp_path / "Dockerfile").write_text(pin(text, registry))
    expected = {
        f"docker.io/{name}:{tag}@sha256:" + hashlib.sha256(of(f"/v2/{name}/manifests/{tag}")).hexdigest()
        for name, tag in bases
    }
    assert {stage.base for stage in stages(tmp_path / "Dockerfile")} == expected


def test_a_digest_is_replaced_by_a_later_one_and_nothing_else_is_changed(registry: Registry) -> None:
    text = "# said\nARG A_IMAGE=docker.io/library/a:1@sha256:" + "0" * 64 + "\nFROM ${A_IMAGE} AS one\n"
    once = pin(text, registry)
    assert "0" * 64 not in once
    assert pin(once, registry) == once
    assert BASE.sub("", once) == BASE.sub("", text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ARG A_IMAGE=docker.io/library/missing:1\n", "library/missing:1: .*404"),
        ("FROM docker.io/library/python:3.11\n", "names no base image"),
    ],
)
def test_what_cannot_be_pinned_is_said(registry: Registry, text: str, why: str) -> None:
    with pytest.raises(PinError, match=why):
        pin(text, registry)


def test_an_image_of_one_platform_is_not_taken(registry: Registry) -> None:
    registry.kind = MANIFEST
    with pytest.raises(PinError, match="no image for several platforms"):
        pin("ARG A_IMAGE=docker.io/library/a:1\n", registry)
