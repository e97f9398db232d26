"""What a new turn is asked, and by whom."""

from __future__ import annotations

from typing import Protocol

import msgspec

from app.messages import IdempotencyKey, ReasoningEffort, Regenerate, Send
from app.routing.router import Wish


class Asker(Protocol):
    """Who asks: a verified user's id and token."""

    @property
    def id(self) -> str: ...
    @property
    def token(self) -> str: ...


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a reply. `use_rag` is whether it may draw on documents; None leaves that to the settings.
    `reasoning` is how much the model is to think; None leaves that to the model."""

    what: Send | Regenerate
    wish: Wish = Wish()
    use_rag: bool | None = None
    reasoning: ReasoningEffort | None = None
    key: IdempotencyKey | None = None
