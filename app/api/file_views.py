"""What clients see of exports, imports and deletions. Docstrings and descriptions stand in the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from app.api.views import Id, Time, View, described
from app.store.exports import ExportedConversation, ExportedMessage


class ConversationFile(msgspec.Struct, frozen=True):
    """An exported conversation with the messages of all its branches, each after the one that it follows."""

    type: Literal["parley.export"]
    version: int
    exported_at: Time
    conversation: ExportedConversation
    messages: list[ExportedMessage]


class ImportView(View, frozen=True, kw_only=True):
    """An import: how far it is, and what of the file was new."""

    id: Id
    status: Literal["running", "complete", "failed"]
    conversations: Annotated[int, described("How many the file has.")]
    done: Annotated[int, described("How many of them have been looked at.")]
    added_conversations: int
    added_messages: int
    added_documents: int
    error: Annotated[str | None, described("Why it failed. What it has added stays.")]
    created_at: Time
    updated_at: Time


class ErasedView(View, frozen=True):
    """How many were deleted."""

    conversations: int
    messages: int
    documents: int
