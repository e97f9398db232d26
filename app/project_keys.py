"""Supabase's keys: reads from a key its kind and its project, without asking Supabase."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

import msgspec

NAMES = ("SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY")
_PREFIXES = {"sb_publishable_": "publishable", "sb_secret_": "secret", "sbp_": "personal access"}
_ROLES = {"anon": "publishable", "service_role": "secret"}
HOSTED = ".supabase.co"


def complaint(url: str, publishable: str, secret: str) -> str | None:
    """A sentence about a key of the wrong kind or of another project than `url`; None when both keys are right."""
    kinds = _kind(publishable), _kind(secret)
    if kinds == ("secret", "publishable"):
        return f"{NAMES[0]} and {NAMES[1]} are swapped: each holds the other's key"
    for name, kind, right in zip(NAMES, kinds, ("publishable", "secret"), strict=True):
        if kind not in (None, right):
            return f"{name} holds a {kind} key: set the {right} one (sb_{right}_…)"
    host = urlsplit(url).hostname or ""
    for name, key in zip(NAMES, (publishable, secret), strict=True):
        ref = _claims(key).get("ref")
        if isinstance(ref, str) and host.endswith(HOSTED) and host != ref + HOSTED:
            return f"{name} is a key of the project {ref}, and SUPABASE_URL is the address of another one"
    return None


def is_legacy(key: str) -> bool:
    """Whether a key is a legacy one: a token that was signed with the project's JWT secret."""
    return _claims(key).get("role") in _ROLES


def _kind(key: str) -> str | None:
    """The kind of a key; None when it cannot be read from the key."""
    by_prefix = next((kind for prefix, kind in _PREFIXES.items() if key.startswith(prefix)), None)
    return by_prefix or _ROLES.get(str(_claims(key).get("role")))


def _claims(key: str) -> dict[str, object]:
    """The claims of a legacy key, which is a token; empty for any other key."""
    try:
        _, payload, _ = key.split(".")
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="), type=dict[str, object])
    except (ValueError, msgspec.DecodeError):
        return {}
