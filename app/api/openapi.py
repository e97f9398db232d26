"""In charge of what the OpenAPI document says beyond the handlers' types: the token, the problems, the event stream."""

from __future__ import annotations

from dataclasses import dataclass

from litestar.openapi import OpenAPIConfig, ResponseSpec
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    RequestBody,
    Schema,
    SecurityRequirement,
    SecurityScheme,
)

from app.api.problem import PROBLEM_JSON
from app.messages import Problem

USER_TOKEN: list[SecurityRequirement] = [{"supabase": []}]
"""The security of every route below `/v1`."""


_REASONS = {
    400: "The request is malformed.",
    401: "The access token is missing, has expired or is not one of this project's users.",
    402: "This month's budget is used up.",
    403: "This needs a premium plan.",
    404: "Nothing of the caller's has this id.",
    409: "The request conflicts with the current state.",
    413: "The request is too large.",
    422: "A value is not acceptable.",
    429: "Too many requests; `Retry-After` says when to come back.",
    503: "The service, the database or every AI provider is unavailable; `Retry-After` says when to come back.",
}

EVENTS = """Server-sent events, each with a monotonic `id` and JSON data:

- `message.started` {conversation_id, user_message_id, message_id, provider, model}: both messages are stored.
- `sources` {items: [{id, document_id, title, similarity, excerpt}], error}: what the reply is given of the user's
  documents, if there are any. It cites them by their place in the list. With an `error` code, it goes without.
- `delta` {text}: the next piece of the reply.
- `restart` {reason, provider, model}: another model answers; the text so far is void.
- Then exactly one of `done` {status, finish_reason, usage, provider, model, length}, `stopped` {usage, length} and
  `error` {problem, status, length}. `length` is that of the stored text, in code points.

`reconnect` {} asks the reader to come back with `Last-Event-ID`, as does a connection that ends without one of the
three. Lines that begin with a colon keep the connection alive."""


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The error responses of a `/v1` route: those any route has, and `statuses`."""
    return {
        status: ResponseSpec(Problem, description=_REASONS[status], media_type=PROBLEM_JSON, generate_examples=False)
        for status in sorted({400, 401, 503, *statuses})
    }


def not_ready() -> dict[int, ResponseSpec]:
    """The error response of a route that only says whether it can serve."""
    return {503: problems()[503]}


@dataclass
class OptionalBodyOperation(Operation):
    """An operation whose body may be left out where it may be null; Litestar calls every body required."""

    def __post_init__(self) -> None:
        if isinstance(self.request_body, RequestBody):
            schemas = [media.schema for media in self.request_body.content.values()]
            self.request_body.required = not any(
                isinstance(schema, Schema) and any(_is_null(one) for one in schema.one_of or ()) for schema in schemas
            )


@dataclass
class EventStreamOperation(OptionalBodyOperation):
    """An operation whose 200 is an event stream, beside the JSON that it may be instead."""

    def __post_init__(self) -> None:
        super().__post_init__()
        answer = (self.responses or {}).get("200")
        if isinstance(answer, OpenAPIResponse):
            # Litestar describes an empty body as JSON null
            json = {name: media for name, media in (answer.content or {}).items() if not _is_null(media.schema)}
            stream = OpenAPIMediaType(schema=Schema(type=OpenAPIType.STRING, description=EVENTS))
            answer.content = {"text/event-stream": stream, **json}


def _is_null(schema: object) -> bool:
    return isinstance(schema, Schema) and schema.type == OpenAPIType.NULL


def openapi_config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Parley",
        version="1",
        description="A Supabase-native chat backend. Every call below `/v1` carries the user's own Supabase access "
        "token, and sees what that user may see.",
        path="/schema",
        use_handler_docstrings=True,
        components=Components(
            security_schemes={"supabase": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
    )
