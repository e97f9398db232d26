"""A package index on 127.0.0.1, as pip and uv see one (PEP 503), with wheels made on the spot and a log of requests."""

from __future__ import annotations

import hashlib
import io
import re
import ssl
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Wheel:
    """One file of an index."""

    name: str
    version: str
    content: bytes

    @property
    def file(self) -> str:
        return f"{self.name}-{self.version}-py3-none-any.whl"

    @property
    def locked(self) -> str:
        """Its line in a lock."""
        return f"{self.name}=={self.version} --hash=sha256:{hashlib.sha256(self.content).hexdigest()}\n"


def wheel(
    name: str,
    version: str,
    *,
    requires: Iterable[str] = (),
    extras: Iterable[str] = (),
    text: str = "",
    programs: dict[str, str] | None = None,
) -> Wheel:
    """A wheel with one module of the name, which holds `text`, and `programs`: shell scripts by name."""
    described = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    described += [f"Provides-Extra: {extra}\n" for extra in extras] + [f"Requires-Dist: {line}\n" for line in requires]
    information = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": text,
        **{f"{name}-{version}.data/scripts/{program}": script for program, script in (programs or {}).items()},
        f"{information}/METADATA": "".join(described),
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_record_hash(content)},{len(content)}\n" for path, content in files.items())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, content in {**files, f"{information}/RECORD": f"{record}{information}/RECORD,,\n"}.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = (0o100755 if ".data/scripts/" in path else 0o100644) << 16
            archive.writestr(entry, content)
    return Wheel(name, version, packed.getvalue())


def _record_hash(content: str) -> str:
    return "sha256=" + urlsafe_b64encode(hashlib.sha256(content.encode()).digest()).decode().rstrip("=")


class Index:
    """An index that offers `wheels`. It also answers as an HTTP proxy does, for whatever host it is asked."""

    def __init__(self, *wheels: Wheel, tls: ssl.SSLContext | None = None) -> None:
        self.wheels = list(wheels)
        self.asked: list[str] = []
        """Each request: the name of a package, or of a file that was downloaded."""
        self.hosts: list[str] = []
        """The host that each request named."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"index": self}))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}/simple"

    def answer(self, url: str) -> tuple[int, bytes]:
        path = urlsplit(url).path
        if page := re.fullmatch(r"/simple/([^/]+)/", path):
            self.asked.append(page[1])
            offered = [wheel for wheel in self.wheels if wheel.name == page[1]]
            return (200, "".join(map(self._link, offered)).encode()) if offered else (404, b"")
        name = path.removeprefix("/files/")
        self.asked.append(name)
        return next(((200, wheel.content) for wheel in self.wheels if wheel.file == name), (404, b""))

    @staticmethod
    def _link(offered: Wheel) -> str:
        return f'<a href="/files/{offered.file}">{offered.file}</a>\n'

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    index: Index
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.index.hosts.append(self.headers["Host"])
        status, body = self.index.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if "/simple/" in self.path else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle(self) -> None:
        """Without a word about clients that end while they are connected."""
        with suppress(ConnectionResetError):
            super().handle()

    def log_message(self, *_: object) -> None:
        """Nothing: `asked` is the log."""
