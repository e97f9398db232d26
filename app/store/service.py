"""The named jobs that run with the service key, and the only module that uses it: the journal, finishing, recovery."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.messages import ReplyStatus
from app.store.client import Supabase


class Piece(msgspec.Struct, frozen=True):
    """Text to append to a reply. `seq` counts its pieces from 1 and makes a repeated write harmless."""

    id: str
    seq: int
    text: str
    provider: str | None
    model: str | None


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
    sources: list[dict[str, object]] | None
    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None


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
