"""Imports: what a file holds is written for the user who began it. Called with the service's key, since users may not
write replies; the user is the one who began the import with their own token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from app.errors import NotFound
from app.store.client import Supabase
from app.values import Feedback, Problem, ReplyStatus, Source


class ImportedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a file, with the ids of the file. It comes after the one that it follows."""

    id: str
    parent_id: str | None
    role: Literal["user", "assistant"]
    content: str
    reasoning: str = ""
    reasoning_ms: int | None = None
    status: ReplyStatus = "complete"
    provider: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    error_code: str | None = None
    problem: Problem | None = None
    sources: Sequence[Source] | None = None
    flagged: Sequence[str] | None = None
    feedback: Feedback | None = None
    created_at: str
    updated_at: str


class ImportedConversation(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: str | None
    model: str | None = None
    instructions: str | None = None
    head_id: str | None = None
    created_at: str
    messages: list[ImportedMessage] = []


class ImportedDocument(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: str
    metadata: dict[str, object]
    media_type: str
    content_hash: str | None
    pages: int | None
    pages_without_text: int | None
    created_at: str


class ImportFile(msgspec.Struct, frozen=True):
    """What a file holds."""

    documents: list[ImportedDocument]
    conversations: list[ImportedConversation]
    instructions: str | None = None
    """For all conversations of the user."""


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """How far an import is: `done` of its `conversations`, and what of them was new."""

    id: str
    status: Literal["running", "complete", "failed"]
    conversations: int
    done: int
    added_conversations: int
    added_messages: int
    added_documents: int
    error: str | None
    created_at: str
    updated_at: str


class Part(msgspec.Struct, frozen=True):
    """What a part of a conversation has added. `fresh`: this import made the conversation."""

    fresh: bool
    added: int


class Imports:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def begin(self, token: str, conversations: int) -> Import:
        """Begin an import of the user with this token. Raises `Conflict` while another one of theirs runs."""
        self._supabase.require_service()
        return await self._supabase.user_rpc(token, "begin_import", {"p_conversations": conversations}, Import)

    async def get(self, token: str, import_id: str) -> Import:
        arguments = {"p_import_id": import_id}
        found = await self._supabase.user_rpc(token, "read_import", arguments, Import | None)  # type: ignore[arg-type]
        if found is None:
            raise NotFound("No such import.")
        return found

    async def add_messages(
        self,
        import_id: str,
        conversation: ImportedConversation,
        messages: Sequence[ImportedMessage],
        *,
        fresh: bool,
        last: bool,
    ) -> Part:
        """Add a part of a conversation's messages; `fresh` as the part before has answered."""
        arguments = {
            "p_import_id": import_id,
            "p_conversation": {
                "id": conversation.id,
                "title": conversation.title,
                "instructions": conversation.instructions,
                "model": conversation.model,
                "head_id": conversation.head_id,
                "created_at": conversation.created_at,
                "fresh": fresh,
            },
            "p_messages": messages,
            "p_part": "last" if last else "more",
        }
        return await self._supabase.service_rpc("import_messages", arguments, Part)

    async def add_documents(self, import_id: str, documents: Sequence[ImportedDocument]) -> None:
        arguments = {"p_import_id": import_id, "p_documents": documents}
        await self._supabase.service_rpc("import_documents", arguments, int)

    async def end(self, import_id: str, error: str | None = None) -> None:
        await self._supabase.service_rpc("end_import", {"p_import_id": import_id, "p_error": error}, bool)
