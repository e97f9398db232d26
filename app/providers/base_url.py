"""Base URLs in settings: which are accepted, and their normal form."""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import msgspec

_PORTS = {"http": 80, "https": 443}
# The characters of a path and a query: https://www.rfc-editor.org/rfc/rfc3986#section-3.3 and 3.4
_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_PATH = re.compile(f"{_CHARACTER}*")
_QUERY = re.compile(rf"(?:{_CHARACTER}|\?)*")
# DNS does not allow underscores in host names, but many names of Docker containers have them.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?")

# https://www.iana.org/assignments/special-use-domain-names, and other common ones
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class BadBaseUrl(ValueError):
    """The text is not a base URL. The message continues "NAME must …" and does not repeat the text."""


class BaseUrl(msgspec.Struct, frozen=True):
    """The address to which the paths of a service are appended. Made by `parse`."""

    url: str
    """Scheme, host, port and path, without a slash at the end."""
    query: str = ""
    """The query that is sent with every request, as the setting has it, without its question mark."""

    @classmethod
    def parse(cls, text: str) -> BaseUrl:
        """Read `text`. Raises `BadBaseUrl`.

        Scheme and host become lower case and the scheme's default port is left out, so that equal addresses are equal
        texts.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise BadBaseUrl("be an http:// or https:// address") from None
        scheme, host = parts.scheme, parts.hostname
        # `isprintable` refuses line breaks, which `urlsplit` would drop
        if scheme not in _PORTS or not host or port == 0 or not text.isprintable():
            raise BadBaseUrl("be an http:// or https:// address")
        if "@" in parts.netloc:
            raise BadBaseUrl("not hold a user name or a password")
        if "#" in text:
            raise BadBaseUrl("not have a fragment (#…), which is never sent")
        if not _is_host(host, bracketed="[" in parts.netloc):
            raise BadBaseUrl("name a host of ASCII letters, digits, dots, hyphens and underscores, or an IP address")
        if not _PATH.fullmatch(parts.path) or not _QUERY.fullmatch(parts.query):
            raise BadBaseUrl("write characters that an address cannot have as %XX")
        shown = f"[{host}]" if ":" in host else host
        where = shown if port in (None, _PORTS[scheme]) else f"{shown}:{port}"
        path = re.sub("/+", "/", parts.path).rstrip("/")
        return cls(f"{scheme}://{where}{path}", parts.query)

    def __str__(self) -> str:
        return f"{self.url}?{self.query}" if self.query else self.url

    @property
    def host(self) -> str:
        """The host alone, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_private(self) -> bool:
        """Whether the host is this machine or in the same network, judged by its name or address alone."""
        try:
            return not ip_address(self.host).is_global
        except ValueError:
            # a name without dots is `localhost`, or comes from Docker or the network's own DNS
            name = self.host.removesuffix(".")
            return "." not in name or name.endswith(_PRIVATE_NAMES)

    @property
    def path(self) -> str:
        """The path: empty, or beginning with a slash."""
        return urlsplit(self.url).path

    def without(self, endings: Collection[str]) -> BaseUrl:
        """This base URL without the first of `endings` that its path ends with. Used for what an SDK appends itself."""
        ending = next((ending for ending in endings if self.path.endswith(ending)), "")
        return BaseUrl(self.url.removesuffix(ending), self.query)


def _is_host(host: str, *, bracketed: bool) -> bool:
    try:
        if bracketed:
            return IPv6Address(host).scope_id is None
        if host.replace(".", "").isdigit():
            return str(IPv4Address(host)) == host
    except AddressValueError:
        return False
    return _NAME.fullmatch(host) is not None
