"""Refusals: what Supabase's errors become."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Literal

import aiohttp
import httpx
import msgspec
from postgrest.exceptions import APIError

from app import watch
from app.errors import (
    ERRORS,
    AppError,
    Conflict,
    InvalidRequest,
    NotFound,
    SupabaseRefused,
    SupabaseUnavailable,
    Unauthenticated,
)
from app.values import Quota

Key = Literal["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"]
"""The setting whose key a call carries: the publishable key beside a user's token, or the secret key alone."""

_MALFORMED = frozenset({"22P02", "22P05", "23514", "22001", "22003", "22007", "22008", "22009", "22021"})
"""SQLSTATEs of a value that is malformed, too long, too large, no time, bad text, or refused by a check."""
_NOT_THERE = frozenset({"PGRST202", "PGRST204", "PGRST205", "42883", "42P01", "42703"})
"""A function, table or column that the project does not have."""
TOKEN_REFUSED = frozenset({"PGRST301", "PGRST302", "PGRST303"})
"""PostgREST's codes for a token that it refuses."""
# The words with which the gateways of hosted projects, self-hosted ones and @supabase/lite refuse a key. The official
# client passes on the words but not the status.
_KEY_REFUSED = re.compile(r"api key|authentication credentials", re.IGNORECASE)
MOST_WORDS = 200
"""Characters of a gateway's message that are repeated in ours."""


class _ErrorBody(msgspec.Struct):
    """What PostgREST answers when a statement fails."""

    code: str | int | None = None
    message: str | None = None
    details: str | None = None
    hint: str | None = None


class _Refusal(msgspec.Struct, frozen=True):
    """The hint of an error that our functions raise: seconds until a retry, and the limit that was reached."""

    retry_after: float
    policy: str | None = None
    limit: int = 0


@asynccontextmanager
async def translated_errors() -> AsyncGenerator[None]:
    """Around a call of the official client: it is timed, and its errors become ours."""
    try:
        with watch.asking_supabase("user"):
            yield
    except APIError as error:
        body = _ErrorBody(error.code, error.message, error.details, error.hint)
        if error.code is None:
            status = 401 if _KEY_REFUSED.search(error.message or "") else 503
        else:
            # when the answer is not JSON, the client puts the HTTP status into `code`
            status = int(error.code) if re.fullmatch("[45][0-9]{2}", error.code) else 400
        raise _translated(status, body, "SUPABASE_PUBLISHABLE_KEY", "a table") from error
    except (httpx.HTTPError, aiohttp.ClientError, TimeoutError) as error:
        raise SupabaseUnavailable(retry_after=2) from error


def translate(status: int, content: bytes, key: Key, function: str) -> AppError:
    """The error for the answer to a call of `function`."""
    try:
        body = msgspec.json.decode(content, type=_ErrorBody)
    except msgspec.DecodeError:
        body = _ErrorBody()  # a proxy's page, or nothing at all
    return _translated(status, body, key, f"the function {function}")


def _translated(status: int, body: _ErrorBody, key: Key, what: str) -> AppError:
    """The error for a refused call of `what`. Only messages that our own functions raise (PTxxx) are passed on: those
    of the database may hold data."""
    code, message = str(body.code or ""), body.message or ""
    if code.startswith("PT") and message in ERRORS:
        # raised by our functions: the SQLSTATE ends in the status, the hint says when to come back
        refusal = _refusal(body.hint)
        error = ERRORS[message](
            body.details, status=int(code[2:]), retry_after=refusal.retry_after if refusal else None
        )
        if refusal is not None and refusal.policy is not None:
            error.quotas = {refusal.policy: Quota(refusal.limit, 0, int(refusal.retry_after))}
        return error
    if code in _NOT_THERE:
        return schema_refused(f"it lacks {what}")
    if key == "SUPABASE_SECRET_KEY" and code == "42501":
        return not_the_secret_one() if status == 401 else schema_refused(f"SUPABASE_SECRET_KEY may not call {what}")
    if code in TOKEN_REFUSED and key != "SUPABASE_SECRET_KEY":
        return Unauthenticated()
    if status == 401 and code != "42501":
        return key_refused(key, "The Data API", status, message)
    if code == "PGRST116":  # not exactly one row
        return NotFound()
    if code == "23503" and '"users"' in (body.details or ""):  # foreign key violation, and what is missing
        return Unauthenticated("The user of this access token no longer exists.")
    if code in ("23505", "23503"):  # unique or foreign key violation
        return Conflict()
    if code in _MALFORMED:
        return InvalidRequest("A value is malformed or out of range.", status=422)
    if status == 401:
        return Unauthenticated()
    return SupabaseUnavailable(retry_after=2)


def key_refused(setting: str, by: str, status: int, message: str) -> SupabaseRefused:
    """The error for a key that `by` refuses: the setting that holds it, and the status and message of the refusal."""
    words = re.sub(r"\b(sb_|eyJ)\S+", "[key]", " ".join(message.split()))[:MOST_WORDS]
    reason = f"{status}, {words}" if words else str(status)
    return SupabaseRefused(f"{by} of SUPABASE_URL refuses {setting} ({reason}).", setting=setting)


def not_the_secret_one() -> SupabaseRefused:
    return SupabaseRefused(
        "The Data API of SUPABASE_URL treats SUPABASE_SECRET_KEY as a publishable key: set the secret one.",
        setting="SUPABASE_SECRET_KEY",
    )


def schema_refused(why: str) -> SupabaseRefused:
    return SupabaseRefused(
        f"The database of SUPABASE_URL does not fit this version of Parley ({why}): "
        "apply supabase/migrations, with `npx supabase db push --remote` for a hosted project.",
        setting="SUPABASE_URL",
    )


def _refusal(hint: str | None) -> _Refusal | None:
    if not hint:
        return None
    given = msgspec.json.decode(hint, type=float | _Refusal)
    return given if isinstance(given, _Refusal) else _Refusal(given)
