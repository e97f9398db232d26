"""`/v1/imports`: take a file, and say how far its import is."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, get, post
from litestar.openapi.spec import OpenAPIMediaType, OpenAPIType, Operation, Reference, RequestBody, Schema
from litestar.params import FromPath

from app.api.auth import Caller
from app.api.bodies import JSON, require_media_type
from app.api.chatgpt import read_chatgpt
from app.api.file_views import ImportView
from app.api.import_files import read_file
from app.api.openapi import USER_TOKEN, answers_with, component
from app.api.refusals import problems
from app.chat.importing import Importer
from app.errors import InvalidRequest
from app.store.imports import Imports
from app.store.user_settings import UserSettings

LINES = "application/x-ndjson"
MAX_FILE_BYTES = 20_971_520
ZIP = b"PK\x03\x04"
"""How a zip archive begins. ChatGPT's export is one."""


@dataclass
class FileOperation(Operation):
    """An operation whose body is a file."""

    def __post_init__(self) -> None:
        text = OpenAPIMediaType(Schema(type=OpenAPIType.STRING))
        self.request_body = RequestBody(
            {LINES: text, JSON: OpenAPIMediaType(Reference(component("ConversationFile")))}, required=True
        )


def import_routes(imports: Imports, importer: Importer, settings: UserSettings) -> Router:
    @post(
        "/",
        operation_id="importFile",
        operation_class=FileOperation,
        status_code=202,
        request_max_body_size=MAX_FILE_BYTES,
        response_description="The import has begun; read it to see how far it is.",
        response_headers=answers_with("Location"),
        responses=problems("conflict", "draining", body=True),
    )
    async def begin(user: Caller, request: Request[Any, Any, Any]) -> Response[ImportView]:
        """Import a file of `GET /v1/export` or of one conversation's export as JSON, or ChatGPT's
        `conversations.json`.

        A file that is not right is refused as a whole, with its place. What is there already is not added again, so a
        file may be sent again.
        """
        require_media_type(request.headers.get("content-type"), LINES, JSON)
        importer.check_room()
        data = await request.body()
        if data.startswith(ZIP):
            raise InvalidRequest("The file is a zip archive: unpack it, and send the JSON that is in it.", status=415)
        read = read_chatgpt if data.lstrip()[:1] == b"[" else read_file
        file = await asyncio.to_thread(read, data)
        begun = await importer.begin(user, file)
        if file.instructions is not None and (await settings.get(user.token)).instructions is None:
            await settings.save(user.token, file.instructions)
        return Response(ImportView.of(begun), headers={"Location": f"/v1/imports/{begun.id}"})

    @get(
        "/{import_id:uuid}",
        operation_id="readImport",
        response_description="The import.",
        responses=problems("not_found"),
    )
    async def read(user: Caller, import_id: FromPath[UUID]) -> ImportView:
        """Read how far an import is."""
        return ImportView.of(await imports.get(user.token, str(import_id)))

    return Router("/v1/imports", route_handlers=[begin, read], tags=["export"], security=USER_TOKEN)
