"""`/v1/documents`: store, list, read, replace, delete. A body is JSON with text, or a form with a file."""

from __future__ import annotations

from email.message import Message as HeaderFields
from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, delete, get, post, put
from litestar.datastructures import UploadFile
from litestar.exceptions import ClientException
from litestar.openapi import ResponseSpec
from litestar.params import FromPath

from app.api.auth import Caller
from app.api.bodies import JSON, MAX_EXPLAINED_BYTES, check_text, decode, require_media_type
from app.api.mistakes import mistakes, unknown_fields
from app.api.openapi import USER_TOKEN, UploadOperation, answers_with
from app.api.paging import DEFAULT_LIMIT, Cursor, Limit, read_cursor, split_page
from app.api.quotas import EXPOSED, quota_headers
from app.api.refusals import problems
from app.api.views import DocumentForm, DocumentPage, DocumentTitle, DocumentView, NewDocument
from app.errors import InvalidRequest
from app.guard.admission import Admission
from app.retrieval.library import MAX_METADATA_BYTES, Library, Upload
from app.retrieval.media_types import KINDS, media_type_of
from app.store.documents import Created, Documents
from app.values import User

FORM = "multipart/form-data"
FORM_FIELDS = DocumentForm.__struct_fields__
FORM_BYTES = 65_536
"""What a form or JSON adds to a document, besides escapes."""

REFUSED = ("budget_exceeded", "premium_required", "limit_reached", "draining")
KNOWN = ResponseSpec(DocumentView, description="The document that has this content.", generate_examples=False)


class _Outline(msgspec.Struct, forbid_unknown_fields=True):
    """`NewDocument`, of which nothing is built."""

    title: msgspec.Raw
    content: msgspec.Raw
    metadata: msgspec.Raw = msgspec.Raw()


def largest_body(max_bytes: int) -> int:
    """The bytes of a body with a document of at most `max_bytes`. JSON may write any character as six."""
    return 2 * max_bytes + FORM_BYTES


