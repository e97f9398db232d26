"""Replies being written: the journal, final states, and the recovery of lost ones. Called with the service's key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from app.store.client import Supabase
from app.values import FinalState, Source


class Piece(msgspec.Struct, frozen=True):
    """Text and reasoning to append to a reply. `seq` counts its pieces from 1 and makes a repeated write harmless."""

    id: str
    seq: int
    text: str
    provider: str | None
    model: str | None
    sources: Sequence[Source] | None = None
    """The sources of the reply, stored with its first piece, so that readers on other replicas see them and a crash
    does not lose them."""
    reasoning: str | None = None


class Journaled(msgspec.Struct, frozen=True):
    """The database's answer to a journal write: ids of replies whose user asked to stop, and of deleted replies."""

    stop: tuple[str, ...]
    gone: tuple[str, ...]


CallKind = Literal["reply", "embedding", "moderation", "title"]
"""What a provider was called for."""


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What the calls of one kind used. A cost that is None is not known."""

    kind: CallKind
    provider: str
    model: str
    prompt_tokens: int
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_micro_usd: int | None = None


class Spent(msgspec.Struct, frozen=True):
    """All calls that were made so far for a reply."""

    id: str
    calls: tuple[Charge, ...]


class TurnVerdict(msgspec.Struct, frozen=True):
    """What moderation decided about a turn."""

    passed: bool = False
    """Whether the user message may be used as history."""
    flagged: tuple[str, ...] | None = None
    """The categories for which `part` was refused; None when nothing was."""
    part: Literal["input", "output"] | None = None
    """`input`: the user message. `output`: the reply."""


class Kept(msgspec.Struct, frozen=True):
    """A reply whose final state is stored, and what the ledger has for it; None where no price is known."""

    id: str
    cost_micro_usd: int | None = None


class FinishedReply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply to store as ended. It is charged to `user_id` even if it was deleted while it was written."""

    id: str
    user_id: str | None = None
    content: str
    reasoning: str = ""
    final: FinalState
    sources: Sequence[Source] | None = None
    cost_micro_usd: int | None = None
    """Of the call that answered."""
    calls: tuple[Charge, ...] | None = None
    """All calls that were made for it, which is what is charged. None: the one that its final state tells of."""
    verdict: TurnVerdict = TurnVerdict()

    def row(self) -> dict[str, object]:
        """The argument of `finish_replies`: every value under the name of its column."""
        final, usage, problem = self.final, self.final.usage, self.final.problem
        return {
            "id": self.id,
            "content": self.content,
            "reasoning": self.reasoning,
            "reasoning_ms": final.reasoning_ms,
            "status": final.status,
            "finish_reason": final.finish_reason,
            "error_code": problem.code if problem else None,
            "problem": problem,
            "provider": final.provider,
            "model": final.model,
            "sources": self.sources,
            "prompt_tokens": usage.prompt_tokens if usage else None,
            "completion_tokens": usage.completion_tokens if usage else None,
            "cached_tokens": usage.cached_tokens if usage else None,
            "reasoning_tokens": usage.reasoning_tokens if usage else None,
            "user_id": self.user_id,
            "cost_micro_usd": self.cost_micro_usd,
            "calls": self.calls,
            "screened": self.verdict.passed,
            "flagged": self.verdict.flagged,
            "flagged_part": self.verdict.part,
        }


class Replies:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def journal_write(
        self, pieces: Sequence[Piece], alive: Sequence[str], spent: Sequence[Spent] = ()
    ) -> Journaled:
        """Append the pieces, keep what was spent and renew the leases of `alive`, in one transaction."""
        arguments = {"p_pieces": pieces, "p_alive": alive, "p_spent": spent}
        return await self._supabase.service_rpc("journal_write", arguments, Journaled)

    async def finish_replies(self, replies: Sequence[FinishedReply]) -> list[Kept]:
        """Commit final states. Returns the replies that still exist; the others were deleted."""
        arguments = {"p_replies": [reply.row() for reply in replies], "p_costs": True}
        return await self._supabase.service_rpc("finish_replies", arguments, list[Kept])

    async def recover_replies(self) -> list[str]:
        """End the replies whose writer is gone. Returns their ids."""
        return await self._supabase.service_rpc("recover_replies", {}, list[str])

    async def reachable(self) -> bool:
        """Whether Supabase answers now."""
        return await self._supabase.ping()
