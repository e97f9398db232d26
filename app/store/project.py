"""Checks whether the Supabase project accepts this server's settings: address, both keys, JWT secret and schema.

When the project refuses one, `SupabaseRefused` names it. No answer or a temporary failure (5xx, 429) raises
`SupabaseUnavailable`, which does not stop the server from starting.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import Coroutine, Iterable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec

from app.errors import SupabaseRefused, SupabaseUnavailable
from app.store.client import Supabase
from app.store.refusals import TOKEN_REFUSED, key_refused, schema_refused

T = TypeVar("T")

ANSWER_SECONDS = 2.0
"""How long each answer may take; the start and readiness probes wait for it."""
MOST_BYTES = 100_000
"""Bytes of an answer that are read; Auth's settings have a few hundred."""
APP = Path(__file__).parents[1]
WORKDIR = APP if (APP / "supabase").is_dir() else APP.parent
"""The folder that has `supabase/`: the package in a wheel (`make wheel`), and its parent in the repository."""
MIGRATIONS = WORKDIR / "supabase" / "migrations"
"""The migrations that this code needs. Without this folder, an installation checks no versions."""
SETTINGS_PATH = "/auth/v1/settings"
KEYS_PATH = "/auth/v1/.well-known/jwks.json"
TABLE_PATH = "/rest/v1/conversations?select=id&limit=0"


class _Settings(msgspec.Struct):
    """The part of Auth's settings that is always there."""

    external: dict[str, object]


class _Keys(msgspec.Struct):
    keys: list[dict[str, object]]


class _Words(msgspec.Struct):
    """The refusal of a gateway, of Auth (with `msg`) or of the Data API (with `code`)."""

    code: str | int | None = None
    message: str = ""
    msg: str = ""


