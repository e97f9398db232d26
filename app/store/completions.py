"""Completions: replies outside of conversations. They are admitted, renewed and charged, and nothing else of them is
stored. Called with the service's key: a caller with a personal key has no token of Supabase's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from app.store.client import Supabase
from app.store.messages import AllowedModel, OfferedModel, TurnOffer
from app.store.replies import Charge
from app.values import Quota


class BegunCompletion(msgspec.Struct, frozen=True):
    """What `begin_completion` answers: the models that may answer, with their prices, the limit of the reply (None: it
    needs none), and what is left of the user's limits, `requests` and `tokens`."""

    models: tuple[AllowedModel, ...]
    output_tokens: int | None = None
    quotas: dict[str, Quota] = msgspec.field(default_factory=dict)


class Renewed(msgspec.Struct, frozen=True):
    """A completion that is being written, and the calls that were made so far but for those that were refused; None
    before there is one."""

    id: str
    calls: tuple[Charge, ...] | None


class FinishedCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A completion to charge. `flagged` are the categories for which moderation refused `flagged_part` (`input` or
    `output`)."""

    id: str
    user_id: str
    calls: tuple[Charge, ...]
    flagged: tuple[str, ...] | None = None
    flagged_part: str | None = None


class _Admitted(msgspec.Struct, frozen=True):
    quotas: dict[str, Quota]


class StoredCompletions:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def begin(
        self, user_id: str, completion_id: str, *, prompt_tokens: int, max_tokens: int | None, offer: TurnOffer
    ) -> BegunCompletion:
        """Admit a completion, and hold its tokens and its cost. Raises what the database function raises, see its
        comment."""
        arguments = {
            "p_user_id": user_id,
            "p_completion_id": completion_id,
            "p_prompt_tokens": prompt_tokens,
            "p_max_tokens": max_tokens,
            "p_offer": offer,
        }
        return await self._supabase.service_rpc("begin_completion", arguments, BegunCompletion, user_id=user_id)

    async def renew(self, spent: Sequence[Renewed]) -> None:
        """Renew what is held for completions that are written, and keep what they have spent so far."""
        await self._supabase.service_rpc("renew_completions", {"p_completions": spent}, bool)

    async def finish(self, finished: Sequence[FinishedCompletion]) -> None:
        """Charge completions and release what is held for them. A repeated call changes nothing."""
        await self._supabase.service_rpc("finish_completions", {"p_completions": finished}, bool)

    async def models(self, user_id: str, models: Sequence[OfferedModel]) -> list[AllowedModel]:
        """Those that the user's plan allows, in the same order."""
        arguments = {"p_user_id": user_id, "p_models": models}
        return await self._supabase.service_rpc("completion_models", arguments, list[AllowedModel], user_id=user_id)

    async def begin_embeddings(
        self, user_id: str, request_id: str, *, tokens: int, provider: str, model: str, price: int | None
    ) -> Mapping[str, Quota]:
        """Admit a request for vectors, and hold its cost until it is charged under `request_id`. `price` is in
        micro-dollars per million tokens. Raises what the database function raises, see its comment."""
        arguments = {
            "p_user_id": user_id,
            "p_request_id": request_id,
            "p_tokens": tokens,
            "p_model": {"provider": provider, "model": model, "input": price},
        }
        return (await self._supabase.service_rpc("begin_embeddings", arguments, _Admitted, user_id=user_id)).quotas
