"""Indexing of documents and conversations, and moving documents to another embedding model. Called with the service's
key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from app.store.client import Supabase


class IndexJob(msgspec.Struct, frozen=True):
    """A document that this process has claimed for indexing. `revision` identifies its current content."""

    document_id: str
    revision: int
    passages: int
    user_id: str | None = None
    """Whose it is, and who pays for it."""


class WaitingPassage(msgspec.Struct, frozen=True):
    """A passage that has no vector yet."""

    passage: int
    content: str


class PassageVector(msgspec.Struct, frozen=True):
    """A passage's vector, in pgvector's text form."""

    passage: int
    embedding: str


class IndexStep(msgspec.Struct, frozen=True):
    """The state of a document's indexing. `lost`: this process no longer has the claim to it."""

    state: Literal["indexing", "ready", "lost"]
    passages: tuple[WaitingPassage, ...]


class OldDocument(msgspec.Struct, frozen=True):
    """A document with vectors of another model, and some of its passages that have no vector of the new model yet."""

    document_id: str
    revision: int
    passages: tuple[WaitingPassage, ...]


class ReembedProgress(msgspec.Struct, frozen=True):
    """How many documents and passages are indexed, and how many of them are not yet under the new model (`…_left`)."""

    documents: int
    passages: int
    documents_left: int
    passages_left: int


class IndexQueue(msgspec.Struct, frozen=True):
    """How many documents wait to be indexed, are being indexed, wait after a failure, and have failed for good within a
    day; and for how many seconds the oldest has waited."""

    queued: int
    running: int
    retrying: int
    failed: int
    oldest_seconds: float


class Indexing:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def charge_reading(self, user_id: str, seconds: int) -> None:
        """Count `seconds` of reading a user's file as that many requests of kind `document`."""
        await self._supabase.service_rpc("charge_reading", {"p_user_id": user_id, "p_seconds": seconds}, object)

    async def claim_index_jobs(self, worker: str, model: str, limit: int) -> list[IndexJob]:
        """Claim documents that wait for indexing, for the time of a lease. One that was stored for another model is
        left for a minute to the replicas that have that model."""
        arguments = {"p_worker": worker, "p_embedding_model": model, "p_limit": limit}
        return await self._supabase.service_rpc("claim_index_jobs", arguments, list[IndexJob])

    async def renew_index_jobs(self, worker: str, document_ids: Sequence[str]) -> None:
        arguments = {"p_worker": worker, "p_document_ids": document_ids}
        await self._supabase.service_rpc("renew_index_jobs", arguments, bool)

    async def release_index_jobs(self, worker: str) -> None:
        """Give back what `worker` has claimed, so that others can continue at once."""
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

    async def queue(self) -> IndexQueue:
        """The documents of all users that are not indexed yet, or could not be."""
        return await self._supabase.service_rpc("index_queue", {}, IndexQueue)

    async def reembed_progress(self, model: str) -> ReembedProgress:
        return await self._supabase.service_rpc("reembed_progress", {"p_model": model}, ReembedProgress)

    async def passages_to_reembed(self, model: str, limit: int) -> OldDocument | None:
        """The next document that has another model's vectors, or None."""
        arguments = {"p_model": model, "p_limit": limit}
        return await self._supabase.service_rpc("passages_to_reembed", arguments, OldDocument | None)  # type: ignore[arg-type]

    async def store_reembedded(self, model: str, document: OldDocument, vectors: Sequence[PassageVector]) -> None:
        """Store new vectors. Searches use them once all passages of the document have one."""
        arguments = {
            "p_model": model,
            "p_document_id": document.document_id,
            "p_revision": document.revision,
            "p_vectors": vectors,
        }
        await self._supabase.service_rpc("store_reembedded", arguments, bool)

    async def index_waiting_texts(self) -> bool:
        """Make some of the texts searchable that were not indexed while they were written. Whether there is more."""
        return await self._supabase.service_rpc("index_waiting_texts", {}, bool)
