"""A registry on 127.0.0.1, as npm sees one, with packages made on the spot and a log of requests."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, Self


@dataclass(frozen=True)
class Package:
    """One version of a package. `manifest` is what its package.json says beside name and version."""

    name: str
    version: str
    manifest: dict[str, Any] = field(default_factory=dict)
    text: str = ""

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}.tgz"

    @property
    def described(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version, **self.manifest}

    @property
    def content(self) -> bytes:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for path, text in (("package/package.json", json.dumps(self.described)), ("package/index.js", self.text)):
                entry = tarfile.TarInfo(path)
                entry.size = len(text.encode())
                archive.addfile(entry, io.BytesIO(text.encode()))
        # the header of gzip holds the time
        return packed.getvalue()[:4] + bytes(4) + packed.getvalue()[8:]

    @property
    def integrity(self) -> str:
        return "sha512-" + base64.b64encode(hashlib.sha512(self.content).digest()).decode()


class Registry:
    """A registry that offers `packages`; the last one of a name is `latest`."""

    def __init__(self, *packages: Package) -> None:
        self.packages = list(packages)
        self.asked: list[str] = []
        """Each request: the name of a package, or of a file that was downloaded."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"registry": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def answer(self, path: str) -> bytes | None:
        name = path.strip("/").removeprefix("files/")
        self.asked.append(name)
        if path.startswith("/files/"):
            return next((package.content for package in self.packages if package.file == name), None)
        offered = [package for package in self.packages if package.name == name]
        if not offered:
            return None
        versions = {
            package.version: {
                **package.described,
                "dist": {"tarball": f"{self.url}files/{package.file}", "integrity": package.integrity},
            }
            for package in offered
        }
        times = dict.fromkeys(versions, "2026-11-28T12:00:00.000Z")
        described = {"name": name, "dist-tags": {"latest": offered[-1].version}, "versions": versions, "time": times}
        return json.dumps(described).encode()

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    registry: Registry
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.registry.answer(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def handle(self) -> None:
        """Without a word about clients that end while they are connected."""
        with suppress(ConnectionResetError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Nothing: `asked` is the log."""
