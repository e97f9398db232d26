"""`GET /v1/conversations/{id}/export` and `GET /v1/export`: what is mine as a file, all branches of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Response, Router, get
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIResponse, OpenAPIType, Operation, Schema
from litestar.params import FromPath, QueryParameter

from app.api.auth import Caller
from app.api.file_views import ConversationFile
from app.api.files import OpenFiles, send_file
from app.api.markdown import as_markdown
from app.api.openapi import USER_TOKEN
from app.api.refusals import problems
from app.store.exports import Exports
from app.store.messages import Messages
from app.store.user_settings import UserSetting, UserSettings
from app.values import User

JSON, LINES, MARKDOWN = "application/json", "application/x-ndjson", "text/markdown"
FORMAT, VERSION = "parley.export", 1
"""What the first line of an export says; an import reads this version."""

Format = Annotated[
    Literal["markdown", "json"],
    QueryParameter(description="`json`: all branches, as an import takes them; `markdown`: the shown branch, to read."),
]

_encode = msgspec.json.encode


@dataclass
class ConversationExport(Operation):
    """An operation whose 200 is JSON or Markdown."""

    def __post_init__(self) -> None:
        _answer_with(self, MARKDOWN, "# A trip to Rome\n")


@dataclass
class LinesExport(Operation):
    """An operation whose 200 is JSON lines."""

    def __post_init__(self) -> None:
        _answer_with(self, LINES, '{"type":"end","documents":0,"conversations":1,"messages":2}\n')


def _answer_with(operation: Operation, kind: str, example: str) -> None:
    answer = (operation.responses or {})["200"]
    if isinstance(answer, OpenAPIResponse):
        # Litestar describes an empty body as JSON null
        json = {
            name: media
            for name, media in (answer.content or {}).items()
            if not (isinstance(media.schema, Schema) and media.schema.type == OpenAPIType.NULL)
        }
        answer.content = {**json, kind: OpenAPIMediaType(Schema(type=OpenAPIType.STRING), example=example)}


def export_routes(exports: Exports, messages: Messages, settings: UserSettings) -> Router:
    files = OpenFiles()

    @get(
        "/conversations/{conversation_id:uuid}/export",
        operation_id="exportConversation",
        operation_class=ConversationExport,
        response_description="The file.",
        responses=problems("not_found", "invalid_request"),
    )
    async def conversation(
        user: Caller, conversation_id: FromPath[UUID], format: Format = "json"
    ) -> Response[ConversationFile]:
        """Export one conversation as a file.

        An export that is cut off is no whole JSON.
        """
        name, id_ = f"conversation-{conversation_id}", str(conversation_id)
        if format == "markdown":
            return await send_file(
                files, user.id, as_markdown(exports, messages, user.token, id_), name=f"{name}.md", kind=MARKDOWN
            )
        return await send_file(files, user.id, _one(exports, user, id_), name=f"{name}.json", kind=JSON)

    @get(
        "/export",
        operation_id="exportEverything",
        operation_class=LinesExport,
        response_description="The file.",
        responses=problems(),
    )
    async def everything(user: Caller) -> Response[None]:
        """Export everything of mine as JSON lines.

        First my settings, where there are any, and what is known of my documents, then each conversation with the
        messages of all its branches. The last line is `{"type": "end"}` with the counts; without it, the file was cut
        off.
        """
        return await send_file(files, user.id, _all(exports, settings, user), name="parley-export.jsonl", kind=LINES)

    return Router("/v1", route_handlers=[conversation, everything], tags=["export"], security=USER_TOKEN)


def _line(kind: str, value: object) -> bytes:
    fields: dict[str, Any] = {"type": kind} | msgspec.to_builtins(value)
    return _encode(fields) + b"\n"


def _head() -> dict[str, object]:
    return {"version": VERSION, "exported_at": datetime.now(UTC).isoformat()}


async def _all(exports: Exports, settings: UserSettings, user: User) -> AsyncGenerator[bytes]:
    counts = {"documents": 0, "conversations": 0, "messages": 0}
    yield _line(FORMAT, _head())
    if (chosen := await settings.get(user.token)) != UserSetting():
        yield _line("settings", chosen)
    async for document in exports.documents(user.token):
        counts["documents"] += 1
        yield _line("document", document)
    async for conversation in exports.conversations(user.token):
        counts["conversations"] += 1
        yield _line("conversation", conversation)
        async for message in exports.messages(user.token, conversation.id):
            counts["messages"] += 1
            yield _line("message", message)
    yield _line("end", counts)


async def _one(exports: Exports, user: User, conversation_id: str) -> AsyncGenerator[bytes]:
    conversation = await exports.conversation(user.token, conversation_id)
    head = _encode({"type": FORMAT} | _head() | {"conversation": conversation})
    yield head[:-1] + b',"messages":['
    first = True
    async for message in exports.messages(user.token, conversation_id):
        yield (b"" if first else b",") + b"\n" + _encode(message)
        first = False
    yield b"\n]}\n"
