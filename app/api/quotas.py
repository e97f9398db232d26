"""Limits as headers: `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers."""

from __future__ import annotations

from collections.abc import Mapping

from app.values import Quota

WINDOW_SECONDS = 60
EXPOSED = ("RateLimit", "RateLimit-Policy")


def quota_headers(quotas: Mapping[str, Quota]) -> dict[str, str]:
    """Both headers, or none without quotas. `t` is the seconds until more of the quota is available."""
    if not quotas:
        return {}
    ordered = sorted(quotas.items())
    return {
        "RateLimit-Policy": ", ".join(f'"{name}";q={quota.limit};w={WINDOW_SECONDS}' for name, quota in ordered),
        "RateLimit": ", ".join(f'"{name}";r={quota.remaining};t={quota.reset}' for name, quota in ordered),
    }
