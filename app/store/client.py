"""The one connection pool to Supabase, and how its errors become ours. Every call carries exactly one identity.

The service key stays in this module, and `ServiceCall` lists all that is called with it.
"""

from __future__ import annotations

import urllib.request
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import aiohttp
import httpx
import msgspec
from httpx_aiohttp import AiohttpTransport
from postgrest import AsyncPostgrestClient
from postgrest.exceptions import APIError

from app.errors import (
    ERRORS,
    AppError,
    Conflict,
    InvalidRequest,
    NotFound,
    SupabaseUnavailable,
    Unauthenticated,
)
from app.messages import Quota

T = TypeVar("T")

ServiceCall = Literal[
    # replies
    "journal_write",
    "finish_replies",
    "recover_replies",
    # indexing
    "claim_index_jobs",
    "renew_index_jobs",
    "release_index_jobs",
    "index_passages",
    "postpone_index_job",
    "reembed_progress",
    "passages_to_reembed",
    "store_reembedded",
    # limits
    "configure_limits",
    "admin_limits",
    # plans
    "admin_grant",
    "admin_revoke",
    "admin_show",
    "admin_users",
    "admin_delete_plan",
]
"""The database functions that are called with the service key, by the module of `store` that calls them."""

_MALFORMED = frozenset({"22P02", "22P05", "23514", "22001", "22003", "22021"})
"""SQLSTATEs of a value that is malformed, too long, too large, bad text, or refused by a check."""
CALL_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=3)
POOL_SIZE = 50
"""Connections to Supabase a process; a call waits for a free one within its timeout. None is held across a stream."""

_encode = msgspec.json.encode


class _ErrorBody(msgspec.Struct):
    """What PostgREST answers when a statement fails."""

    code: str | None = None
    message: str | None = None
    details: str | None = None
    hint: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    """The hint of an error of ours: when to come back, in seconds, and which limit a minute was reached."""

    retry_after: float
    policy: str | None = None
    limit: int = 0


class Supabase:
    """A process's door to one Supabase project. Open it with `open_supabase`."""

    def __init__(self, url: str, publishable_key: str, secret_key: str, session: aiohttp.ClientSession) -> None:
        self.url = url.rstrip("/")
        self.session = session
        self._rest = f"{self.url}/rest/v1"
        self._publishable_key = publishable_key
        self._service_headers = self._headers(secret_key, secret_key)
        # the official client on the same pool: creating one per request costs microseconds
        self._http = httpx.AsyncClient(transport=AiohttpTransport(client=session), timeout=10)

    @staticmethod
    def _headers(key: str, bearer: str) -> dict[str, str]:
        return {"apikey": key, "Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}

    def for_user(self, token: str) -> AsyncPostgrestClient:
        """The official client with one user's token, for one request. Row level security decides what it sees."""
        return AsyncPostgrestClient(
            self._rest,
            headers={"apikey": self._publishable_key, "Authorization": f"Bearer {token}"},
            http_client=self._http,
            retry_enabled=False,
        )

    async def user_rpc(self, token: str, function: str, arguments: Mapping[str, object], result: type[T]) -> T:
        """Call a database function as one user. See `_rpc` for errors."""
        return await self._rpc(function, arguments, self._headers(self._publishable_key, token), result)

    async def service_rpc(self, function: ServiceCall, arguments: Mapping[str, object], result: type[T]) -> T:
        """Call one of the listed database functions with the service key. See `_rpc` for errors."""
        return await self._rpc(function, arguments, self._service_headers, result)

    async def _rpc(self, function: str, arguments: Mapping[str, object], headers: dict[str, str], result: type[T]) -> T:
        """One round trip, straight on the pool: a fifth of the CPU of the official builder, on every turn's path.

        A repeated call of these functions does nothing twice, except that it charges a search, a document or a check
        twice. So a call whose connection was lost (an idle one that the other side had just closed, most often) is sent
        once more. Raises the `AppError` that the function raised, or `SupabaseUnavailable`.
        """
        body = _encode(arguments)
        for last in (False, True):
            try:
                async with self.session.post(
                    f"{self._rest}/rpc/{function}", data=body, headers=headers, timeout=CALL_TIMEOUT
                ) as response:
                    content = await response.read()
            except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
                if last:
                    raise SupabaseUnavailable(retry_after=2) from error
                continue
            except (aiohttp.ClientError, TimeoutError) as error:
                raise SupabaseUnavailable(retry_after=2) from error
            break
        if response.status >= 300:
            raise _translate(response.status, content)
        try:
            return msgspec.json.decode(content, type=result)
        except msgspec.DecodeError as error:
            raise SupabaseUnavailable("The database answered in an unexpected form.", retry_after=2) from error

    async def ping(self) -> bool:
        """Whether Auth and the Data API answer now."""
        timeout = aiohttp.ClientTimeout(total=2)
        headers = {"apikey": self._publishable_key}
        try:
            for path in ("/auth/v1/health", "/rest/v1/conversations?select=id&limit=0"):
                async with self.session.get(self.url + path, headers=headers, timeout=timeout) as response:
                    if response.status >= 500:
                        return False
        except (aiohttp.ClientError, TimeoutError):
            return False
        return True

    async def aclose(self) -> None:
        await self._http.aclose()
        await self.session.close()


def open_supabase(url: str, publishable_key: str, secret_key: str) -> Supabase:
    """Make the process's pool. Must be called on the running event loop."""
    # the proxy is looked up once: `trust_env` would read the environment and ~/.netrc in a thread for every call
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=POOL_SIZE), proxy=_proxy_for(url))
    return Supabase(url, publishable_key, secret_key, session)


