"""Rows as the Data API returns them. Times are ISO 8601 with their offset, ids are UUIDs as text."""

from __future__ import annotations

import msgspec

from app.errors import ERRORS, AppError, ContentFlagged, Interrupted
from app.values import Feedback, FinalState, Problem, ReplyStatus, ReplyUsage, Role


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: str | None
    model: str | None
    instructions: str | msgspec.UnsetType | None = msgspec.UNSET
    """Unset in lists."""
    head_id: str | None
    last_message_at: str
    preview: str | None
    message_count: int | None
    """None until the database has taken over what release 0.1.0 wrote; then `last_message_at` is `-infinity`."""
    cost_micro_usd: int
    """What the replies of all branches have cost."""
    tokens: int
    """The sum of their `tokens_used`."""
    position: int
    created_at: str
    updated_at: str


class Siblings(msgspec.Struct, frozen=True):
    """The place of a message among those that follow the same one, in the order of their creation."""

    index: int
    count: int
    previous_id: str | None
    next_id: str | None


class StoredMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A row of `messages`. The `content` of a streaming reply is what has been journaled so far."""

    id: str
    conversation_id: str
    role: Role
    content: str = ""
    reasoning: str = ""
    status: ReplyStatus
    parent_id: str | None
    version: int
    seq: int
    provider: str | None
    model: str | None
    finish_reason: str | None
    error_code: str | None
    problem: Problem | None = None
    sources: list[dict[str, object]] | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    reasoning_tokens: int | None = None
    reasoning_ms: int | None = None
    tokens_used: int | None = None
    cost_micro_usd: int | None = None
    """What all calls for the reply have cost."""
    flagged: tuple[str, ...] | None = None
    feedback: Feedback | None = None
    siblings: Siblings | None = None
    """None for an only one, and in rows that do not tell."""
    position: int
    created_at: str
    updated_at: str

    @property
    def usage(self) -> ReplyUsage | None:
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return ReplyUsage(
            self.prompt_tokens,
            self.completion_tokens,
            self.cached_tokens or 0,
            self.reasoning_tokens or 0,
            self.cost_micro_usd,
        )

    def final(self, length: int) -> FinalState | None:
        """How this reply ended; None while it streams. `length` is that of its text, which the row may lack."""
        if self.status == "streaming":
            return None
        return FinalState(
            status=self.status,
            finish_reason=self.finish_reason,
            problem=self.why(),
            usage=self.usage,
            provider=self.provider,
            model=self.model,
            length=length,
            reasoning_ms=self.reasoning_ms,
        )

    def why(self) -> Problem | None:
        """The problem that a reply ended with. Derived from the status for rows without a stored problem: those that
        recovery ended, and those older than the column."""
        if self.problem is not None or self.role != "assistant":
            return self.problem
        if self.status == "interrupted":
            return Interrupted().problem()
        if self.status == "failed":
            return ERRORS.get(self.error_code or "", AppError)().problem()
        if self.status == "filtered" and self.finish_reason is None and self.flagged is not None:
            return ContentFlagged(categories=self.flagged).problem()
        return None


def columns(row: type[msgspec.Struct]) -> str:
    """The `select` of a row type: exactly its fields."""
    return ",".join(row.__struct_fields__)
