"""docs/openapi.json: it is what the service says, valid OpenAPI 3.1, and tells people and generators what they need."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from app.api import events, sse, views
from app.api.completions import bodies
from app.api.completions import views as completion_views
from app.errors import ERRORS
from scripts import openapi
from tests.support.described import DOCUMENT, check_component, validator

PROBLEM = "application/problem+json"
COMPONENTS: dict[str, dict[str, Any]] = DOCUMENT["components"]["schemas"]
SENT = [
    "NewConversation",
    "ConversationChanges",
    "SettingsChanges",
    "AnswerOptions",
    "NewMessage",
    "NewFeedback",
    "NewDocument",
    "Deletion",
    "SearchQuery",
]


OPENAI = "/openai/"
"""The paths whose errors have the shape of OpenAI's API."""


def operations(prefix: str = "/", *, but: str = "-") -> list[Any]:
    """Each operation with its method and path, but those of paths that begin with `but`."""
    return [
        pytest.param(path, method, operation, id=f"{method.upper()} {path}")
        for path, methods in DOCUMENT["paths"].items()
        if path.startswith(prefix) and not path.startswith(but)
        for method, operation in methods.items()
    ]


def parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(value, dict):
        yield value
    for below in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(below)


async def test_committed_document_is_the_current_one() -> None:
    assert openapi.COPY.read_text() == await openapi.render(), "run `make openapi` and commit docs/openapi.json"


def test_it_is_valid_openapi() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []
    for schema in COMPONENTS.values():
        Draft202012Validator.check_schema(schema)


# ── operations ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("path", "method", "operation"), operations())
def test_operation_is_described_in_sentences(path: str, method: str, operation: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z][a-z]+ [^\n]+\.", operation["summary"])
    assert operation["description"].endswith(".")
    assert re.fullmatch(r"[a-z]+[A-Za-z]*", operation["operationId"])
    assert set(operation["tags"]) <= {tag["name"] for tag in DOCUMENT["tags"]}
    for parameter in operation.get("parameters", ()):
        assert parameter["in"] == "path" or parameter["description"]
    for response in operation["responses"].values():
        assert "Request fulfilled" not in response["description"]