def _proxy_for(url: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for `url`."""
    parts = urlsplit(url)
    if parts.hostname is None or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)


@asynccontextmanager
async def translated() -> AsyncGenerator[None]:
    """Around calls of the official client: its errors become ours."""
    try:
        yield
    except APIError as error:
        status = 503 if error.code is None or not error.code[:2].isalnum() else 400
        raise _translate_code(status, error.code or "", error.message or "", error.details, error.hint) from error
    except (httpx.HTTPError, aiohttp.ClientError, TimeoutError) as error:
        raise SupabaseUnavailable(retry_after=2) from error


def _translate(status: int, content: bytes) -> AppError:
    try:
        body = msgspec.json.decode(content, type=_ErrorBody)
    except msgspec.DecodeError:
        return SupabaseUnavailable(retry_after=2)
    return _translate_code(status, body.code or "", body.message or "", body.details, body.hint)


def _translate_code(status: int, code: str, message: str, details: str | None, hint: str | None) -> AppError:
    """Only text that our own functions raised (PTxxx) is passed on; a database's own words may hold data."""
    if code.startswith("PT") and message in ERRORS:
        # raised by our functions: the SQLSTATE ends in the status, the hint says when to come back
        refusal = _refusal(hint)
        error = ERRORS[message](details, status=int(code[2:]), retry_after=refusal.retry_after if refusal else None)
        if refusal is not None and refusal.policy is not None:
            error.quotas = {refusal.policy: Quota(refusal.limit, 0, int(refusal.retry_after))}
        return error
    if code in ("PGRST301", "PGRST302", "PGRST303"):  # the token was refused
        return Unauthenticated()
    if code == "PGRST116":  # not exactly one row
        return NotFound()
    if code == "23503" and '"users"' in (details or ""):  # foreign key violation, and what is missing
        return Unauthenticated("The user of this access token no longer exists.")
    if code in ("23505", "23503"):  # unique or foreign key violation
        return Conflict()
    if code in _MALFORMED:
        return InvalidRequest("A value is malformed or out of range.", status=422)
    if status == 401:
        return Unauthenticated()
    return SupabaseUnavailable(retry_after=2)


def _refusal(hint: str | None) -> _Refusal | None:
    if not hint:
        return None
    given = msgspec.json.decode(hint, type=float | _Refusal)
    return given if isinstance(given, _Refusal) else _Refusal(given)
