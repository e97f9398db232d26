"""The OpenAPI document: Litestar's list of operations with msgspec's schemas, and what neither of them knows.

Litestar 2.25 describes a generic struct's list as a list of anything and says of no field what it means; msgspec does
both. So the schemas are msgspec's own, and the rest is put in order here: a sentence a summary, the headers, examples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from inspect import cleandoc
from typing import Any

import msgspec
from litestar.datastructures import ResponseHeader
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import (
    Components,
    License,
    OpenAPI,
    OpenAPIMediaType,
    OpenAPIResponse,
    OpenAPIType,
    Operation,
    Reference,
    RequestBody,
    Schema,
    SecurityRequirement,
    SecurityScheme,
    Tag,
)
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from app import __version__
from app.api import events, page, ui_chunks
from app.api.completions.bodies import Lenient
from app.api.completions.errors import LIMITS, ErrorBody
from app.api.completions.views import ChatCompletionChunk
from app.api.examples import EXAMPLES
from app.api.problem import PROBLEM_JSON
from app.api.refusals import PROBLEMS
from app.api.ui_messages import SENT_MESSAGE, ChatBody
from app.api.views import DocumentForm, NewDocument
from app.errors import ERRORS
from app.routing.catalog import provider_names
from app.values import Problem

USER_TOKEN: list[SecurityRequirement] = [{"supabase": []}]
"""The security of every route below `/v1`."""
TOKEN_OR_KEY: list[SecurityRequirement] = [*USER_TOKEN, {"personalKey": []}]
"""The security of every route below `/openai/v1`."""

DESCRIPTION = """A Supabase-native chat backend. Every call below `/v1` carries the user's own Supabase access token,
and sees what that user may see. Errors are RFC 9457 problems with a stable `code`; below `/openai` they have the shape
of OpenAI's API. Lists are read page by page: as long
as `next_cursor` is not null, it is the `cursor` of the next page."""
TAGS = {
    "conversations": "Threads of messages.",
    "chat": "The AI SDK's `useChat` protocol.",
    "messages": "What is said in a conversation; sending, following, stopping and regenerating replies.",
    "documents": "Texts that replies draw on, and what is searched.",
    "export": "Everything of mine as a file.",
    "search": "Passages of documents.",
    "models": "What may be chosen to answer.",
    "completions": "The surface of OpenAI's API, for its clients: their base URL is `/openai/v1` of this server.",
    "moderation": "Checking texts.",
    "settings": "What holds for all conversations of a user.",
    "keys": "Personal keys, for clients that hold one string.",
    "usage": "Usage, and what is left of the limits.",
    "me": "Everything of the caller.",
    "health": "For load balancers and orchestrators; no token is asked for.",
}
HEADERS = {
    "Idempotency-Replayed": "`true` when an earlier request with this Idempotency-Key began the turn.",
    "Location": "The path of the new resource.",
    "Preference-Applied": "`wait` when the request waited for the end of the reply.",
    "RateLimit": 'What is left of each limit, and the seconds until more is available, e.g. `"requests";r=59;t=1`.',
    "RateLimit-Policy": 'The limits, and their windows in seconds, e.g. `"requests";q=60;w=60`.',
    "Retry-After": "The seconds after which the same request may succeed.",
    "WWW-Authenticate": "`Bearer`.",
    **dict.fromkeys(LIMITS, "What OpenAI's API says of a limit under this name."),
    "x-should-retry": "`false` for a refusal that no repetition helps.",
    "X-Request-ID": "The id of the request in the log: the caller's own `X-Request-ID` if it is valid, else a new one.",
}
OF_STATUS = {
    "401": ["WWW-Authenticate"],
    "429": ["RateLimit", "RateLimit-Policy", "Retry-After"],
    "503": ["Retry-After"],
}
"""The headers of problems, beside X-Request-ID."""
METADATA = {
    "Metadata": {
        "type": "object",
        "additionalProperties": True,
        "description": "Any JSON object: what its owner says of a document, to filter a search by. In JSON it has at "
        "most 4000 bytes.",
        "examples": [{"language": "en", "shelf": 3}],
    },
    "PassageMetadata": {
        "type": "object",
        "properties": {
            "heading": {"type": "string", "description": 'The headings above it, outermost first, joined by " > ".'},
            "page": {"type": "integer", "description": "Of a PDF, from 1."},
            "start": {"type": "integer", "description": "Where it begins in the document's text, in code points."},
            "end": {"type": "integer", "description": "Where it ends."},
        },
        "additionalProperties": True,
        "description": "The document's own metadata, and the passage's place in it.",
    },
}


def component(name: str) -> str:
    return f"#/components/schemas/{name}"


ON_THE_WIRE = {
    component("EventOnTheWire"): events.ON_THE_WIRE,
    component("UIChunkOnTheWire"): ui_chunks.ON_THE_WIRE,
}
"""Examples of event streams."""
_CODES = {code: component(kind.__name__) for code, kind in PROBLEMS.items()}


def answers_with(*headers: str) -> list[ResponseHeader]:
    """The headers that an operation's success has."""
    return [ResponseHeader(name=name, description=HEADERS[name], documentation_only=True) for name in headers]


