"""Every error leaves as RFC 9457 `application/problem+json` with a stable code; what was not foreseen says nothing."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from app import observe
from app.api.quotas import quota_headers
from app.errors import AppError, InvalidRequest, NotFound, PayloadTooLarge

PROBLEM_JSON = "application/problem+json"


def problem_response(request: Request[Any, Any, Any], error: AppError) -> Response[bytes]:
    headers = quota_headers(error.quotas)
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = error.problem()
    if request_id := observe.request_id():
        body = msgspec.structs.replace(body, request_id=request_id)
    return Response(msgspec.json.encode(body), status_code=error.status, media_type=PROBLEM_JSON, headers=headers)


def handle_app_error(request: Request[Any, Any, Any], error: AppError) -> Response[bytes]:
    return problem_response(request, error)


def handle_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own refusals: unknown routes, methods, malformed bodies and parameters."""
    response = problem_response(request, _as_app_error(error))
    if error.headers and "allow" in error.headers:
        response.headers["Allow"] = error.headers["allow"]
    return response


def handle_unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    observe.unforeseen("request.failed", error)
    return problem_response(request, AppError())


def _as_app_error(error: HTTPException) -> AppError:
    if error.status_code == 404:
        return NotFound()
    if error.status_code == 413:
        return PayloadTooLarge()
    if isinstance(error, ValidationException):
        return InvalidRequest(_invalid_values(error))
    if error.status_code < 500:
        return InvalidRequest(error.detail.partition("\n")[0] or None, status=error.status_code)
    return AppError()


def _invalid_values(error: ValidationException) -> str:
    """Which fields are wrong and why, in msgspec's words: they name types, limits and the choices there are."""
    reasons = []
    for entry in error.extra if isinstance(error.extra, list) else []:
        if isinstance(entry, dict) and "message" in entry:
            key, message = str(entry.get("key") or "data"), str(entry["message"])
            if message == repr(key):  # the KeyError of a value that is not there at all
                message = "is required"
            # `data` is what Litestar calls the body
            reasons.append(f"{'body' if key == 'data' else key}: {message}")
    return "; ".join(reasons) or "The request is malformed."
