"""`/v1/documents`: store, list, read, replace, delete. A body is JSON with text, or a form with a file."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message as HeaderFields
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.datastructures import UploadFile
from litestar.exceptions import SerializationException
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath

from app.api.auth import Caller, User
from app.api.openapi import USER_TOKEN, problems
from app.api.paging import DEFAULT_LIMIT, Cursor, Limit, Page, read_cursor, split_page
from app.api.quotas import quota_headers
from app.errors import InvalidRequest
from app.guard.admission import Admission
from app.retrieval.library import MAX_TITLE_CHARACTERS, Library, Upload
from app.retrieval.media_types import KINDS, media_type_of
from app.store.documents import Created, Document, Documents, DocumentStatus

FORM_BYTES = 65_536
"""What a form or JSON adds to a document, besides escapes."""

DocumentTitle = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TITLE_CHARACTERS)]


class NewDocument(msgspec.Struct, forbid_unknown_fields=True):
    """A document as JSON; its text is read as Markdown."""

    title: DocumentTitle
    content: Annotated[str, msgspec.Meta(min_length=1)]
    metadata: dict[str, Any] = {}


class DocumentView(msgspec.Struct, frozen=True, kw_only=True):
    """A document. `indexed` of its `passages` have been indexed; it is searched once its status is `ready`.

    `pages_without_text` of its `pages` or slides hold no text, such as scans; null where a file has no pages.
    """

    id: str
    title: str
    metadata: dict[str, Any]
    media_type: str
    status: DocumentStatus
    passages: int
    indexed: int
    pages: int | None
    pages_without_text: int | None
    error: str | None
    embedding_model: str | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: Document) -> DocumentView:
        return cls(
            id=row.id,
            title=row.title,
            metadata=row.metadata,
            media_type=row.media_type,
            status=row.status,
            passages=row.passages,
            indexed=row.indexed,
            pages=row.pages,
            pages_without_text=row.pages_without_text,
            error=row.error,
            embedding_model=row.embedding_model,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


class DocumentPage(Page[DocumentView], frozen=True):
    """One page of documents."""


@dataclass
class UploadOperation(Operation):
    """An operation whose body is JSON or a form: Litestar knows bodies of one kind only."""

    def __post_init__(self) -> None:
        text = Schema(type=OpenAPIType.STRING)
        title = Schema(type=OpenAPIType.STRING, min_length=1, max_length=MAX_TITLE_CHARACTERS)
        metadata = Schema(type=OpenAPIType.OBJECT, description="Copied to each passage, for a search's `filter`.")
        file = Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY, description=f"One of: {KINDS}.")
        as_json = Schema(
            type=OpenAPIType.OBJECT,
            properties={"title": title, "content": text, "metadata": metadata},
            required=["title", "content"],
        )
        as_form = Schema(
            type=OpenAPIType.OBJECT,
            properties={
                "file": file,
                "title": title,
                "metadata": Schema(type=OpenAPIType.STRING, description="A JSON object."),
            },
            required=["file"],
        )
        self.request_body = RequestBody(
            content={
                "application/json": OpenAPIMediaType(schema=as_json),
                "multipart/form-data": OpenAPIMediaType(schema=as_form),
            },
            required=True,
        )


def document_routes(documents: Documents, library: Library, admission: Admission) -> Router:
    # JSON may write any character as six
    max_body = 2 * library.max_bytes + FORM_BYTES

    @post(
        "/",
        operation_id="createDocument",
        operation_class=UploadOperation,
        request_max_body_size=max_body,
        responses=problems(403, 409, 413, 422, 429),
    )
    async def create(user: Caller, request: Request[Any, Any, Any]) -> Response[DocumentView]:
        """Store a document: 201, and it is indexed afterwards. Content that I have already sent is 200 and the
        same document."""
        created = await add(user, request)
        status = 201 if created.created else 200
        headers = {"Location": f"/v1/documents/{created.document.id}", **quota_headers(created.quotas)}
        return Response(DocumentView.of(created.document), status_code=status, headers=headers)

    @put(
        "/{document_id:uuid}",
        operation_id="replaceDocument",
        operation_class=UploadOperation,
        request_max_body_size=max_body,
        responses=problems(403, 404, 409, 413, 422, 429),
    )
    async def replace(
        user: Caller, document_id: FromPath[UUID], request: Request[Any, Any, Any]
    ) -> Response[DocumentView]:
        """Give a document new content. Searches find the old until the new is indexed whole."""
        replaced = await add(user, request, str(document_id))
        return Response(DocumentView.of(replaced.document), headers=quota_headers(replaced.quotas))

    async def add(user: User, request: Request[Any, Any, Any], document_id: str | None = None) -> Created:
        # all of it comes before the refusal of what it asks for: whoever is still sending would not read that
        await request.body()
        async with admission.charged_later(user, "document"):
            return await library.add(user.token, await _upload(request), document_id=document_id)

    @get("/", operation_id="listDocuments", responses=problems())
    async def page(user: Caller, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> DocumentPage:
        """My documents, newest first."""
        rows = await documents.page(user.token, before=read_cursor(cursor), limit=limit + 1)
        shown, following = split_page(rows, limit)
        return DocumentPage([DocumentView.of(row) for row in shown], following)

    @get("/{document_id:uuid}", operation_id="readDocument", responses=problems(404))
    async def read(user: Caller, document_id: FromPath[UUID]) -> DocumentView:
        """One document, and how far its indexing is."""
        return DocumentView.of(await documents.get(user.token, str(document_id)))

    @delete("/{document_id:uuid}", operation_id="deleteDocument", responses=problems(404))
    async def remove(user: Caller, document_id: FromPath[UUID]) -> None:
        """Delete a document with all its passages."""
        await documents.delete(user.token, str(document_id))

    return Router(
        "/v1/documents",
        route_handlers=[create, replace, page, read, remove],
        tags=["documents"],
        security=USER_TOKEN,
    )


async def _upload(request: Request[Any, Any, Any]) -> Upload:
    """The document in a request's body. Raises `InvalidRequest`."""
    kind, _ = request.content_type
    if kind == "multipart/form-data":
        return await _form_upload(request)
    if kind not in ("application/json", ""):
        raise InvalidRequest("Send JSON, or a form with a file.", status=422)
    try:
        sent = msgspec.convert(await request.json(), NewDocument)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), status=422) from None
    except SerializationException:
        raise InvalidRequest("The body is not JSON.") from None
    return Upload(
        data=sent.content.encode(errors="replace"), media_type="text/markdown", title=sent.title, metadata=sent.metadata
    )


