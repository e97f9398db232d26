"""Errors below `/openai`, in the shape of OpenAI's API: its clients read no other one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, NamedTuple

import msgspec
from litestar import Response

from app.api.quotas import quota_headers
from app.api.views import described
from app.chat.completion import TOO_LONG
from app.errors import (
    AppError,
    BudgetExceeded,
    ContentFlagged,
    InvalidRequest,
    NotFound,
    ParameterUnsupported,
    PayloadTooLarge,
    PremiumRequired,
    PromptTooLong,
    RateLimited,
    Unauthenticated,
    UnknownModel,
)
from app.values import Quota

PREFIX = "/openai/"
"""All paths below it, also unknown ones, answer errors in this shape."""
LIMITS = tuple(
    f"x-ratelimit-{part}-{policy}" for part in ("limit", "remaining", "reset") for policy in ("requests", "tokens")
)
"""The headers in which OpenAI's API tells what is left."""

INVALID = "invalid_request_error"
_CODES = {
    "missing": "missing_required_parameter",
    "no such field": "unknown_parameter",
    "not supported": "unsupported_parameter",
}
"""By the words with which a sentence goes on."""
_FIELD = re.compile(r"([a-z_]\w*(?:\[\d+\]|\.\w+)*)(?:, the name of a member)?: ")


class ErrorObject(msgspec.Struct, frozen=True):
    """What went wrong."""

    message: Annotated[str, described("For people.")]
    type: Annotated[str, described("The kind of error, such as `invalid_request_error`, `requests` or `server_error`.")]
    param: Annotated[str | None, described("The parameter that is wrong.")]
    code: Annotated[str | None, described("The error, for programs.")]


class ErrorBody(msgspec.Struct, frozen=True):
    """An error, in the shape of OpenAI's API."""

    error: ErrorObject


class _Told(NamedTuple):
    status: int
    type: str
    code: str
    param: str | None = None


class Answer(NamedTuple):
    """A whole response."""

    status: int
    headers: dict[str, str]
    body: bytes


def error_answer(error: AppError, *, method: str, path: str) -> Answer:
    """The answer to a request that was refused or has failed."""
    told = _told(error)
    body = error_body(error)
    if isinstance(error, NotFound):
        body = ErrorBody(ErrorObject(f"Invalid URL ({method} {path})", INVALID, None, "unknown_url"))
    headers = limit_headers(error.quotas)
    if told.code == "insufficient_quota":
        # the clients would repeat any 429, and this one does not go away
        headers["x-should-retry"] = "false"
    elif error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if told.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(told.status, headers, msgspec.json.encode(body))


def error_response(error: AppError, *, method: str, path: str) -> Response[bytes]:
    """The same as Litestar's response."""
    status, headers, body = error_answer(error, method=method, path=path)
    return Response(body, status_code=status, media_type="application/json", headers=headers)


def error_body(error: AppError) -> ErrorBody:
    """The error as a body, or as an event of a stream."""
    told = _told(error)
    message = TOO_LONG if isinstance(error, PromptTooLong) else str(error)
    return ErrorBody(ErrorObject(message, told.type, told.param, told.code))


def limit_headers(quotas: Mapping[str, Quota]) -> dict[str, str]:
    """What is left of the limits: in OpenAI's headers, and in those of the rest of the API."""
    headers = quota_headers(quotas)
    for policy, quota in quotas.items():
        if policy in ("requests", "tokens"):
            headers[f"x-ratelimit-limit-{policy}"] = str(quota.limit)
            headers[f"x-ratelimit-remaining-{policy}"] = str(quota.remaining)
            headers[f"x-ratelimit-reset-{policy}"] = f"{quota.reset}s"
    return headers


def _told(error: AppError) -> _Told:
    """How OpenAI's API would tell it; where it has no such error, our own code."""
    match error:
        case UnknownModel():
            return _Told(404, INVALID, "model_not_found", "model")
        case PromptTooLong():
            return _Told(400, INVALID, "context_length_exceeded", "messages")
        case ParameterUnsupported():
            return _Told(400, INVALID, "unsupported_parameter", error.parameter)
        case ContentFlagged():
            return _Told(400, INVALID, "content_policy_violation")
        case PayloadTooLarge():
            return _Told(413, INVALID, error.code)
        case InvalidRequest():
            # 400 is what its clients know for anything that is wrong with a value
            status = 400 if error.status == 422 else error.status
            return _Told(status, INVALID, _code_of(error.detail or ""), _param_of(error.detail or ""))
        case NotFound():
            return _Told(404, INVALID, error.code)
        case Unauthenticated():
            return _Told(401, INVALID, "invalid_api_key")
        case PremiumRequired():
            return _Told(403, "permission_error", error.code)
        case BudgetExceeded():
            return _Told(429, "insufficient_quota", "insufficient_quota")
        case RateLimited():
            return _Told(429, next(iter(error.quotas), "requests"), "rate_limit_exceeded")
        case _:
            return _Told(error.status, "server_error" if error.status >= 500 else INVALID, error.code)


def _param_of(detail: str) -> str | None:
    """The parameter that a sentence of `app.api.mistakes` begins with."""
    found = _FIELD.match(detail)
    return found[1] if found is not None and found[1] != "body" else None


def _code_of(detail: str) -> str:
    found = _FIELD.match(detail)
    if found is None:
        return "invalid_request"
    said = detail[found.end() :]
    for words, code in _CODES.items():
        if said.startswith(words):
            return code
    return "invalid_value"


def is_below(path: str) -> bool:
    """Whether a path belongs to this surface."""
    return path.startswith(PREFIX) or path == PREFIX.rstrip("/")