class NamedStructs(OpenAPISchemaPlugin):
    """Notes the structs that operations name; the document has msgspec's schemas of them."""

    def __init__(self) -> None:
        self.kinds: set[type[msgspec.Struct]] = set()

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        return not field_definition.is_union and field_definition.is_subclass_of(msgspec.Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: Any) -> Schema:
        self.kinds.add(field_definition.annotation)
        placeholder: Schema = schema_creator.create_component_schema(field_definition, required=[], property_fields={})
        return placeholder


@dataclass
class EventStreamOperation(Operation):
    """An operation whose 200 is an event stream, beside the JSON that it may be instead."""

    def __post_init__(self) -> None:
        answer = (self.responses or {})["200"]
        if isinstance(answer, OpenAPIResponse):
            # Litestar describes an empty body as JSON null
            json = {
                name: media
                for name, media in (answer.content or {}).items()
                if not (isinstance(media.schema, Schema) and media.schema.type == OpenAPIType.NULL)
            }
            stream = OpenAPIMediaType(Reference(component("EventOnTheWire")))
            answer.content = {"text/event-stream": stream, **json}


@dataclass
class ChatOperation(Operation):
    """An operation of the AI SDK's protocol: its 200 is a UI message stream, unless it is JSON, and its errors are text
    where JSON is not asked for."""

    def __post_init__(self) -> None:
        for status, answer in (self.responses or {}).items():
            if not isinstance(answer, OpenAPIResponse) or answer.content is None:
                continue
            if status >= "400":
                text = OpenAPIMediaType(Schema(type=OpenAPIType.STRING, description="The problem in words."))
                answer.content = {"text/plain": text, **answer.content}
            elif any(
                isinstance(media.schema, Schema) and media.schema.type == OpenAPIType.NULL
                for media in answer.content.values()
            ):
                stream = OpenAPIMediaType(Reference(component("UIChunkOnTheWire")))
                answer.content = {"text/event-stream": stream} if status == "200" else None


@dataclass
class UploadOperation(Operation):
    """An operation whose body is JSON or a form: Litestar knows bodies of one kind only."""

    def __post_init__(self) -> None:
        content = {
            "application/json": OpenAPIMediaType(Reference(component("NewDocument"))),
            "multipart/form-data": OpenAPIMediaType(Reference(component("DocumentForm"))),
        }
        self.request_body = RequestBody(content, required=True)


def openapi_config(named: NamedStructs) -> OpenAPIConfig:
    return _Config(
        title="Parley",
        version=__version__,
        description=DESCRIPTION,
        license=License("MIT", identifier="MIT"),
        tags=[Tag(name, description) for name, description in TAGS.items()],
        path=page.PATH,
        openapi_router=page.router(),
        render_plugins=[page.SwaggerPage(), JsonRenderPlugin(), YamlRenderPlugin()],
        use_handler_docstrings=True,
        components=Components(
            security_schemes={
                "supabase": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="The access token of a signed-in user, as Supabase Auth gives it.",
                ),
                "personalKey": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    description="A personal key of a user, `parley_…`, which `POST /v1/keys` has made. It opens the "
                    "operations below `/openai/v1` and no others.",
                ),
            }
        ),
        named=named,
    )


