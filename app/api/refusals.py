"""Refusals: the problems that each operation may answer with, as the OpenAPI document describes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, Union

import msgspec
from litestar.openapi import ResponseSpec

from app.api.problem import PROBLEM_JSON
from app.errors import ERRORS, AppError, InvalidRequest

ALWAYS = ("internal_error",)
FOR_USERS = ("unauthenticated", "rate_limited", "supabase_unavailable")
"""Of any operation below `/v1`: the caller is checked first; requests without a valid token are limited by address."""
OF_BODIES = {
    400: "invalid_request",
    408: "invalid_request",
    413: "payload_too_large",
    415: "invalid_request",
    422: "invalid_request",
}

_REASONS = {
    400: "The body cannot be read: it is not JSON, or not UTF-8, or its end is missing.",
    401: "The access token is missing, has expired or is not one of this project's users.",
    402: "This month's budget is used up.",
    403: "This needs a premium plan, or the plan holds no more of what is to be stored; `detail` names its limit.",
    404: "The caller has nothing with this id.",
    408: "The body comes too slowly.",
    409: "The request conflicts with the current state.",
    413: "The body, or the text in it, is larger than its limit, which `detail` names.",
    415: "The body has another media type than those listed.",
    422: "A value is not allowed; `detail` names the field and what is allowed.",
    429: "Too many requests; `Retry-After` says when to try again.",
    500: "An internal error; the server's log has details under the `request_id`.",
    503: "The service, the database or every AI provider is unavailable; `Retry-After` says when to try again.",
}
_STATUSES: dict[type[AppError], tuple[int, ...]] = {
    InvalidRequest: (400, 405, 408, 414, 415, 422, 431),
    AppError: (500, 503),
}
"""Of those that have several."""
_FURTHER: dict[str, tuple[str, ...]] = {"content_flagged": ("categories",)}
"""The lists of texts that some problems have beside the members of all."""


def _problem_of(error: type[AppError]) -> type[msgspec.Struct]:
    """The schema of one error: the members of `Problem`, and what is fixed of them."""
    statuses = _STATUSES.get(error, (error.status,))
    return msgspec.defstruct(
        error.code.title().replace("_", "") + "Problem",
        [
            ("type", Literal[f"urn:parley:problem:{error.code}"]),
            ("title", str),
            ("status", Literal[statuses]),
            *((name, list[str] | msgspec.UnsetType, msgspec.UNSET) for name in _FURTHER.get(error.code, ())),
            ("detail", str | msgspec.UnsetType, msgspec.UNSET),
            ("request_id", str | msgspec.UnsetType, msgspec.UNSET),
        ],
        namespace={"__doc__": f"{error.title}."},
        tag_field="code",
        tag=error.code,
        kw_only=True,
    )


PROBLEMS: dict[str, type[msgspec.Struct]] = {code: _problem_of(error) for code, error in ERRORS.items()}


def problems(
    *codes: str, body: bool = False, users: bool = True, also: Mapping[int, str] | None = None
) -> dict[int, ResponseSpec]:
    """The error responses of an operation: those any has, `codes`, with `body` those of reading one, and codes that
    `also` has under another status than theirs."""
    found: dict[int, list[str]] = {}
    for code in (*ALWAYS, *(FOR_USERS if users else ()), *codes):
        found.setdefault(ERRORS[code].status, []).append(code)
    for status, code in ((OF_BODIES if body else {}) | dict(also or {})).items():
        found.setdefault(status, []).append(code)
    return {status: _response(status, dict.fromkeys(found[status])) for status in sorted(found)}


def _response(status: int, codes: Iterable[str]) -> ResponseSpec:
    kinds: Any = Union[tuple(PROBLEMS[code] for code in codes)]  # noqa: UP007
    return ResponseSpec(kinds, description=_REASONS[status], media_type=PROBLEM_JSON, generate_examples=False)
