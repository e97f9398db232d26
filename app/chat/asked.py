"""What a new turn is asked."""

from __future__ import annotations

import msgspec

from app.routing.router import ModelPreference
from app.store.messages import ChatTurn
from app.values import IdempotencyKey, ReasoningEffort, Regenerate, Send


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request for a reply. `use_rag` is whether it may draw on documents; None leaves that to the settings.
    `reasoning` is how much the model is to think; None leaves that to the model."""

    what: Send | Regenerate | ChatTurn
    preference: ModelPreference = ModelPreference()
    use_rag: bool | None = None
    reasoning: ReasoningEffort | None = None
    key: IdempotencyKey | None = None