@dataclass(kw_only=True)
class _Config(OpenAPIConfig):
    named: NamedStructs

    def to_openapi_schema(self) -> OpenAPI:
        plain = super().to_openapi_schema()
        document = _Document(**{field.name: getattr(plain, field.name) for field in fields(plain)})
        document.named = self.named
        return document


class _Document(OpenAPI):
    named: NamedStructs

    def to_schema(self) -> dict[str, Any]:
        document = super().to_schema()
        headers = {name: {"description": text, "schema": {"type": "string"}} for name, text in HEADERS.items()}
        document["components"] |= {"schemas": _schemas(self.named.kinds), "headers": headers}
        for operations in document["paths"].values():
            for operation in operations.values():
                _complete(operation)
        return document


def _schemas(named: set[type[msgspec.Struct]]) -> dict[str, Any]:
    """The schemas of all these structs, and of those that only our own additions name."""
    kinds = sorted(named | {Problem, NewDocument, DocumentForm, ChatCompletionChunk}, key=lambda kind: kind.__name__)
    (union, chunks, *_), components = msgspec.json.schema_components(
        [events.ReplyEvent, ui_chunks.UIMessageChunk, *kinds], ref_template=component("{name}")
    )
    components["Problem"]["properties"]["code"]["enum"] = list(ERRORS)
    components["ConversationChanges"]["minProperties"] = 1
    for name in ("DefaultView", "ModelView"):
        components[name]["properties"]["provider"]["enum"] = list(provider_names())
    lenient = {ChatBody.__name__, *(kind.__name__ for kind in Lenient.__subclasses__())}
    for name, schema in components.items():
        _complete_struct(schema, sent=name in lenient or "additionalProperties" in schema)
    event = {"description": events.DESCRIPTION, "oneOf": union["anyOf"], "discriminator": union["discriminator"]}
    wire = {
        "description": events.WIRE_DESCRIPTION,
        "oneOf": [_on_the_wire(components[option["$ref"].rpartition("/")[2]]) for option in union["anyOf"]],
    }
    completion = {"anyOf": [{"$ref": component(kind.__name__)} for kind in (ChatCompletionChunk, ErrorBody)]}
    sent = {"CompletionChunkOnTheWire": ui_chunks.until_done("A chunk of a completion as it is sent.", completion)}
    streams = {"ReplyEvent": event, "EventOnTheWire": wire} | sent | ui_chunks.schemas(chunks)
    return dict(sorted((components | METADATA | SENT_MESSAGE | streams).items()))


def _on_the_wire(event: dict[str, Any]) -> dict[str, Any]:
    """An event before its reader has parsed what it holds."""
    data = event["properties"]["data"]
    text = {"type": "string", "contentMediaType": "application/json", "contentSchema": data}
    return event | {"properties": event["properties"] | {"data": text}}


def _complete_struct(schema: dict[str, Any], *, sent: bool) -> None:
    del schema["title"]  # the component's name
    schema["description"] = cleandoc(schema["description"])
    properties = schema["properties"]
    if sent:
        for field in properties.values():
            _say_default(field)
    else:  # what is answered: every field is there but those that may be unset, which have no default
        required = set(schema["required"])
        schema["required"] = [name for name, field in properties.items() if name in required or "default" in field]
        for field in properties.values():
            field.pop("default", None)
    if not schema["required"]:
        del schema["required"]
    for part in _parts(schema):
        _tidy(part)


