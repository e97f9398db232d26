"""`make pin-images`: writes the digests of the base images into the Dockerfile, as their registry has them now.

The digest is that of the list of all platforms, so one Dockerfile serves every machine. A build then takes exactly
these bytes, whatever the tag names later. Renovate keeps the digests up to date, where it watches the repository.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from scripts.local_supabase.node import REPOSITORY

DOCKERFILE = REPOSITORY / "Dockerfile"
BASE = re.compile(r"^ARG (?P<argument>\w+_IMAGE)=(?P<host>[\w.-]+)/(?P<name>[\w./-]+):(?P<tag>[\w.-]+)(?:@\S+)?$", re.M)
REGISTRIES: Mapping[str, str] = {"docker.io": "https://registry-1.docker.io"}
"""Hosts whose registry has another address than the images' names say."""
ACCEPTED = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
SECONDS = 30


class PinError(Exception):
    """A registry does not tell a digest."""


def pinned(dockerfile: str, client: httpx.Client, registries: Mapping[str, str] = REGISTRIES) -> str:
    """The Dockerfile with the digest of each base image behind its tag. Raises `PinError`."""

    def with_digest(base: re.Match[str]) -> str:
        host, name, tag = base["host"], base["name"], base["tag"]
        digest = digest_of(client, registries.get(host, f"https://{host}"), name, tag)
        return f"ARG {base['argument']}={host}/{name}:{tag}@{digest}"

    text, count = BASE.subn(with_digest, dockerfile)
    if not count:
        raise PinError("the Dockerfile names no base image as ARG …_IMAGE=host/name:tag")
    return text


def digest_of(client: httpx.Client, registry: str, name: str, tag: str) -> str:
    """`sha256:…` of what the registry's tag names. The hash is of the answer itself. Raises `PinError`."""
    url, headers = f"{registry}/v2/{name}/manifests/{tag}", {"Accept": ACCEPTED}
    try:
        answer = client.get(url, headers=headers)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            headers["Authorization"] = f"Bearer {_token(client, answer.headers.get('WWW-Authenticate', ''))}"
            answer = client.get(url, headers=headers)
        answer.raise_for_status()
    except httpx.HTTPError as error:
        raise PinError(f"{name}:{tag}: {error}") from error
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if kind not in ACCEPTED.split(", "):
        raise PinError(f"{name}:{tag}: the registry names no image for several platforms, but {kind or 'nothing'}")
    return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"


def _token(client: httpx.Client, challenge: str) -> str:
    """A token for reading, which registries give without an account."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    if not challenge.lower().startswith("bearer ") or "realm" not in asked:
        raise PinError(f"the registry wants another authentication than a token: {challenge or 'it says not which'}")
    answer = client.get(asked.pop("realm"), params=asked)
    answer.raise_for_status()
    given = answer.json()
    return str(given.get("token") or given["access_token"])


def main(dockerfile: Path = DOCKERFILE) -> int:
    """Returns 0, or prints one line about what failed and returns 1."""
    with httpx.Client(timeout=SECONDS, follow_redirects=True) as client:
        try:
            text = pinned(dockerfile.read_text(), client)
        except PinError as error:
            print(f"pin-images: {error}", file=sys.stderr)
            return 1
    dockerfile.write_text(text)
    for base in BASE.finditer(text):
        print(base[0].removeprefix("ARG "))
    return 0


if __name__ == "__main__":
    sys.exit(main())
