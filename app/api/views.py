"""What clients send and see: the JSON bodies of `/v1`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from app.api.paging import Page
from app.messages import Problem, ReplyStatus, Role, TaskType, Usage
from app.routing.catalog import provider_names
from app.store.rows import Conversation, StoredMessage

MAX_CONTENT_CHARACTERS = 100_000

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
ModelId = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
# Any name is read, since the router's refusal says which providers are configured; the OpenAPI document lists all.
_PROVIDERS = {"oneOf": None, "type": ["string", "null"], "enum": [*provider_names(), None]}
ProviderChoice = Annotated[str, msgspec.Meta(min_length=1, max_length=100, extra_json_schema={"extra": _PROVIDERS})]


class NewConversation(msgspec.Struct, forbid_unknown_fields=True):
    title: Title | None = None
    model: ModelId | None = None


class ConversationChanges(msgspec.Struct, forbid_unknown_fields=True):
    title: Title | msgspec.UnsetType | None = msgspec.UNSET
    model: ModelId | msgspec.UnsetType | None = msgspec.UNSET


class AnswerOptions(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a message is to be answered. All optional: without them the router decides."""

    provider: ProviderChoice | None = None
    model: ModelId | None = None
    task_type: TaskType | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    use_rag: bool | None = None


class NewMessage(AnswerOptions, forbid_unknown_fields=True, kw_only=True):
    content: Annotated[str, msgspec.Meta(min_length=1)]


class ConversationView(msgspec.Struct, frozen=True):
    id: str
    title: str | None
    model: str | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: Conversation) -> ConversationView:
        return cls(row.id, row.title, row.model, row.created_at, row.updated_at)


class ConversationPage(Page[ConversationView], frozen=True):
    """One page of conversations."""


class MessageView(msgspec.Struct, frozen=True, kw_only=True):
    """A message. `parent_id` and `version` are a reply's: what it answers, and which answer to that it is. `flagged`:
    the categories for which moderation refused it. `problem` is why a reply failed, as its event stream says it."""

    id: str
    conversation_id: str
    role: Role
    content: str
    status: ReplyStatus
    parent_id: str | None
    version: int
    seq: int
    provider: str | None
    model: str | None
    finish_reason: str | None
    error_code: str | None
    problem: Problem | None
    sources: list[dict[str, object]] | None
    usage: Usage | None
    tokens_used: int | None
    flagged: tuple[str, ...] | None
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: StoredMessage) -> MessageView:
        return cls(
            id=row.id,
            conversation_id=row.conversation_id,
            role=row.role,
            content=row.content,
            status=row.status,
            parent_id=row.parent_id,
            version=row.version,
            seq=row.seq,
            provider=row.provider,
            model=row.model,
            finish_reason=row.finish_reason,
            error_code=row.error_code,
            problem=_problem(row),
            sources=row.sources,
            usage=row.usage,
            tokens_used=row.tokens_used,
            flagged=row.flagged,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


def _problem(row: StoredMessage) -> Problem | None:
    final = row.final(len(row.content)) if row.role == "assistant" else None
    return final.problem if final else None


class MessagePage(Page[MessageView], frozen=True):
    """One page of messages."""


class TurnView(msgspec.Struct, frozen=True):
    """A turn that was begun: the stored user message and its reply, still streaming."""

    user_message: MessageView
    message: MessageView
