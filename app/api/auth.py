"""Authentication: checks access tokens in this process, without a call to Supabase for each request.

Asymmetric tokens (ES256, RS256) are checked against the project's JWKS. HS256 is accepted only when the project's
secret is configured, and then only with that secret: a public key is never used as an HMAC secret.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from uuid import UUID

import jwt
from litestar.di import NamedDependency

from app.errors import SupabaseUnavailable, Unauthenticated
from app.modules import restore
from app.personal_keys import is_meant_as_key
from app.values import User

JWKS_SECONDS = 600.0
"""How long a key set is trusted: what Supabase's own edge cache uses."""
JWKS_RETRY_SECONDS = 30.0
"""The shortest time between two fetches, however many tokens name an unknown key."""
JWKS_OUTAGE_SECONDS = 2.0
"""The same while there has never been an answer, so that requests do not queue up to wait for one each."""
CACHED_TOKENS = 10_000
CLOCK_SKEW_SECONDS = 10
"""Allowed for `iat` and `nbf`; never for `exp`."""
MAX_TOKEN_CHARACTERS = 16_384
ALGORITHMS = ("ES256", "RS256")
"""Of published keys."""
PROJECT_KEYS = ("sb_publishable_", "sb_secret_")
"""How Supabase's own keys begin, which are nobody's token."""

_REQUIRED = {"require": ["exp", "iat", "sub", "aud", "iss"]}

FetchKeys = Callable[[], Awaitable[bytes]]


Caller = NamedDependency[User]
"""A handler's parameter `user` of this type makes its route one for signed-in users."""


class _Verdict(NamedTuple):
    """The user of a valid token and the id of its key, which is None for the project's secret."""

    user: User
    key_id: str | None


