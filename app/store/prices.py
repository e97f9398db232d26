"""What models cost and which plans may use them, where the operator says it; with the service's key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from app.store.client import Supabase


class ModelPrice(msgspec.Struct, frozen=True, kw_only=True):
    """The operator's price of a model, in micro-dollars per million tokens."""

    provider: str
    model: str
    input: int
    cached: int
    output: int


class PlanModels(msgspec.Struct, frozen=True, kw_only=True):
    """The models that may answer a plan's users; None: those of the catalog, and those with a price."""

    plan: str
    models: tuple[str, ...] | None


class Prices:
    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def all(self) -> list[ModelPrice]:
        return await self._ask({})

    async def set(self, provider: str, model: str, *, input: int, cached: int | None, output: int) -> list[ModelPrice]:
        """Give a model a price. Raises `InvalidRequest`."""
        price = {"input": input, "cached": cached, "output": output}
        return await self._ask({"p_provider": provider, "p_model": model, "p_price": price})

    async def remove(self, provider: str, model: str) -> list[ModelPrice]:
        """Take a model's price away. Raises `NotFound`."""
        return await self._ask({"p_provider": provider, "p_model": model, "p_price": None})

    async def _ask(self, arguments: Mapping[str, object]) -> list[ModelPrice]:
        return await self._supabase.service_rpc("admin_prices", arguments, list[ModelPrice])

    async def plan_models(self, plan: str, models: Sequence[str] | None = ()) -> PlanModels:
        """The models of a plan; with `models`, set them first; with None, go back to the catalog. Raises
        `InvalidRequest`."""
        return await self._supabase.service_rpc("admin_models", {"p_plan": plan, "p_models": models}, PlanModels)
