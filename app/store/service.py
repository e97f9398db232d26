"""The named jobs that run with the service key, and the only module that uses it.

The journal, finishing, recovery, the indexing of documents, the limits of the service, and the operator's plans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from app.messages import ReplyStatus, Source
from app.store.client import Supabase
from app.store.usage import Totals


class Piece(msgspec.Struct, frozen=True):
    """Text to append to a reply. `seq` counts its pieces from 1 and makes a repeated write harmless."""

    id: str
    seq: int
    text: str
    provider: str | None
    model: str | None
    sources: Sequence[Source] | None = None
    """What the reply draws on, with its first piece: other replicas' readers see it, and a crash does not take it."""


class Journaled(msgspec.Struct, frozen=True):
    """What the database says to a journal write: replies whose user asked to stop, and those that were deleted."""

    stop: tuple[str, ...]
    gone: tuple[str, ...]


class FinishedReply(msgspec.Struct, frozen=True, kw_only=True):
    """The final state of a reply."""

    id: str
    content: str
    status: ReplyStatus
    finish_reason: str | None
    error_code: str | None
    provider: str | None
    model: str | None
    sources: Sequence[Source] | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None
    user_id: str | None = None
    """Who pays, also when the reply was deleted while it was written."""
    cost_micro_usd: int | None = None
    flagged: tuple[str, ...] | None = None
    """The categories for which moderation refused the message (`flagged_part` input) or the reply (output)."""
    flagged_part: Literal["input", "output"] | None = None
    screened: bool = False
    """Moderation let the message pass that this answers."""


class IndexJob(msgspec.Struct, frozen=True):
    """A document that this process has claimed for indexing. `revision` names this content of it."""

    document_id: str
    revision: int
    passages: int


class WaitingPassage(msgspec.Struct, frozen=True):
    """A passage that has no vector yet."""

    passage: int
    content: str


class PassageVector(msgspec.Struct, frozen=True):
    """A passage's vector, in pgvector's text form."""

    passage: int
    embedding: str


class IndexStep(msgspec.Struct, frozen=True):
    """How far a document is: `lost` when it is no longer this process's to index."""

    state: Literal["indexing", "ready", "lost"]
    passages: tuple[WaitingPassage, ...]


class OldDocument(msgspec.Struct, frozen=True):
    """A document whose vectors are another model's, and some of its passages without one of the new model."""

    document_id: str
    revision: int
    passages: tuple[WaitingPassage, ...]


class ReembedProgress(msgspec.Struct, frozen=True):
    """How much is indexed, and how much of it not under the new model."""

    documents: int
    passages: int
    documents_left: int
    passages_left: int


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What a user may do now. `allowed`: premium, or premium is not required."""

    plan: str
    allowed: bool
    requests_per_minute: int
    tokens_per_minute: int
    monthly_budget_micro_usd: int | None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the operator sees them: their entitlement, what follows from it, and what they used this month."""

    user_id: str
    email: str
    plan: str | None
    valid_until: str | None
    limits: Limits
    month: Totals


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that is None is the settings'; a budget that is None is none."""

    plan: str
    premium: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    monthly_budget_micro_usd: int | None


class LimitSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the API wrote of its environment."""

    require_premium: bool
    requests_per_minute: int
    tokens_per_minute: int


class LimitsView(msgspec.Struct, frozen=True):
    settings: LimitSettings
    plans: tuple[Plan, ...]


class ServiceJobs:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def journal_write(self, pieces: Sequence[Piece], alive: Sequence[str]) -> Journaled:
        """Append the pieces and renew the leases of `alive`, in one transaction."""
        arguments = {"p_pieces": pieces, "p_alive": alive}
        return await self._supabase.service_rpc("journal_write", arguments, Journaled)

    async def finish_replies(self, replies: Sequence[FinishedReply]) -> list[str]:
        """Commit final states. Returns the ids that exist; one that is missing was deleted."""
        return await self._supabase.service_rpc("finish_replies", {"p_replies": replies}, list[str])

    async def recover_replies(self) -> list[str]:
        """End the replies whose writer is gone. Returns their ids."""
        return await self._supabase.service_rpc("recover_replies", {}, list[str])

    async def reachable(self) -> bool:
        """Whether Supabase answers now."""
        return await self._supabase.ping()

    async def grant_plan(self, email: str, plan: str, until: datetime | None) -> UserView:
        """Give a user a plan. Raises `NotFound` and `InvalidRequest`."""
        arguments = {"p_email": email, "p_plan": plan, "p_until": until}
        return await self._supabase.service_rpc("admin_grant", arguments, UserView)

    async def revoke_plan(self, email: str) -> UserView:
        """Take a user's plan away. Raises `NotFound`."""
        return await self._supabase.service_rpc("admin_revoke", {"p_email": email}, UserView)

    async def show_user(self, email: str) -> UserView:
        """Raises `NotFound`."""
        return await self._supabase.service_rpc("admin_show", {"p_email": email}, UserView)

    async def limits(self, plan: str | None, changes: Mapping[str, int | bool | None]) -> LimitsView:
        """All limits; before that, make or change `plan` when one is named."""
        return await self._supabase.service_rpc("admin_limits", {"p_plan": plan, "p_changes": changes}, LimitsView)

    async def configure_limits(
        self, *, require_premium: bool, requests_per_minute: int, tokens_per_minute: int, screen_input: bool
    ) -> object:
        """Set the limits of every plan that names none of its own, and whether messages are checked, for all
        replicas."""
        arguments = {
            "p_require_premium": require_premium,
            "p_requests_per_minute": requests_per_minute,
            "p_tokens_per_minute": tokens_per_minute,
            "p_screen_input": screen_input,
        }
        return await self._supabase.service_rpc("configure_limits", arguments, object)

    async def claim_index_jobs(self, worker: str, model: str, limit: int) -> list[IndexJob]:
        """Documents that wait for indexing, by `model` if they were taken for one; they are `worker`'s for the time of
        a lease."""
        arguments = {"p_worker": worker, "p_embedding_model": model, "p_limit": limit}
        return await self._supabase.service_rpc("claim_index_jobs", arguments, list[IndexJob])

    async def renew_index_jobs(self, worker: str, document_ids: Sequence[str]) -> None:
        arguments = {"p_worker": worker, "p_document_ids": document_ids}
        await self._supabase.service_rpc("renew_index_jobs", arguments, bool)

    async def release_index_jobs(self, worker: str) -> None:
        """Give back what `worker` has claimed, for others to go on with at once."""
        await self._supabase.service_rpc("release_index_jobs", {"p_worker": worker}, bool)

    async def index_passages(
        self, worker: str, job: IndexJob, model: str, vectors: Sequence[PassageVector], limit: int
    ) -> IndexStep:
        """Store the vectors and take the next `limit` passages, in one round trip."""
        arguments = {
            "p_worker": worker,
            "p_document_id": job.document_id,
            "p_revision": job.revision,
            "p_embedding_model": model,
            "p_vectors": vectors,
            "p_limit": limit,
        }
        return await self._supabase.service_rpc("index_passages", arguments, IndexStep)

    async def postpone_index_job(self, worker: str, document_id: str, error: str, *, final: bool) -> None:
        """Give a document back after a failure: for another try later, or as failed for good."""
        arguments = {"p_worker": worker, "p_document_id": document_id, "p_error": error, "p_final": final}
        await self._supabase.service_rpc("postpone_index_job", arguments, bool)

    async def reembed_progress(self, model: str) -> ReembedProgress:
        return await self._supabase.service_rpc("reembed_progress", {"p_model": model}, ReembedProgress)

    async def passages_to_reembed(self, model: str, limit: int) -> OldDocument | None:
        """The next document that has another model's vectors, or None."""
        arguments = {"p_model": model, "p_limit": limit}
        return await self._supabase.service_rpc("passages_to_reembed", arguments, OldDocument | None)  # type: ignore[arg-type]

    async def store_reembedded(self, model: str, document: OldDocument, vectors: Sequence[PassageVector]) -> None:
        """Store new vectors; with the last of a document, they are the ones that are searched."""
        arguments = {
            "p_model": model,
            "p_document_id": document.document_id,
            "p_revision": document.revision,
            "p_vectors": vectors,
        }
        await self._supabase.service_rpc("store_reembedded", arguments, bool)