def _say_default(field: dict[str, Any]) -> None:
    """The default in words: openapi-typescript 7 makes a field with a `default` one that must be sent."""
    default = field.pop("default", None)
    if default:
        field["description"] = f"{field.get('description', '')} Default: `{default}`.".strip()


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and all schemas in it."""
    yield schema
    for below in (*schema.get("properties", {}).values(), *schema.get("anyOf", ()), schema.get("items")):
        if below is not None:
            yield from _parts(below)


def _tidy(schema: dict[str, Any]) -> None:
    if "$ref" in schema:
        schema.pop("type", None)
    if schema.get("format") == "binary":
        schema.pop("contentEncoding", None)
    if "enum" in schema:
        schema["type"] = "integer" if isinstance(schema["enum"][0], int) else "string"


def _complete(operation: dict[str, Any]) -> None:
    del operation["deprecated"]
    summary, _, rest = operation["description"].partition("\n\n")
    operation |= {"summary": " ".join(summary.split()), "description": rest or summary}
    for parameter in operation.get("parameters", ()):
        _complete_parameter(parameter)
    if (body := operation.get("requestBody")) is not None:
        for media in body["content"].values():
            _complete_body(body, media)
    responses = sorted(operation["responses"].items())
    # Litestar knows of one success with headers
    of_success = {name for _, response in responses for name in response.get("headers", {})}
    operation["responses"] = {
        status: _completed(response, status, of_success if status < "400" else set(OF_STATUS.get(status, ())))
        for status, response in responses
        # not the 400 that Litestar has by itself for parameters
        if status < "400" or PROBLEM_JSON in response["content"] or _is_error_body(response)
    }


def _completed(response: dict[str, Any], status: str, headers: set[str]) -> dict[str, Any]:
    if status == "429" and _is_error_body(response):
        headers = {*headers, *LIMITS, "x-should-retry"}
    names = sorted({*headers, "X-Request-ID"})
    response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    for media_type, media in response.get("content", {}).items():
        if media_type == PROBLEM_JSON:
            _complete_problems(media, int(status))
        elif media_type == "text/event-stream" and media["schema"]["$ref"] in ON_THE_WIRE:
            example = ON_THE_WIRE[media["schema"]["$ref"]]
            media["examples"] = {"reply": {"summary": "On the wire", "value": example}}
        else:
            _give_example(media)
    return response


def _is_error_body(response: dict[str, Any]) -> bool:
    """Whether it is an error below `/openai`."""
    schema = response["content"].get("application/json", {}).get("schema", {})
    return bool(schema.get("$ref") == component(ErrorBody.__name__))


def _complete_parameter(parameter: dict[str, Any]) -> None:
    for noise in ("deprecated", "allowEmptyValue", "allowReserved"):
        parameter.pop(noise, None)
    schema = parameter["schema"]
    schema.pop("description", None)
    for choice in schema.pop("oneOf", ()):  # null is Litestar's word for left out
        if choice["type"] != "null":
            schema |= choice
    for limit in ("minimum", "maximum"):
        if limit in schema:
            schema[limit] = int(schema[limit])


def _complete_body(body: dict[str, Any], media: dict[str, Any]) -> None:
    if (choices := media["schema"].get("oneOf")) is not None:  # or null: it may be left out, which Litestar never says
        body["required"] = False
        media["schema"] = next(choice for choice in choices if "$ref" in choice)
    _give_example(media)
    if "example" in media:
        media["example"] = {name: value for name, value in media["example"].items() if value is not None}


def _give_example(media: dict[str, Any]) -> None:
    name = media["schema"].get("$ref", "").rpartition("/")[2]
    if (example := EXAMPLES.get(name)) is not None:
        media["example"] = msgspec.json.decode(msgspec.json.encode(example))


def _complete_problems(media: dict[str, Any], status: int) -> None:
    choices = media["schema"].get("oneOf", [media["schema"]])
    by_code = {code: ref for choice in choices for code, ref in _CODES.items() if ref == choice["$ref"]}
    if len(choices) > 1:
        media["schema"]["discriminator"] = {"propertyName": "code", "mapping": by_code}
    problems = {code: ERRORS[code](status=status).problem() for code in by_code}
    media["examples"] = {code: {"value": msgspec.to_builtins(problem)} for code, problem in problems.items()}
