"""How the surface of OpenAI's API is described in the OpenAPI document."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi import ResponseSpec
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, Operation, Reference

from app.api.completions.errors import ErrorBody

_REASONS = {
    400: "Something is wrong with the request; `param` names the parameter.",
    401: "The API key is missing, has expired or is not one of this server's users.",
    403: "This needs a premium plan.",
    404: "There is no such model, or the plan does not allow it.",
    408: "The body comes too slowly.",
    413: "The body, or the text in it, is larger than its limit.",
    415: "The body has another media type than JSON.",
    429: "Too many requests or tokens, and `Retry-After` says when to try again; or the budget is used up.",
    500: "An internal error; the server's log has details under `X-Request-ID`.",
    503: "The service, the database or every AI provider is unavailable; `Retry-After` says when to try again.",
}
_OF_BODIES = (400, 408, 413, 415)


def refusals(*, body: bool = False) -> dict[int, ResponseSpec]:
    """The error responses of an operation; with `body` those of reading one."""
    return {
        status: ResponseSpec(ErrorBody, description=reason, generate_examples=False)
        for status, reason in _REASONS.items()
        if body or status not in _OF_BODIES
    }


@dataclass
class CompletionOperation(Operation):
    """An operation that is answered with JSON or with an event stream."""

    def __post_init__(self) -> None:
        answer = (self.responses or {})["200"]
        if isinstance(answer, OpenAPIResponse):
            stream = OpenAPIMediaType(Reference("#/components/schemas/CompletionChunkOnTheWire"))
            answer.content = {**(answer.content or {}), "text/event-stream": stream}
