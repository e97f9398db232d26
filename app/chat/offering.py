"""What a turn could be answered with, as the database judges it: models, their prices, and the room for passages."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from app.chat.prompt import DEFAULT_OUTPUT_TOKENS
from app.routing.catalog import Catalog, ModelSpec
from app.routing.router import Candidate, ModelPreference, is_named
from app.store.messages import AllowedModel, OfferedModel, TurnOffer
from app.values import ProviderName, Usage, estimate_tokens


class Offering:
    """For the turns of a process."""

    def __init__(self, catalog: Catalog, system_prompt: str | None = None) -> None:
        """`system_prompt` is the operator's."""
        self.system_tokens = estimate_tokens(system_prompt or "")
        self._catalog = catalog
        known = [offered(spec, known=True) for name in catalog.configured for spec in catalog.models(name)]
        # models of a provider that costs nothing, whatever their names
        free = [
            offered(spec, known=False)
            for name in catalog.configured
            if (spec := catalog.spec(name, "")).price is not None
        ]
        self._others = msgspec.Raw(msgspec.json.encode(known + free))

    def of(self, preference: ModelPreference, candidates: Sequence[Candidate], passage_tokens: int) -> TurnOffer:
        """The offer for a turn that asks for this; passages take at most `passage_tokens` of its prompt."""
        models = []
        for candidate in candidates:
            spec = self._catalog.spec(candidate.provider, candidate.model)
            known = self._catalog.knows(candidate.provider, candidate.model)
            models.append(offered(spec, known=known, named=_is_preferred(spec, preference)))
        return TurnOffer(
            models=models,
            others=self._others,
            passage_tokens=passage_tokens,
            system_tokens=self.system_tokens,
        )

    def allowed(self, models: Sequence[AllowedModel] | None, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """The candidates that the user's plan allows, which are `models`, in the same order. If there are none, the
        allowed models that cannot be called now: the reply says so."""
        if models is None:
            return tuple(candidates)
        names = {(model.provider, model.model) for model in models}
        found = [candidate for candidate in candidates if (candidate.provider, candidate.model) in names]
        if not found:
            specs = [self._catalog.spec(ProviderName(model.provider), model.model) for model in models]
            found = [Candidate.of(spec) for spec in specs if spec.provider in self._catalog.configured]
        return tuple(found)

    def offered(self, spec: ModelSpec) -> OfferedModel:
        """A model as the database judges it."""
        return offered(spec, known=self._catalog.knows(spec.provider, spec.model))

    def reply_limit(self, held: int | None, longest: int | None, *, asked: int | None) -> int | None:
        """What a reply may have in tokens, so that it costs no more than is held for it. Where the request does not say
        it, at most the model's longest reply: models refuse what is longer."""
        if held is None or asked is not None:
            return held
        return min(held, longest or DEFAULT_OUTPUT_TOKENS)

    def cost(self, models: Sequence[AllowedModel] | None, provider: str, model: str, usage: Usage) -> int | None:
        """What `usage` costs where these models are allowed, in micro-dollars; None when the price is not known."""
        allowed = next((one for one in models or () if (one.provider, one.model) == (provider, model)), None)
        return self.price(allowed, provider, model, usage)

    def price(self, allowed: AllowedModel | None, provider: str, model: str, usage: Usage) -> int | None:
        """What `usage` costs by the price that the database says, else by the catalog's."""
        spec = self._catalog.spec(ProviderName(provider), model)
        if allowed is not None and allowed.input is not None:
            spec = spec.priced(allowed.input, allowed.cached or 0, allowed.output or 0)
        return spec.cost(usage)


def _is_preferred(spec: ModelSpec, preference: ModelPreference) -> bool:
    """Whether the request names this model, or its provider alone."""
    if preference.provider is None and preference.model is None:
        return False
    return preference.provider in (None, spec.provider) and (
        preference.model is None or is_named(spec, preference.model)
    )


def offered(spec: ModelSpec, *, known: bool, named: bool = False) -> OfferedModel:
    """The model as it is offered to the database."""
    price = spec.price
    return OfferedModel(
        provider=spec.provider,
        model=spec.model or None,
        known=known,
        named=named,
        input=price.input if price else None,
        cached=price.cached if price else None,
        output=price.output if price else None,
    )
