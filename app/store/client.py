"""The connection pool to Supabase. Every call carries exactly one identity. `refusals` makes its errors ours.

Only this module holds the service key; `ServiceCall` lists every function that is called with it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
import urllib.request
import zlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import aiohttp
import httpx
import msgspec
from httpx_aiohttp import AiohttpTransport
from postgrest import AsyncPostgrestClient
from yarl import URL

from app import watch
from app.errors import SupabaseRefused, SupabaseUnavailable
from app.exchange import Address, exchanging, lines
from app.lanes import Lane
from app.store.refusals import Key, translate, translated_errors

T = TypeVar("T")

ServiceCall = Literal[
    # replies
    "journal_write",
    "finish_replies",
    "recover_replies",
    # imports
    "import_messages",
    "import_documents",
    "end_import",
    # charges
    "charge_usage",
    # completions
    "begin_completion",
    "renew_completions",
    "finish_completions",
    "completion_models",
    "begin_embeddings",
    # retention
    "retire",
    # titles
    "begin_title",
    "finish_title",
    # indexing
    "charge_reading",
    "claim_index_jobs",
    "index_queue",
    "renew_index_jobs",
    "release_index_jobs",
    "index_passages",
    "postpone_index_job",
    "reembed_progress",
    "passages_to_reembed",
    "store_reembedded",
    "index_waiting_texts",
    # limits
    "configure_limits",
    "configure_documents",
    "admin_limits",
    # prices
    "admin_prices",
    "admin_models",
    # plans
    "admin_grant",
    "admin_revoke",
    "admin_show",
    "admin_users",
    "admin_delete_plan",
    # keys
    "check_key",
    "admin_create_key",
    "admin_keys",
    "admin_revoke_key",
    # project
    "applied_migrations",
]
"""The database functions that are called with the service key, by the module of `store` that calls them."""

_FIELDS = {"Accept-Encoding": "gzip"}
CALL_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=3)
POOL_SIZE = 50
"""Connections to Supabase per process. No stream holds one."""
TURNS_AT_ONCE, READS_AT_ONCE = 14, 26
"""Connections for users' calls: for those that begin, repeat or stop a turn, and for all others. The rest is for the
service: journal, indexing, checks of the project."""
TURNS_OF_A_USER, READS_OF_A_USER = 4, 6
"""Connections for one user. The database begins a user's turns one after the other in any case."""
TURNS_WAITING, READS_WAITING = 500, 100
"""Calls of one user that wait."""
WAITING_OF_ALL = 1000
"""Calls of all users that wait, in each lane."""
WAIT_SECONDS = 5.0
"""How long a call waits for its turn, at most."""
TURN_FUNCTIONS = frozenset({"begin_turn", "replay_turn", "stop_reply"})

_encode = msgspec.json.encode


class _Claims(msgspec.Struct):
    sub: str


@lru_cache(maxsize=2048)
def _user_of(token: str) -> str:
    """The user whose share a call with `token` takes. The API has verified the token; any other text is its own
    user."""
    payload = token.split(".")[1:2]
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(f"{payload[0]}=="), type=_Claims).sub
    except (IndexError, binascii.Error, msgspec.DecodeError):
        return token


def _full() -> SupabaseUnavailable:
    return SupabaseUnavailable("Too many calls wait for the database; send the request again.", retry_after=1)


_lane = partial(Lane, waiting_of_all=WAITING_OF_ALL, seconds=WAIT_SECONDS, full=_full)


