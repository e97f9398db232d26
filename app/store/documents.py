"""The table `documents` and the search functions, always with the user's own token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from app.errors import NotFound
from app.store.client import Supabase
from app.store.rows import columns
from app.values import Quota

DocumentStatus = Literal["pending", "indexing", "ready", "failed"]


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `documents`."""

    id: str
    title: str
    metadata: dict[str, object]
    media_type: str
    content_hash: str | None
    status: DocumentStatus
    passages: int
    indexed: int
    pages: int | None
    pages_without_text: int | None
    error: str | None
    embedding_model: str | None
    position: int
    created_at: str
    updated_at: str


class Created(msgspec.Struct, frozen=True):
    """What `create_document` answers. `created` is false when the user has sent this content before."""

    created: bool
    document: Document
    quotas: Mapping[str, Quota] = {}


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A passage that was found. Only a hybrid search gives a `score`; a higher one is better."""

    id: str
    document_id: str
    title: str
    content: str
    metadata: dict[str, object]
    similarity: float
    score: float | None = None


class Question(msgspec.Struct, frozen=True):
    """A query's vector by one model, in pgvector's text form, and the least similarity at which a passage of that model
    counts as an answer. `embedding` is None when the model found no words in the query."""

    model: str
    embedding: str | None
    threshold: float


class Answers(msgspec.Struct, frozen=True):
    """What `search_documents_v2` answers: the models of the user's passages, and the matches of each question, best
    first."""

    models: tuple[str, ...]
    answers: tuple[tuple[Match, ...], ...]


_COLUMNS = columns(Document)


class Documents:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def create(
        self,
        token: str,
        *,
        title: str,
        passages: Sequence[Mapping[str, object]],
        content_hash: str,
        metadata: Mapping[str, object],
        media_type: str,
        document_id: str | None = None,
        model: str | None = None,
        pages: int | None = None,
        pages_without_text: int | None = None,
    ) -> Created:
        """Store a document and queue it for indexing. With `document_id`, replace the content of that document.
        `model` is the one to index it by, unless no replica has that model any more.
        Raises what the database function raises, see its comment."""
        self._supabase.require_service()  # without it, nothing would index the document
        arguments = {
            "p_title": title,
            "p_passages": passages,
            "p_content_hash": content_hash,
            "p_metadata": metadata,
            "p_media_type": media_type,
            "p_document_id": document_id,
            "p_embedding_model": model,
            "p_pages": pages,
            "p_pages_without_text": pages_without_text,
        }
        return await self._supabase.user_rpc(token, "create_document", arguments, Created)

    async def page(self, token: str, *, before: int | None, limit: int) -> list[Document]:
        """At most `limit` documents, newest first, of those before position `before`."""
        async with self._supabase.for_user(token) as client:
            query = client.from_("documents").select(_COLUMNS)
            if before is not None:
                query = query.lt("position", before)
            answer = await query.order("position", desc=True).limit(limit).execute()
        return msgspec.convert(answer.data, list[Document])

    async def get(self, token: str, document_id: str) -> Document:
        async with self._supabase.for_user(token) as client:
            table = client.from_("documents")
            answer = await table.select(_COLUMNS).eq("id", document_id).limit(1).execute()
        found = msgspec.convert(answer.data, list[Document])
        if not found:
            raise NotFound("No such document.")
        return found[0]

    async def delete(self, token: str, document_id: str) -> None:
        """Delete a document with its passages and vectors, also while it is being indexed."""
        async with self._supabase.for_user(token) as client:
            table = client.from_("documents")
            answer = await table.delete().eq("id", document_id).select("id").execute()
        if not answer.data:
            raise NotFound("No such document.")

    async def models(self, token: str) -> tuple[str, ...]:
        """The embedding models of the user's passages; the model with the most passages comes first."""
        return await self._supabase.user_rpc(token, "passage_models", {}, tuple[str, ...])

    async def search(
        self,
        token: str,
        *,
        text: str,
        questions: Sequence[Question],
        count: int,
        filter: Mapping[str, object],
        hybrid: bool,
    ) -> Answers:
        """The user's passages that match, at most `count` for each question, read in one snapshot."""
        arguments = {
            "p_text": text,
            "p_questions": questions,
            "p_count": count,
            "p_filter": filter,
            "p_hybrid": hybrid,
        }
        return await self._supabase.user_rpc(token, "search_documents_v2", arguments, Answers)
