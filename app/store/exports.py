"""Everything of a user in parts of bounded size, as an export shows it. Always with the user's own token."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from app.errors import NotFound
from app.store.client import Supabase
from app.store.rows import columns
from app.values import Feedback, Problem, ReplyStatus, Role

DOCUMENTS_AT_ONCE = 100

Item = TypeVar("Item")
ExportedSource = Annotated[dict[str, Any], msgspec.Meta(description="As the message shows it.")]


class ExportedConversation(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation without its messages."""

    id: str
    title: str | None
    model: str | None
    instructions: str | None
    head_id: str | None
    created_at: str
    updated_at: str


class ExportedMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message on whatever branch. It comes after the one that it follows. What it used is in the ledger alone."""

    id: str
    parent_id: str | None
    role: Role
    content: str
    reasoning: str
    reasoning_ms: int | None
    status: ReplyStatus
    provider: str | None
    model: str | None
    finish_reason: str | None
    error_code: str | None
    problem: Problem | None
    sources: list[ExportedSource] | None
    flagged: tuple[str, ...] | None
    feedback: Feedback | None
    created_at: str
    updated_at: str


class ExportedDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a document, without its text. `content_hash` is of the file as it was sent."""

    id: str
    title: str
    metadata: dict[str, Any]
    media_type: str
    content_hash: str | None
    pages: int | None
    pages_without_text: int | None
    created_at: str


class _Placed(ExportedDocument, frozen=True, kw_only=True):
    position: int


class _Part(msgspec.Struct, Generic[Item], frozen=True):
    items: list[Item]
    last: int | None
    more: bool


class Exports:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def conversation(self, token: str, conversation_id: str) -> ExportedConversation:
        arguments = {"p_conversation_id": conversation_id}
        part = await self._supabase.user_rpc(token, "export_conversations", arguments, _Part[ExportedConversation])
        if not part.items:
            raise NotFound("No such conversation.")
        return part.items[0]

    async def conversations(self, token: str) -> AsyncGenerator[ExportedConversation]:
        """All of them, in the order of their creation."""
        part = _Part[ExportedConversation]([], 0, True)
        while part.more:
            arguments = {"p_after": part.last}
            part = await self._supabase.user_rpc(token, "export_conversations", arguments, _Part[ExportedConversation])
            for conversation in part.items:
                yield conversation

    async def messages(self, token: str, conversation_id: str) -> AsyncGenerator[ExportedMessage]:
        """All of a conversation's, in the order of their creation."""
        part = _Part[ExportedMessage]([], 0, True)
        while part.more:
            arguments = {"p_conversation_id": conversation_id, "p_after": part.last}
            part = await self._supabase.user_rpc(token, "export_messages", arguments, _Part[ExportedMessage])
            for message in part.items:
                yield message

    async def documents(self, token: str) -> AsyncGenerator[ExportedDocument]:
        """All of them, in the order of their creation."""
        last = 0
        while True:
            async with self._supabase.for_user(token) as client:
                query = client.from_("documents").select(columns(_Placed)).gt("position", last)
                answer = await query.order("position").limit(DOCUMENTS_AT_ONCE).execute()
            rows = msgspec.convert(answer.data, list[_Placed])
            for row in rows:
                yield msgspec.convert(row, ExportedDocument, from_attributes=True)
            if len(rows) < DOCUMENTS_AT_ONCE:
                return
            last = rows[-1].position
