"""The indexing of documents, and moving them to another embedding model: jobs of the service, with its key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from app.store.client import Supabase


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


class Indexing:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

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
