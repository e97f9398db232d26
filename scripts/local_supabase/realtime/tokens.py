"""Tokens: turns API keys and access tokens into claims, or refuses them with the real server's messages."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt

Claims = dict[str, Any]

_KEY_SECONDS = 24 * 60 * 60
"""How long a connection with only a key may last, https://supabase.com/docs/guides/api/api-keys."""


class TokenRefused(Exception):
    """A token is not accepted. `code` is the real server's name for the reason, `reason` its sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


class Tokens:
    """Checks tokens with the project's public key; knows its two API keys."""

    def __init__(self, publishable_key: str, secret_key: str, public_key: dict[str, str]) -> None:
        self._role_of_key = {publishable_key: "anon", secret_key: "service_role"}
        self._keys = {public_key["kid"]: jwt.PyJWK(public_key)}

    def of_key(self, key: str) -> Claims:
        """The claims of an API key, or of a token that is sent in its place. Raises TokenRefused."""
        role = self._role_of_key.get(key)
        if role is not None:
            # like the platform's gateway, which replaces the key by a token of that role
            return {"role": role, "exp": int(time.time()) + _KEY_SECONDS}
        return self.verify(key)

    def verify(self, token: str) -> Claims:
        """The claims of a token that this project signed and that has not expired. Raises TokenRefused."""
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise TokenRefused("MalformedJWT", "The token provided is not a valid JWT") from None
        kid = header.get("kid")
        key = self._keys.get(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenRefused(
                "JwtSignerError",
                f"Failed to generate JWT signer for key ID (kid) {json.dumps(kid)}, "
                "check your JWT secret or JWKS configuration",
            )
        try:
            claims: Claims = jwt.decode(
                token, key, algorithms=["ES256"], options={"verify_aud": False, "verify_exp": False}
            )
        except jwt.InvalidTokenError:
            raise TokenRefused("JwtSignatureError", "Failed to validate JWT signature") from None
        check(claims)
        return claims


def check(claims: Claims) -> float:
    """The seconds until the claims expire. Raises TokenRefused when they have no role or expiry, or have expired."""
    expires = claims.get("exp")
    if not isinstance(claims.get("role"), str) or not isinstance(expires, int | float):
        raise TokenRefused("InvalidJWTToken", "Fields `role` and `exp` are required in JWT")
    remaining = float(expires) - time.time()
    if remaining <= 0:
        raise TokenRefused("InvalidJWTToken", f"Token has expired {int(-remaining)} seconds ago")
    return remaining
