"""Usage and remaining limits of a user: the usage functions, always with the user's own token."""

from __future__ import annotations

from typing import Literal

import msgspec

from app.store.client import Supabase
from app.values import Quota

RequestKind = Literal["search", "document", "moderation"]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over replies. `cost_micro_usd` does not include the `unpriced_replies`, whose price is not known."""

    replies: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    tokens: int
    cost_micro_usd: int
    unpriced_replies: int


class ModelTotals(Totals, frozen=True, kw_only=True):
    """The sums of one model's replies."""

    provider: str | None
    model: str | None


class Budget(msgspec.Struct, frozen=True):
    """The most that replies may cost this month, and what is left of it, in millionths of a dollar."""

    limit_micro_usd: int
    remaining_micro_usd: int


class Allowance(msgspec.Struct, frozen=True):
    """How much of something the user may have at a time, has, and may still add."""

    limit: int
    used: int
    remaining: int


class Storage(msgspec.Struct, frozen=True, kw_only=True):
    """What the user has stored. `document_bytes` are those of all passages, of text and metadata."""

    conversations: Allowance
    messages: Allowance
    documents: Allowance
    passages: Allowance
    document_bytes: Allowance


class OtherRequests(msgspec.Struct, frozen=True, kw_only=True):
    """The requests that are no turns, each kind with a limit of its own."""

    search: Quota
    document: Quota
    moderation: Quota


class MyUsage(msgspec.Struct, frozen=True, kw_only=True):
    """A user's usage, in UTC days and months. `allowed`: the plan allows chat, documents and search. `models` are sums
    of this month by model; `held_tokens` are reserved for replies being written; `requests` counts turns; `budget` is
    null when the plan has none."""

    plan: str
    allowed: bool
    today: Totals
    month: Totals
    models: tuple[ModelTotals, ...]
    held_tokens: int
    requests: Quota
    other_requests: OtherRequests
    tokens: Quota
    budget: Budget | None
    storage: Storage


class AdmittedSearch(msgspec.Struct, frozen=True):
    """A search that was charged. `held` is the id to charge its vectors with; None: nothing is held for them."""

    requests: Quota
    held: str | None


class Usages:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def admit_request(self, token: str, kind: RequestKind, *, charge: bool = True) -> dict[str, Quota]:
        """Charge one request; without `charge`, only ask whether it would be admitted. Raises what the database
        function raises, see its comment."""
        arguments = {"p_kind": kind, "p_charge": charge}
        return await self._supabase.user_rpc(token, "admit_request", arguments, dict[str, Quota])

    async def admit_search(self, token: str, query: str) -> AdmittedSearch:
        """Charge a search, and hold what its vectors cost. Raises what the database function raises."""
        arguments = {"p_kind": "search", "p_query": query}
        return await self._supabase.user_rpc(token, "admit_request", arguments, AdmittedSearch)

    async def mine(self, token: str) -> MyUsage:
        return await self._supabase.user_rpc(token, "my_usage", {}, MyUsage)
