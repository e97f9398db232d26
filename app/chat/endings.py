"""How replies end: why one is cut short, and what its readers are told, during the reply and later."""

from __future__ import annotations

from enum import Enum

from app.errors import NotFound
from app.values import Done, Ending, Failed, FinalState, Stopped


class Cut(Enum):
    """Why a reply is ended before its provider ends it."""

    STOPPED = "stopped"
    """Its user asked for it, on any replica."""
    REFUSED = "refused"
    """Moderation does not let the message pass that it answers."""
    DELETED = "deleted"
    """Its row is gone."""
    OUTAGE = "outage"
    """The database has failed for too long, or refuses its text."""
    SHUTDOWN = "shutdown"
    """This process ends."""


def ending_of(final: FinalState) -> Ending:
    """What every reader of this reply is told, whether it has just ended here, elsewhere or long ago."""
    if final.problem is not None:
        return Failed(final.problem, final.status, final.length, final.reasoning_ms)
    if final.status == "stopped":
        return Stopped(final.usage, final.length, final.reasoning_ms)
    return Done(
        final.status,
        final.finish_reason,
        final.usage,
        final.provider,
        final.model,
        final.length,
        final.reasoning_ms,
    )


DELETED = FinalState(status="interrupted", problem=NotFound("The reply was deleted.").problem(), length=0)
"""Of a reply that was deleted while it was read; who comes later finds nothing."""