class Project:
    """The checks of one project."""

    def __init__(self, supabase: Supabase, *, publishable_key: str, jwt_secret: str | None) -> None:
        self._supabase = supabase
        self._publishable_key = publishable_key
        self._jwt_secret = jwt_secret
        self._needed = {path.name.partition("_")[0] for path in MIGRATIONS.glob("*.sql")}

    async def check(self) -> None:
        """Check the address, both keys and the schema with two calls. Raises `SupabaseRefused` or
        `SupabaseUnavailable`."""
        await _all(self.publishable_key_at_auth(), self._service_and_schema())

    async def check_all(self) -> None:
        """For the start: also check how tokens are signed, and the publishable key at the Data API."""
        await _all(
            self.publishable_key_at_auth(),
            self._service_and_schema(),
            self.publishable_key_at_the_data_api(),
            self.signatures(),
        )

    async def publishable_key_at_auth(self) -> None:
        """Whether Auth answers at the address, and accepts the publishable key. Raises as `check`."""
        status, content = await self._get(SETTINGS_PATH, {"apikey": self._publishable_key})
        # Supabase's gateways refuse a key with JSON or with nothing, and other servers with a page
        words = _decoded(content or b"{}", _Words)
        if status in (401, 403) and words is not None:
            raise key_refused("SUPABASE_PUBLISHABLE_KEY", "Auth", status, words.message or words.msg)
        if status != 200 or _decoded(content, _Settings) is None:
            raise SupabaseRefused(
                f"SUPABASE_URL is not the address of a Supabase project: {SETTINGS_PATH} is answered with {status}, "
                "and not with the settings of Auth.",
                setting="SUPABASE_URL",
            )

    async def publishable_key_at_the_data_api(self) -> None:
        """Whether the Data API accepts the publishable key. Raises as `check`."""
        status, words = await self._data_api(self._publishable_key)
        if status == 401 and words.code != "42501":
            raise key_refused("SUPABASE_PUBLISHABLE_KEY", "The Data API", status, words.message)

    async def applied_migrations(self) -> list[str] | None:
        """The versions that the Supabase CLI has applied; None where it keeps no record. Needs the secret key."""
        return await self._supabase.service_rpc("applied_migrations", {}, list[str] | None)  # type: ignore[arg-type]

    async def _service_and_schema(self) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                applied = await self.applied_migrations()
        except TimeoutError as error:
            raise SupabaseUnavailable(f"SUPABASE_URL cannot be reached: {_reason(error)}.", retry_after=2) from error
        known = self._needed.intersection(applied or ())
        # a project with no record of any of them was migrated without the CLI, so its version is not known
        if known and (missing := self.missing(known)):
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise schema_refused(f"it lacks the migration {missing[0]}{more}")

    def missing(self, applied: Iterable[str]) -> list[str]:
        """The versions of the migrations that this code needs and that are not in `applied`, the oldest first."""
        return sorted(self._needed.difference(applied))

    async def signatures(self) -> list[str]:
        """Check how access tokens are signed; returns the algorithms of the keys that Auth publishes. Raises as
        `check`."""
        status, content = await self._get(KEYS_PATH, {})
        keys = _decoded(content, _Keys) if status == 200 else None
        published = [_algorithm(key) for key in keys.keys] if keys is not None else []
        if self._jwt_secret is None:
            if not published:
                raise SupabaseRefused(
                    "SUPABASE_JWT_SECRET is not set, and the Auth of SUPABASE_URL publishes no keys: "
                    "it signs its access tokens with that secret.",
                    setting="SUPABASE_JWT_SECRET",
                )
            return published
        # checked even when keys are published: anybody who knows a secret that is accepted here can sign for any user
        status, words = await self._data_api(_token_of_nobody(self._jwt_secret))
        if words.code in TOKEN_REFUSED:
            raise key_refused("SUPABASE_JWT_SECRET", "The Data API", status, words.message)
        return published

    async def clock_ahead(self) -> float | None:
        """How many seconds the project's clock is ahead of ours, to about half a second; None when its answer has no
        date. Raises `SupabaseUnavailable`."""
        asked = time.time()
        response, _ = await self._ask(SETTINGS_PATH, {"apikey": self._publishable_key})
        try:
            said = parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return None
        # the header has whole seconds, cut off
        return said.timestamp() + 0.5 - (asked + time.time()) / 2

    async def _data_api(self, token: str) -> tuple[int, _Words]:
        """The Data API's answer to a token that may read nothing. The code is 42501 when it accepts the token."""
        headers = {"apikey": self._publishable_key, "Authorization": f"Bearer {token}"}
        status, content = await self._get(TABLE_PATH, headers)
        return status, _decoded(content, _Words) or _Words()

    async def _get(self, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body. Raises `SupabaseUnavailable` for failures that may be temporary."""
        response, content = await self._ask(path, headers)
        return response.status, content

    async def _ask(self, path: str, headers: dict[str, str]) -> tuple[aiohttp.ClientResponse, bytes]:
        """The answer and its body. Raises `SupabaseUnavailable` for failures that may be temporary."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        url = self._supabase.url + path
        try:
            async with self._supabase.session.get(
                url, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                content = await response.content.read(MOST_BYTES)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise SupabaseUnavailable(f"SUPABASE_URL cannot be reached: {_reason(error)}.", retry_after=2) from error
        # a 403 whose body is not JSON comes from a firewall
        firewall = response.status == 403 and _decoded(content, _Words) is None
        if response.status >= 500 or response.status in (408, 425, 429) or firewall:
            raise SupabaseUnavailable(f"SUPABASE_URL answers {response.status} at the moment.", retry_after=2)
        if 300 <= response.status < 400:
            target = urlsplit(response.headers.get("Location", ""))
            raise SupabaseRefused(
                f"SUPABASE_URL is not the project's address: it redirects to {target.scheme}://{target.netloc}.",
                setting="SUPABASE_URL",
            )
        return response, content


async def _all(address: Coroutine[None, None, None], *others: Coroutine[None, None, object]) -> None:
    """Run the checks at the same time. Raises all refusals as one error, or else the first missing answer."""
    answers = await asyncio.gather(address, *others, return_exceptions=True)
    found = [error for error in answers if isinstance(error, BaseException)]
    refusals: dict[str, SupabaseRefused] = {}
    for error in found:
        if isinstance(error, SupabaseRefused):
            refusals.setdefault(error.setting, error)
    if refusals:
        first, *more = refusals.values()
        # when the address is wrong, the other refusals say nothing
        words = [first] if first is found[0] and first.setting == "SUPABASE_URL" else [first, *more]
        raise SupabaseRefused(" ".join(map(str, words)), setting=first.setting)
    if found:
        raise found[0]


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return f"no answer within {ANSWER_SECONDS:g} s"
        case aiohttp.ClientConnectorDNSError():
            return "its host is not known"
        case aiohttp.ClientSSLError():
            return "its certificate is not accepted"
        case aiohttp.ClientConnectorError():
            return "no server answers there"
        case _:
            return type(error).__name__


def _decoded(content: bytes, type_: type[T]) -> T | None:
    try:
        return msgspec.json.decode(content, type=type_)
    except msgspec.DecodeError:
        return None


def _algorithm(key: Mapping[str, object]) -> str:
    """The algorithm of a published key; for one that does not name it, the usual one of its type."""
    usual = {"RSA": "RS256", "EC": "ES256"}
    return str(key.get("alg") or usual.get(str(key.get("kty")), key.get("kty")))


def _token_of_nobody(secret: str) -> str:
    """An access token signed with this secret, valid for a minute, with the same rights as the publishable key."""
    now = int(time.time())
    claims = {"role": "anon", "iss": "parley", "iat": now, "exp": now + 60}
    signed = b".".join(_base64(msgspec.json.encode(part)) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return b".".join((signed, _base64(hmac.digest(secret.encode(), signed, "sha256")))).decode()


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
