"""Errors as RFC 9457 `application/problem+json` with a stable code; unexpected errors reveal nothing."""

from __future__ import annotations

import math
from typing import Annotated, Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.typing import FieldDefinition
from litestar.utils import make_non_optional_union

from app import observe, watch
from app.api.completions.errors import error_response, is_below
from app.api.mistakes import expected
from app.api.quotas import quota_headers
from app.errors import AppError, InvalidRequest, NotFound, PayloadTooLarge

PROBLEM_JSON = "application/problem+json"


def problem_response(request: Request[Any, Any, Any], error: AppError) -> Response[bytes]:
    watch.watcher().problem(error)
    if is_below(path := request.scope["path"]):
        return error_response(error, method=request.method, path=path)
    headers = quota_headers(error.quotas)
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    body = error.problem(observe.request_id())
    return Response(msgspec.json.encode(body), status_code=error.status, media_type=PROBLEM_JSON, headers=headers)


def handle_app_error(request: Request[Any, Any, Any], error: AppError) -> Response[bytes]:
    return problem_response(request, error)


def handle_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own refusals: unknown routes, methods, malformed bodies and parameters."""
    response = problem_response(request, _as_app_error(request, error))
    if error.headers and "allow" in error.headers:
        response.headers["Allow"] = error.headers["allow"]
    return response


def handle_unforeseen(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    observe.unforeseen("request.failed", error)
    return problem_response(request, AppError())


def _as_app_error(request: Request[Any, Any, Any], error: HTTPException) -> AppError:
    if error.status_code == 404:
        return NotFound("There is nothing at this path; an id in it must be a UUID.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("allow", "")
        return InvalidRequest(f"{request.method} is not allowed here; allowed: {allowed}.", status=405)
    if error.status_code == 413:
        return PayloadTooLarge(_too_large(request))
    if isinstance(error, ValidationException):
        return _invalid_values(request, error)
    if error.status_code < 500:
        return InvalidRequest(error.detail.partition("\n")[0] or None, status=error.status_code)
    return AppError()


def _too_large(request: Request[Any, Any, Any]) -> str:
    limit = request.route_handler.resolve_request_max_body_size()
    declared = request.headers.get("content-length")
    return f"The body has {declared or f'more than {limit}'} bytes; at most {limit} are taken here."


def _invalid_values(request: Request[Any, Any, Any], error: ValidationException) -> InvalidRequest:
    """What Litestar refuses by itself: a missing body, and parameters. For other bodies see `app.api.bodies`."""
    wrong = {entry["key"] for entry in error.extra if "key" in entry} if isinstance(error.extra, list) else set()
    if "data" in wrong:
        return InvalidRequest("The body is empty; expected a JSON object.", status=400)
    if not wrong:  # a form without a boundary
        return InvalidRequest(error.detail, status=400)
    parameters = request.route_handler.parsed_fn_signature.parameters
    return InvalidRequest(" ".join(_wrong(parameters[name]) for name in sorted(wrong & parameters.keys())))


def _wrong(parameter: FieldDefinition) -> str:
    definition = parameter.kwarg_definition
    limits = {
        name: limit
        for name in ("ge", "le", "min_length", "max_length", "pattern")
        if (limit := getattr(definition, name, None)) is not None
    }
    kind = make_non_optional_union(parameter.annotation) if parameter.is_optional else parameter.annotation
    wanted = expected(Annotated[kind, msgspec.Meta(**limits)])
    return f"{getattr(definition, 'name', None) or parameter.name}: expected {wanted}."