class Supabase:
    """The client of one Supabase project, one per process. Make it with `open_supabase`.

    Users' calls share a part of the pool, see `app.lanes`. The service's calls do not wait for them.
    """

    def __init__(
        self, url: str, publishable_key: str, secret_key: str, session: aiohttp.ClientSession, *, direct: bool
    ) -> None:
        """`session` is one of `exchanging`; `direct`: without a proxy."""
        self.url = url.rstrip("/")
        self.session = session
        self._rest = f"{self.url}/rest/v1"
        self._direct = direct
        self._addresses: dict[str, Address] = {}
        self._publishable_key = publishable_key
        self._refusal: SupabaseRefused | None = None
        self._service_headers = self._headers(secret_key, secret_key)
        self.turns = _lane(at_once=TURNS_AT_ONCE, share=TURNS_OF_A_USER, waiting=TURNS_WAITING, what="turns")
        self.reads = _lane(
            at_once=READS_AT_ONCE, share=READS_OF_A_USER, waiting=READS_WAITING, what="calls of the database"
        )
        # The official client on the same pool: creating one per request costs microseconds. The session has the
        # certificates; reading them for a second time takes 0.8 MB.
        transport = AiohttpTransport(client=session, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        self._http = httpx.AsyncClient(transport=transport, timeout=10)

    @staticmethod
    def _headers(key: str, bearer: str) -> dict[str, str]:
        return {"apikey": key, "Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}

    @asynccontextmanager
    async def for_user(self, token: str) -> AsyncGenerator[AsyncPostgrestClient]:
        """The official client with one user's token, for one call inside the block. Row level security decides what it
        sees. Translates its errors; raises `RateLimited` for a user with too many calls at once."""
        user = _user_of(token)
        await self.reads.enter(user)
        try:
            async with translated_errors():
                yield AsyncPostgrestClient(
                    self._rest,
                    headers={"apikey": self._publishable_key, "Authorization": f"Bearer {token}"},
                    http_client=self._http,
                    retry_enabled=False,
                )
        finally:
            self.reads.leave(user)

    async def user_rpc(self, token: str, function: str, arguments: Mapping[str, object], result: type[T]) -> T:
        """Call a database function as one user. Raises what `_rpc` does, and `RateLimited` for a user with too many
        calls at once."""
        headers = self._headers(self._publishable_key, token)
        user, lane = _user_of(token), self.turns if function in TURN_FUNCTIONS else self.reads
        await lane.enter(user)
        try:
            return await self._rpc(function, arguments, headers, result, "SUPABASE_PUBLISHABLE_KEY")
        finally:
            lane.leave(user)

    async def service_rpc(
        self, function: ServiceCall, arguments: Mapping[str, object], result: type[T], *, user_id: str | None = None
    ) -> T:
        """Call one of the listed database functions with the service key. With `user_id` the call waits for its turn
        among those of this user, who sent the request that it is made for. See `_rpc` for errors."""
        if user_id is not None:
            await self.turns.enter(user_id)
        try:
            answer = await self._rpc(function, arguments, self._service_headers, result, "SUPABASE_SECRET_KEY")
        except SupabaseRefused as refusal:
            self._refusal = refusal
            raise
        finally:
            if user_id is not None:
                self.turns.leave(user_id)
        self._refusal = None
        return answer

    def require_service(self) -> None:
        """Raises `SupabaseRefused` while the project refuses the service's calls: work that needs them to finish must
        not begin. `chat.recovery` makes such a call every few seconds, so this answer is recent."""
        if self._refusal is not None:
            raise SupabaseRefused(str(self._refusal), setting=self._refusal.setting)

    async def _rpc(
        self, function: str, arguments: Mapping[str, object], headers: dict[str, str], result: type[T], key: Key
    ) -> T:
        """One round trip on the pool. Every turn makes such calls; the official builder would take five times the CPU.

        A call whose connection was lost is sent once more; most often it was an idle one that the other side had just
        closed. The functions are safe to repeat, but a search, a document or a moderation check is charged twice.
        Raises the `AppError` that the function raised, `SupabaseUnavailable`, or `SupabaseRefused`.
        """
        body = _encode(arguments)
        with watch.asking_supabase("user" if key == "SUPABASE_PUBLISHABLE_KEY" else "service"):
            for last in (False, True):
                try:
                    status, content = await self._post(function, body, headers)
                except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError) as error:
                    if last:
                        raise SupabaseUnavailable(retry_after=2) from error
                    continue
                except (aiohttp.ClientError, TimeoutError, zlib.error, RuntimeError) as error:
                    if isinstance(error, RuntimeError) and not self.session.closed:  # aiohttp 3.14's of a closed one
                        raise
                    raise SupabaseUnavailable(retry_after=2) from error
                break
            if status >= 300:
                raise translate(status, content, key, function)
            try:
                return msgspec.json.decode(content, type=result)
            except msgspec.DecodeError as error:
                raise SupabaseUnavailable("The database answered in an unexpected form.", retry_after=2) from error

    async def _post(self, function: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body of the answer. aiohttp itself makes the calls that a proxy or a redirection concerns."""
        if self._direct:
            address = self._addresses.get(function)
            if address is None:
                url = URL(f"{self._rest}/rpc/{function}")
                self._addresses[function] = address = Address(
                    self.session, url, _FIELDS, connect_seconds=CALL_TIMEOUT.sock_connect
                )
            async with asyncio.timeout(CALL_TIMEOUT.total):
                exchange = await address.post(body, lines(headers))
                try:
                    content = await exchange.whole()
                finally:
                    exchange.close()
            if not 300 <= exchange.status < 400:
                packed = exchange.header(b"content-encoding") == b"gzip"
                return exchange.status, zlib.decompress(content, wbits=31) if packed else content
        async with self.session.post(
            f"{self._rest}/rpc/{function}", data=body, headers=headers, timeout=CALL_TIMEOUT
        ) as response:
            return response.status, await response.read()

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
    proxy = _proxy_for(url)
    session = exchanging(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=POOL_SIZE), proxy=proxy))
    return Supabase(url, publishable_key, secret_key, session, direct=proxy is None)


def _proxy_for(url: str) -> str | None:
    """The proxy that HTTP_PROXY, HTTPS_PROXY and NO_PROXY name for `url`."""
    parts = urlsplit(url)
    if parts.hostname is None or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)