def document_routes(documents: Documents, library: Library, admission: Admission) -> Router:
    max_body = largest_body(library.max_bytes)

    @post(
        "/",
        operation_id="createDocument",
        operation_class=UploadOperation,
        request_max_body_size=max_body,
        response_description="The new document, which is indexed from now on.",
        response_headers=answers_with("Location", *EXPOSED),
        responses={200: KNOWN, **problems(*REFUSED, body=True)},
    )
    async def create(user: Caller, request: Request[Any, Any, Any]) -> Response[DocumentView]:
        """Store a document, to be indexed and searched.

        The body is JSON with a text, or a form with a file. For content that I have already sent, the answer
        is 200 with the existing document.
        """
        created = await add(user, request)
        status = 201 if created.created else 200
        headers = {"Location": f"/v1/documents/{created.document.id}", **quota_headers(created.quotas)}
        return Response(DocumentView.of(created.document), status_code=status, headers=headers)

    @put(
        "/{document_id:uuid}",
        operation_id="replaceDocument",
        operation_class=UploadOperation,
        request_max_body_size=max_body,
        response_description="The document, whose new content is indexed from now on.",
        response_headers=answers_with(*EXPOSED),
        responses=problems("not_found", "conflict", *REFUSED, body=True),
    )
    async def replace(
        user: Caller, document_id: FromPath[UUID], request: Request[Any, Any, Any]
    ) -> Response[DocumentView]:
        """Give a document new content.

        Searches find the old content until all of the new content is indexed.
        """
        replaced = await add(user, request, str(document_id))
        return Response(DocumentView.of(replaced.document), headers=quota_headers(replaced.quotas))

    async def add(user: User, request: Request[Any, Any, Any], document_id: str | None = None) -> Created:
        async with admission.charged_later(user, "document"):
            return await library.add(user, await _upload(request), document_id=document_id)

    @get("/", operation_id="listDocuments", response_description="One page.", responses=problems("invalid_request"))
    async def page(user: Caller, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> DocumentPage:
        """List my documents, the newest first."""
        rows = await documents.page(user.token, before=read_cursor(cursor), limit=limit + 1)
        shown, following = split_page(rows, limit)
        return DocumentPage([DocumentView.of(row) for row in shown], following)

    @get(
        "/{document_id:uuid}",
        operation_id="readDocument",
        response_description="The document.",
        responses=problems("not_found"),
    )
    async def read(user: Caller, document_id: FromPath[UUID]) -> DocumentView:
        """Read one document and the progress of its indexing."""
        return DocumentView.of(await documents.get(user.token, str(document_id)))

    @delete(
        "/{document_id:uuid}",
        operation_id="deleteDocument",
        response_description="It is gone.",
        responses=problems("not_found"),
    )
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
    if require_media_type(request.headers.get("content-type"), JSON, FORM) == FORM:
        return await _form_upload(request)
    return from_json(await request.body())


def from_json(body: bytes) -> Upload:
    """The document in a JSON body. Raises `InvalidRequest`."""
    if len(body) > MAX_EXPLAINED_BYTES:
        _check_outline(body)
    sent = decode(body, NewDocument)
    return Upload(data=sent.content.encode(), media_type="text/markdown", title=sent.title, metadata=sent.metadata)


def _check_outline(body: bytes) -> None:
    """Refuse megabytes beside the content before they are built: lists take twenty times the memory of their text."""
    beside = len(body) - len(memoryview(decode(body, _Outline, doubts=False).content))
    if beside > FORM_BYTES:
        raise InvalidRequest(
            f"The body has {beside} bytes beside its content; at most {FORM_BYTES} are taken, "
            f"of which metadata has at most {MAX_METADATA_BYTES}."
        )


async def _form_upload(request: Request[Any, Any, Any]) -> Upload:
    # whole, so that what is wrong with it is not said to somebody who is still sending
    await request.body()
    try:
        form = await request.form()
    except (UnicodeDecodeError, LookupError):
        raise InvalidRequest("The form has a field that is not text in its charset.", status=400) from None
    except ClientException:
        parts = request.app.multipart_form_part_limit
        raise InvalidRequest(f"The form is malformed, or has more than {parts} parts.", status=400) from None
    wrong = [*unknown_fields([name for name in form if name not in FORM_FIELDS], FORM_FIELDS)]
    wrong += [f"{name}: appears more than once." for name in FORM_FIELDS if len(form.getall(name, [])) > 1]
    if wrong:
        raise InvalidRequest(" ".join(wrong))
    file, title, metadata = (form.get(name) for name in FORM_FIELDS)
    if not isinstance(file, UploadFile):
        raise InvalidRequest("file: " + ("missing; " if file is None else "") + "expected a file with a name.")
    if isinstance(title, UploadFile) or isinstance(metadata, UploadFile):
        raise InvalidRequest("title, metadata: expected fields, not files.")
    if title and (wrong := [*mistakes(title, DocumentTitle, "title")]):
        raise InvalidRequest(" ".join(wrong))
    check_text("title", title or "")
    if len(metadata or "") > FORM_BYTES:
        raise InvalidRequest(f"metadata has at most {MAX_METADATA_BYTES} bytes.")
    data = await file.read()
    media_type = media_type_of(file.filename, file.content_type, data)
    if media_type is None:
        raise InvalidRequest(f"A document is one of: {KINDS}.")
    # the file's own header, since Litestar's `content_type` comes without parameters
    header = HeaderFields()
    header["Content-Type"] = next((value for name, value in file.headers.items() if name.lower() == "content-type"), "")
    return Upload(
        data=data,
        media_type=media_type,
        charset=header.get_content_charset(),
        title=title or None,
        name=file.filename,
        metadata=decode((metadata or "{}").encode(), dict[str, Any], "metadata"),
    )
