"""The web client: serves the build of `web/` at `/`, and `/config.json`, which tells it where Supabase is.

The build is read once, at the start, so that a page and its scripts are always of one build. Every path that begins as
one of the API's does is the API's, and so is every request that is not GET or HEAD. Other paths that a browser
navigates to are pages of the client, which knows them by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from litestar.enums import ScopeType
from litestar.routes import BaseRoute
from litestar.types import ASGIApp, Receive, Scope, Send

APP = Path(__file__).parents[1]
BUILD = installed if (installed := APP / "web").is_dir() else APP.parent / "web" / "dist"
"""The build is a part of the package in a wheel (`make wheel`), and beside it in the repository."""
INDEX, CONFIG = "/index.html", "/config.json"
HASHED = "/assets/"
"""The folder of files whose names hold a hash of their content."""
RESERVED = frozenset({"assets", "metrics"})
"""First parts of paths that are never a page of the client, beside those of the API's routes."""
ENCODINGS = {"br": ".br", "gzip": ".gz"}
"""The encodings in which the build holds a file, the best first, and the ends of their names."""
YEAR_SECONDS = 31_536_000
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


class ClientConfig(msgspec.Struct, frozen=True):
    """What the client has to know before it can call anything. No secret: both keys of it are made for browsers."""

    api_url: str
    """Empty: the page's own origin."""
    supabase_url: str
    supabase_publishable_key: str


@dataclass(frozen=True)
class Served:
    """A file as it is sent, by encoding; the empty encoding is the file itself."""

    media_type: str
    cache_control: str
    bodies: Mapping[str, bytes]
    digest: str

    @classmethod
    def of(cls, media_type: str, cache_control: str, body: bytes, encoded: Mapping[str, bytes]) -> Served:
        digest = hashlib.sha256(body).hexdigest()[:20]
        return cls(media_type, cache_control, {"": body, **encoded}, digest)

    def etag(self, encoding: str) -> str:
        return f'"{self.digest}-{encoding}"' if encoding else f'"{self.digest}"'


def web(app: ASGIApp, routes: Iterable[BaseRoute], config: ClientConfig, build: Path = BUILD) -> ASGIApp:
    """Around `app`: answers what is the web client's, and hands on everything else. Without a build, the client's
    configuration is still served, for Vite's development server."""
    files = _read(build)
    files[CONFIG] = Served.of(MEDIA_TYPES[".json"], "no-cache", msgspec.json.encode(config), {})
    index = files.get(INDEX)
    if index is not None:
        files["/"] = index
    reserved = RESERVED | {route.path.split("/")[1] for route in routes}
    common = _security_headers(config.supabase_url)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == ScopeType.HTTP and scope["method"] in ("GET", "HEAD"):
            path = scope["path"]
            file = files.get(path)
            # the API's requests pass by without their headers being read
            if file is not None or path.split("/")[1] not in reserved:
                headers = _headers(scope)
                if file is None and "text/html" in headers.get("accept", ""):
                    file, path = index, "/{page}"
                if file is not None:
                    scope["path_template"] = path
                    await _send(file, headers, common, send, head=scope["method"] == "HEAD")
                    return
        await app(scope, receive, send)

    return answer


def is_built(build: Path = BUILD) -> bool:
    """Whether there is a client to serve."""
    return (build / "index.html").is_file()


def content_security_policy(supabase_url: str) -> str:
    """Scripts, styles, fonts and images of this origin only; calls to it and to Supabase, Realtime included."""
    parts = urlsplit(supabase_url)
    socket = "wss" if parts.scheme == "https" else "ws"
    directives = (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        f"connect-src 'self' {parts.scheme}://{parts.netloc} {socket}://{parts.netloc}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
    return "; ".join(directives)


def _read(build: Path) -> dict[str, Served]:
    """The files of the build by their paths. Its hidden folders are about the build and are not served."""
    found = {f"/{path.relative_to(build).as_posix()}": path for path in build.rglob("*") if path.is_file()}
    ends = tuple(ENCODINGS.values())
    files = {}
    for name, path in found.items():
        if name.endswith(ends) or "/." in name:
            continue
        immutable = name.startswith(HASHED)
        files[name] = Served.of(
            MEDIA_TYPES.get(path.suffix, "application/octet-stream"),
            f"public, max-age={YEAR_SECONDS}, immutable" if immutable else "no-cache",
            path.read_bytes(),
            {one: found[name + end].read_bytes() for one, end in ENCODINGS.items() if name + end in found},
        )
    return files


def _security_headers(supabase_url: str) -> list[tuple[bytes, bytes]]:
    headers = {
        "Content-Security-Policy": content_security_policy(supabase_url),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _headers(scope: Scope) -> dict[str, str]:
    """The headers that matter here; several of one name are joined, as HTTP allows."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1")
        if name in ("accept", "accept-encoding", "if-none-match"):
            text = value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found


async def _send(
    file: Served, asked: Mapping[str, str], common: list[tuple[bytes, bytes]], send: Send, *, head: bool
) -> None:
    encoding = chosen_encoding(asked.get("accept-encoding", ""), file.bodies)
    body, etag = file.bodies[encoding], file.etag(encoding)
    headers = [
        *common,
        (b"cache-control", file.cache_control.encode()),
        (b"etag", etag.encode()),
    ]
    if len(file.bodies) > 1:
        headers.append((b"vary", b"Accept-Encoding"))
    if is_held(asked.get("if-none-match", ""), etag):
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    headers += [(b"content-type", file.media_type.encode()), (b"content-length", b"%d" % len(body))]
    if encoding:
        headers.append((b"content-encoding", encoding.encode()))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body, "more_body": False})


def chosen_encoding(accepted: str, available: Mapping[str, bytes]) -> str:
    """Of the `available` encodings, the one that the header `Accept-Encoding` prefers; empty: none."""
    weights: dict[str, float] = {}
    for part in accepted.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weights[name] = next((_weight(one[2:]) for one in parameters if one.startswith("q=")), 1)
    others = weights.get("*", 0)
    best = max(ENCODINGS, key=lambda name: (name in available) * weights.get(name, others))
    return best if best in available and weights.get(best, others) > 0 else ""


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0


def is_held(if_none_match: str, etag: str) -> bool:
    """Whether a client already has what `etag` names. Weak comparison, as `If-None-Match` demands."""
    held = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return etag in held or "*" in held