class TokenVerifier:
    """Verifies access tokens of one Supabase project.

    A token that was verified is remembered until it expires or its key leaves the project's set, which is fetched again
    when it is `JWKS_SECONDS` old, also where every token is known. `fetch_keys` returns the body of the project's JWKS;
    `jwt_secret` is that of a legacy HS256 project.
    """

    def __init__(
        self,
        supabase_url: str,
        fetch_keys: FetchKeys,
        *,
        jwt_secret: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = f"{supabase_url.rstrip('/')}/auth/v1"
        self._fetch_keys = fetch_keys
        self._jwt_secret = jwt_secret
        self._clock = clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()
        self._retrying: asyncio.Task[None] | None = None
        self._verified: OrderedDict[bytes, _Verdict] = OrderedDict()

    async def verify(self, authorization: str | None) -> User:
        """The user of an `Authorization` header. Raises `Unauthenticated`, or `SupabaseUnavailable` without keys."""
        token = bearer(authorization)
        if token is None:
            raise Unauthenticated("Send the user's Supabase access token as a Bearer token.")
        if is_meant_as_key(token):
            raise Unauthenticated(
                "This is a personal key, which opens /openai/v1 only; send the user's Supabase access token here."
            )
        digest = _digest(token)
        verdict = self._verified.get(digest)
        now = self._clock()
        if verdict is not None and verdict.key_id is not None and now - self._fetched_at > JWKS_SECONDS:
            await self._refresh_for_known(verdict.key_id)
            verdict = self._verified.get(digest)
        if verdict is None:
            verdict = await self._check(token)
            self._verified[digest] = verdict
            if len(self._verified) > CACHED_TOKENS:
                self._verified.popitem(last=False)
        if verdict.user.expires_at <= now:
            self._verified.pop(digest, None)
            raise Unauthenticated("The access token has expired.")
        return verdict.user

    async def _check(self, token: str) -> _Verdict:
        if token.startswith(PROJECT_KEYS):
            raise Unauthenticated("This is a key of the Supabase project; send a user's access token.")
        try:
            header = jwt.get_unverified_header(token)
        except jwt.InvalidTokenError:
            raise Unauthenticated("The access token is malformed.") from None
        algorithm = header.get("alg")
        key: Any
        key_id: str | None = None
        if algorithm == "HS256" and self._jwt_secret is not None:
            key = self._jwt_secret
        elif algorithm in ALGORITHMS:
            key_id = header.get("kid")
            key = await self._key(key_id, algorithm)
        else:
            raise Unauthenticated("The access token is signed in a way that is not accepted.")
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience="authenticated",
                issuer=self._issuer,
                leeway=CLOCK_SKEW_SECONDS,
                options=_REQUIRED,  # type: ignore[arg-type]
            )
            subject = str(UUID(claims["sub"]))
            expires_at = float(claims["exp"])
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The access token has expired.") from None
        except jwt.InvalidIssuerError:
            # its signature is the project's: most often SUPABASE_URL is another name of the same host
            raise Unauthenticated(
                f"The access token's issuer is not {self._issuer}, as SUPABASE_URL says it is."
            ) from None
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError):
            raise Unauthenticated("The access token is not valid for this project.") from None
        if claims.get("role") != "authenticated":
            raise Unauthenticated("Only a signed-in user's access token is accepted.")
        return _Verdict(User(subject, token, expires_at), key_id)

    async def _key(self, kid: object, algorithm: str) -> jwt.PyJWK:
        if not isinstance(kid, str):
            raise Unauthenticated("The access token does not name its key.")
        now = self._clock()
        if now - self._fetched_at > JWKS_SECONDS or kid not in self._keys:
            await self._refresh(kid)
        key = self._keys.get(kid)
        if key is None or key.algorithm_name != algorithm:
            raise Unauthenticated("The access token is signed with an unknown key.")
        return key

    async def _refresh_for_known(self, kid: str) -> None:
        """As `_refresh`, but a request with a known token does not wait if the project has just failed to answer."""
        if self._tried_at <= self._fetched_at:
            await self._refresh(kid)
        elif self._retrying is None or self._retrying.done():
            self._retrying = asyncio.create_task(self._refresh(kid))

    async def _refresh(self, kid: str) -> None:
        async with self._fetching:
            now = self._clock()
            if kid in self._keys and now - self._fetched_at <= JWKS_SECONDS:
                return  # fetched while this request waited for its turn
            answered = self._fetched_at > float("-inf")
            if now - self._tried_at < (JWKS_RETRY_SECONDS if answered else JWKS_OUTAGE_SECONDS):
                if answered:
                    return
                raise SupabaseUnavailable(retry_after=JWKS_OUTAGE_SECONDS)
            try:
                found = _parse_keys(await self._fetch_keys())
            except SupabaseUnavailable:
                self._tried_at = self._clock()
                if not answered:
                    raise
                return  # the keys we have stay good: they are replaced, not revoked, in an ordinary rotation
            self._tried_at = self._fetched_at = self._clock()
            self._replace(found)

    def _replace(self, found: dict[str, jwt.PyJWK]) -> None:
        """Replace the keys, and forget the tokens of keys that are gone or have changed."""
        gone = {kid for kid, key in self._keys.items() if kid not in found or not _same(key, found[kid])}
        self._keys = found
        if gone:
            kept = ((digest, verdict) for digest, verdict in self._verified.items() if verdict.key_id not in gone)
            self._verified = OrderedDict(kept)


def bearer(authorization: str | None) -> str | None:
    """The token of the header, when it can be one."""
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token and len(token) <= MAX_TOKEN_CHARACTERS else None


def _same(one: jwt.PyJWK, other: jwt.PyJWK) -> bool:
    """Whether two keys with the same id are the same key: an id can be reused."""
    return one.algorithm_name == other.algorithm_name and bool(one.key == other.key)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _parse_keys(body: bytes) -> dict[str, jwt.PyJWK]:
    """The keys of a JWKS by their ids. Raises `SupabaseUnavailable` when it is none."""
    # hidden by `app.__main__` where there is a secret; PyJWT looks for it while it is imported
    restore("cryptography", "jwt.utils", "jwt.algorithms", "jwt.api_jwk", "jwt.api_jws", "jwt.api_jwt", "jwt")
    try:
        found = jwt.PyJWKSet.from_json(body.decode()).keys
    except jwt.PyJWKSetError:
        found = []  # a project that signs with HS256 publishes no keys
    except (ValueError, TypeError, AttributeError) as error:
        raise SupabaseUnavailable("The project's keys cannot be read.", retry_after=JWKS_OUTAGE_SECONDS) from error
    return {key.key_id: key for key in found if key.key_id is not None}
