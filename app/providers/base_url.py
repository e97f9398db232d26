"""Base URLs as settings hold them: which are taken, and the one form in which they are kept and sent."""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

import msgspec

_PORTS = {"http": 80, "https": 443}
# What a path and a query may consist of: https://www.rfc-editor.org/rfc/rfc3986#section-3.3 and 3.4
_CHARACTER = r"(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})"
_PATH = re.compile(f"{_CHARACTER}*")
_QUERY = re.compile(rf"(?:{_CHARACTER}|\?)*")
# Underscores are in no DNS name of a host, and in many of Docker's.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*\.?")

# https://www.iana.org/assignments/special-use-domain-names, and what is customary beside it
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")


class BadBaseUrl(ValueError):
    """This text is not a base URL. The message continues "NAME must …" and does not repeat the text."""


class BaseUrl(msgspec.Struct, frozen=True):
    """The address that the paths of a service are appended to. `parse` makes it."""

    url: str
    """Scheme, host, port and path. Without a slash at its end."""
    query: str = ""
    """Sent with every request, as it is written in the setting. Without its question mark."""

    @classmethod
    def parse(cls, text: str) -> BaseUrl:
        """Read `text`. Raises `BadBaseUrl`.

        Scheme and host become lower case and a scheme's own port is left out, since others compare addresses as text.
        """
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise BadBaseUrl("be an http:// or https:// address") from None
        scheme, host = parts.scheme, parts.hostname
        # `urlsplit` drops line breaks
        if scheme not in _PORTS or not host or port == 0 or not text.isprintable():
            raise BadBaseUrl("be an http:// or https:// address")
        if "@" in parts.netloc:
            raise BadBaseUrl("not hold a user name or a password")
        if "#" in text:
            raise BadBaseUrl("not have a fragment (#…), which is never sent")
        if not _is_host(host, bracketed="[" in parts.netloc):
            raise BadBaseUrl("name a host of ASCII letters, digits, dots, hyphens and underscores, or an IP address")
        if not _PATH.fullmatch(parts.path) or not _QUERY.fullmatch(parts.query):
            raise BadBaseUrl("write a character that no address has as its %XX")
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
        """Whether its host is this machine or one of the same network, by its name or address alone."""
        try:
            return not ip_address(self.host).is_global
        except ValueError:
            # one label: `localhost`, or a name that Docker or the network's own DNS gives
            name = self.host.removesuffix(".")
            return "." not in name or name.endswith(_PRIVATE_NAMES)

    @property
    def path(self) -> str:
        """The path, empty or with a slash before it."""
        return urlsplit(self.url).path

    def without(self, endings: Collection[str]) -> BaseUrl:
        """The same without the first of `endings` that its path ends with: what an SDK appends itself."""
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