async def _form_upload(request: Request[Any, Any, Any]) -> Upload:
    try:
        form = await request.form()
    except (UnicodeDecodeError, LookupError):
        raise InvalidRequest("The form has a field that is not text in its charset.", status=422) from None
    files = form.getall("file", [])
    if len(files) > 1:
        raise InvalidRequest("The form has more than one file.", status=422)
    file = files[0] if files else None
    if not isinstance(file, UploadFile):
        raise InvalidRequest("The form has no file.", status=422)
    title, metadata = form.get("title"), form.get("metadata") or "{}"
    if isinstance(title, UploadFile) or isinstance(metadata, UploadFile):
        raise InvalidRequest("title and metadata are texts.", status=422)
    try:
        converted = msgspec.json.decode(str(metadata), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise InvalidRequest("metadata is not a JSON object.", status=422) from None
    if title and len(str(title)) > MAX_TITLE_CHARACTERS:
        raise InvalidRequest(f"title has at most {MAX_TITLE_CHARACTERS} characters.", status=422)
    data = await file.read()
    media_type = media_type_of(file.filename, file.content_type, data)
    if media_type is None:
        raise InvalidRequest(f"A document is one of: {KINDS}.", status=422)
    # the file's own header, since Litestar's `content_type` comes without parameters
    header = HeaderFields()
    header["Content-Type"] = next((value for name, value in file.headers.items() if name.lower() == "content-type"), "")
    return Upload(
        data=data,
        media_type=media_type,
        charset=header.get_content_charset(),
        title=str(title) if title else None,
        name=file.filename,
        metadata=converted,
    )