@pytest.mark.parametrize(("path", "method", "operation"), operations("/v1/"))
def test_operation_asks_for_the_users_token(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["security"] == [{"supabase": []}]
    assert {"401", "429", "500", "503"} <= set(operation["responses"])


@pytest.mark.parametrize(("path", "method", "operation"), operations(but=OPENAI))
def test_operation_lists_its_problems_by_code(path: str, method: str, operation: dict[str, Any]) -> None:
    """Each is a schema of its own; a choice of several is told by `code`."""
    for status, response in operation["responses"].items():
        if status < "400":
            continue
        media = response["content"][PROBLEM]
        # useChat shows an error's body as it is
        assert list(response["content"]) == (["text/plain", PROBLEM] if path.startswith("/v1/chat") else [PROBLEM])
        refs = [choice["$ref"] for choice in media["schema"].get("oneOf", [media["schema"]])]
        codes = [COMPONENTS[ref.rpartition("/")[2]]["properties"]["code"]["enum"][0] for ref in refs]
        assert set(media["examples"]) == set(codes) <= set(ERRORS)
        if len(refs) > 1:
            assert media["schema"]["discriminator"]["mapping"] == dict(zip(codes, refs, strict=True))
        for example in media["examples"].values():
            assert example["value"]["status"] == int(status)


@pytest.mark.parametrize(("path", "method", "operation"), operations(OPENAI))
def test_operation_of_openai_has_errors_of_openai(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["security"] == [{"supabase": []}, {"personalKey": []}]
    refusals = {status: response for status, response in operation["responses"].items() if status >= "400"}
    assert {"401", "403", "404", "429", "500", "503"} <= set(refusals)
    assert ("400" in refusals) is ("requestBody" in operation)
    for response in refusals.values():
        schema = {"$ref": "#/components/schemas/ErrorBody"}
        assert {kind: media["schema"] for kind, media in response["content"].items()} == {"application/json": schema}


@pytest.mark.parametrize(("path", "method", "operation"), operations(but=OPENAI))
def test_operation_that_takes_a_body_says_how_it_may_be_wrong(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    if "requestBody" in operation:
        assert {"400", "413", "415", "422"} <= set(operation["responses"])
    else:
        assert not {"400", "413", "415"} & set(operation["responses"])


def test_token_is_a_bearer_token() -> None:
    scheme = DOCUMENT["components"]["securitySchemes"]["supabase"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")


def test_health_asks_for_no_token() -> None:
    assert "security" not in DOCUMENT
    assert [probe.id for probe in operations("/health/")] == ["GET /health/live", "GET /health/ready"]
    assert not any("security" in probe.values[2] for probe in operations("/health/"))


@pytest.mark.parametrize(
    ("operation_id", "status", "headers"),
    [
        ("createConversation", "201", {"Location"}),
        ("createDocument", "201", {"Location", "RateLimit", "RateLimit-Policy"}),
        ("sendMessage", "202", {"Location", "Idempotency-Replayed", "RateLimit", "RateLimit-Policy"}),
        ("sendMessage", "200", {"Location", "Idempotency-Replayed", "Preference-Applied"}),
        ("sendMessage", "429", {"Retry-After", "RateLimit", "RateLimit-Policy"}),
        ("sendMessage", "503", {"Retry-After"}),
        ("listModels", "401", {"WWW-Authenticate", "X-Request-ID"}),
    ],
)
def test_headers_of_an_answer(operation_id: str, status: str, headers: set[str]) -> None:
    (operation,) = (one.values[2] for one in operations() if one.values[2]["operationId"] == operation_id)
    assert headers <= set(operation["responses"][status]["headers"])


@pytest.mark.parametrize(
    ("operation_id", "headers"),
    [
        ("sendMessage", {"Idempotency-Key", "Prefer"}),
        ("regenerateReply", {"Idempotency-Key", "Prefer"}),
        ("followReply", {"Last-Event-ID"}),
    ],
)
def test_headers_of_a_request(operation_id: str, headers: set[str]) -> None:
    (operation,) = (one.values[2] for one in operations() if one.values[2]["operationId"] == operation_id)
    sent = {parameter["name"] for parameter in operation["parameters"] if parameter["in"] == "header"}
    assert sent == headers
    assert all(parameter["schema"]["type"] == "string" for parameter in operation["parameters"])
    assert not any(parameter["required"] for parameter in operation["parameters"] if parameter["in"] == "header")


@pytest.mark.parametrize(
    ("operation_id", "required"),
    [
        ("createConversation", False),
        ("renameConversation", True),
        ("sendMessage", True),
        ("regenerateReply", False),
        ("createDocument", True),
        ("searchPassages", True),
    ],
)
def test_only_bodies_that_may_be_left_out_are_optional(operation_id: str, required: bool) -> None:
    (operation,) = (one.values[2] for one in operations() if one.values[2]["operationId"] == operation_id)
    assert operation["requestBody"]["required"] is required


# ── schemas ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_schema_says_what_it_is() -> None:
    assert [name for name, schema in COMPONENTS.items() if not schema.get("description")] == []
    for part in parts(COMPONENTS):
        # a list of anything, an object of anything: only metadata is that
        assert part.get("items", True) != {}
        if part.get("type") == "object" and "properties" not in part:
            assert part.get("description") or part.get("maxProperties") == 0, part


@pytest.mark.parametrize("page", ["Conversation", "Message", "Document"])
def test_items_of_a_page_have_a_schema(page: str) -> None:
    properties = COMPONENTS[f"{page}Page"]["properties"]
    assert properties["items"]["items"] == {"$ref": f"#/components/schemas/{page}View"}
    assert properties["next_cursor"]["anyOf"] == [{"type": "string"}, {"type": "null"}]


def test_parts_of_a_message_and_a_passage_have_schemas() -> None:
    message, passage = COMPONENTS["MessageView"]["properties"], COMPONENTS["PassageView"]["properties"]
    assert message["sources"]["anyOf"][0]["items"] == {"$ref": "#/components/schemas/Source"}
    assert message["usage"]["anyOf"][0] == {"$ref": "#/components/schemas/ReplyUsage"}
    assert message["error_code"]["anyOf"][0]["enum"] == list(ERRORS)
    assert passage["metadata"] == {"$ref": "#/components/schemas/PassageMetadata"}
    assert COMPONENTS["DocumentView"]["properties"]["metadata"] == {"$ref": "#/components/schemas/Metadata"}
    assert COMPONENTS["Problem"]["properties"]["code"]["enum"] == list(ERRORS)


@pytest.mark.parametrize("name", SENT)
def test_nothing_that_may_be_left_out_is_required_of_what_is_sent(name: str) -> None:
    """A `default` would be: openapi-typescript 7 requires every field that has one."""
    schema, struct = COMPONENTS[name], getattr(views, name)
    assert schema.get("required", []) == [field.name for field in msgspec.structs.fields(struct) if field.required]
    assert not any("default" in field for field in schema["properties"].values())
    assert schema["additionalProperties"] is False


def test_every_field_of_what_is_answered_is_there() -> None:
    """What there is not is null; only a problem leaves members out, a list the instructions and the hit, and a chunk
    what the AI SDK takes null for an error in."""
    sent = {*SENT, "ChatBody", "DocumentForm", "TextToCheck", "MessageToEstimate", "NewKey"}
    # OpenAI's clients know no null in the place of what is not there
    sent |= {
        kind.__name__
        for module in (bodies, completion_views)
        for kind in vars(module).values()
        if isinstance(kind, type)
    }
    left_out = {"ConversationView": {"hit", "instructions"}, "TitleChunk": {"id", "transient"}}
    for name, schema in COMPONENTS.items():
        if name not in sent and "properties" in schema and not name.endswith("Metadata"):
            absent = set(schema["properties"]) - set(schema["required"])
            optional = {"detail", "request_id", "categories"} if name.endswith("Problem") else set()
            assert absent <= optional | left_out.get(name, set()), name


def examples() -> Iterator[Any]:
    for one in operations():
        bodies = [one.values[2].get("requestBody", {}), *one.values[2]["responses"].values()]
        for media_type, media in ((kind, media) for body in bodies for kind, media in body.get("content", {}).items()):
            if media_type.endswith(("/json", "+json")):
                given = [media["example"]] if "example" in media else [e["value"] for e in media["examples"].values()]
                schema = media["schema"].get("oneOf", [media["schema"]])
                yield pytest.param(schema, given, id=f"{one.id} {media_type}")


@pytest.mark.parametrize(("schemas", "given"), list(examples()))
def test_example_is_one_of_its_schema(schemas: list[dict[str, str]], given: list[Any]) -> None:
    assert given
    validators = [validator(*schema["$ref"].removeprefix("#/").split("/")) for schema in schemas]
    for example in given:
        assert sum(one.is_valid(example) for one in validators) == 1, example


# ── the events of a stream ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("path", "method", "beside"),
    [
        ("/v1/conversations/{conversation_id}/messages", "post", {"application/json"}),
        ("/v1/messages/{message_id}/regenerate", "post", {"application/json"}),
        ("/v1/messages/{message_id}/stream", "get", set()),
    ],
)
def test_event_stream_is_described(path: str, method: str, beside: set[str]) -> None:
    content = DOCUMENT["paths"][path][method]["responses"]["200"]["content"]
    assert set(content) == {"text/event-stream", *beside}
    assert content["text/event-stream"]["schema"] == {"$ref": "#/components/schemas/EventOnTheWire"}


def test_events_on_the_wire_are_the_same_with_their_data_as_text() -> None:
    for option, ref in zip(COMPONENTS["EventOnTheWire"]["oneOf"], COMPONENTS["ReplyEvent"]["oneOf"], strict=True):
        event = COMPONENTS[ref["$ref"].rpartition("/")[2]]
        data = option["properties"]["data"]
        assert (data["type"], data["contentMediaType"]) == ("string", "application/json")
        assert option | {"properties": option["properties"] | {"data": data["contentSchema"]}} == event


def test_events_are_a_choice_by_their_names() -> None:
    choice = COMPONENTS["ReplyEvent"]
    assert choice["discriminator"]["propertyName"] == "event"
    mapping = choice["discriminator"]["mapping"]
    assert [option["$ref"] for option in choice["oneOf"]] == list(mapping.values())
    for name, ref in mapping.items():
        schema = COMPONENTS[ref.rpartition("/")[2]]
        assert schema["properties"]["event"]["enum"] == [name]
        assert set(schema["required"]) == {"event", "data"} | ({"id"} if name != "reconnect" else set())
    sent = {name.decode() for name in sse._NAMES.values()}
    assert set(mapping) == sent | {"reasoning", "delta", "reconnect"}


def test_data_of_an_event_is_what_is_sent() -> None:
    described = {msgspec.structs.fields(kind)[-1].type: kind for kind in get_args(events.ReplyEvent)}
    for kind, name in sse._NAMES.items():
        assert described[kind].__struct_config__.tag == name.decode()


def test_chunks_of_a_chat_are_described() -> None:
    chat = DOCUMENT["paths"]["/v1/chat"]["post"]["responses"]["200"]["content"]["text/event-stream"]
    assert chat["schema"] == {"$ref": "#/components/schemas/UIChunkOnTheWire"}
    *frames, last = chat["examples"]["reply"]["value"].removesuffix("\n\n").split("\n\n")
    for frame in frames:
        check_component("UIMessageChunk", msgspec.json.decode(frame.removeprefix("data: ")))
    assert last == "data: [DONE]"


def test_example_on_the_wire_is_of_events() -> None:
    for frame in events.ON_THE_WIRE.removesuffix("\n\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.split("\n"))
        check_component("EventOnTheWire", fields)
        check_component("ReplyEvent", fields | {"data": msgspec.json.decode(fields["data"])})
