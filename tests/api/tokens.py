"""Access tokens that no Auth server issues: any claims, any header, signed with any key or none."""

from __future__ import annotations

import hmac
import json
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.utils import base64url_encode

Claims = dict[str, Any]


def signing_key(kid: str | None = None) -> dict[str, str]:
    """A new private JSON Web Key, as a project signs with."""
    key: dict[str, str] = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))
    return {**key, "alg": "ES256", "kid": kid or str(uuid.uuid4())}


def public(key: dict[str, str]) -> dict[str, str]:
    """The half of a key that a project publishes."""
    return {name: value for name, value in key.items() if name != "d"}


def claims_of(issuer_url: str, subject: str | None = None, **changes: Any) -> Claims:
    """The claims of a valid token of the project at `issuer_url`; a change to None takes the claim away."""
    now = int(time.time())
    claims = {
        "iss": f"{issuer_url}/auth/v1",
        "aud": "authenticated",
        "sub": subject or str(uuid.uuid4()),
        "role": "authenticated",
        "iat": now,
        "exp": now + 3600,
        "session_id": str(uuid.uuid4()),
        "is_anonymous": False,
    }
    return {name: value for name, value in (claims | changes).items() if value is not None}


def sign(claims: Claims, key: dict[str, str], **header: Any) -> str:
    """An ES256 token; further members go into its header."""
    return jwt.encode(claims, jwt.PyJWK(key).key, "ES256", headers={"kid": key["kid"], **header})


def assemble(header: Claims, claims: Claims, secret: bytes | None) -> str:
    """A token put together by hand, signed with HMAC, or with nothing: what libraries refuse to make."""
    signed = b".".join(base64url_encode(json.dumps(part).encode()) for part in (header, claims))
    signature = base64url_encode(hmac.digest(secret, signed, "sha256")) if secret is not None else b""
    return b".".join((signed, signature)).decode()


def secrets_of_the_public_key(key: dict[str, str]) -> dict[str, bytes]:
    """Every form in which a public key might be mistaken for an HMAC secret."""
    published = jwt.PyJWK(public(key)).key
    numbers = published.public_numbers()
    return {
        "pem": published.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo),
        "der": published.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(public(key)).encode(),
        "jwk-compact": json.dumps(public(key), separators=(",", ":")).encode(),
        "x": key["x"].encode(),
        "raw-x": numbers.x.to_bytes(32, "big"),
        "kid": key["kid"].encode(),
        "empty": b"",
    }
