"""Choice: the models that a user may choose, and what a message would cost at most with each, before it is sent."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from app.chat.offering import Offering
from app.chat.prompt import PASSAGE_TOKENS
from app.chat.sources import Retriever
from app.chat.title_text import OUTPUT_TOKENS, TITLE_PROMPT_BYTES
from app.errors import AppError
from app.routing.catalog import ModelSpec
from app.routing.offers import Offers
from app.routing.retry import ATTEMPTS_PER_TURN
from app.routing.router import Candidate, ModelPreference, Offer
from app.store.estimates import Estimated, Estimates, Left
from app.store.messages import AllowedModel
from app.values import BYTES_PER_TOKEN, Usage, User

LONGEST_REPLY = 131_072
"""In tokens: about the longest reply that any model writes, where neither the plan nor the catalog limits it."""
TEMPLATE_TOKENS = 128
"""What a chat template may add to a prompt at most: gpt-oss adds about 70."""
MESSAGE_TEMPLATE_TOKENS = 16
"""What it may add to each message."""


class Choosable(msgspec.Struct, frozen=True):
    """All offers, those that the user's plan allows, and the model of a turn that names none."""

    offers: Sequence[Offer]
    allowed: Mapping[tuple[str, str], AllowedModel]
    """By provider and model."""
    default: Candidate | None


class ModelEstimate(msgspec.Struct, frozen=True):
    """What a message costs at most if this model answers at its first call, in micro-dollars; None: no price is known.
    `max_tokens` is what the reply may have."""

    provider: str
    model: str
    max_tokens: int
    cost_micro_usd: int | None


class Estimate(msgspec.Struct, frozen=True):
    """What a message would take. `prompt_tokens` and `output_tokens` would be held of the minute if it was sent now;
    `most_micro_usd` is what it costs at most, whatever models answer and whichever calls fail."""

    prompt_tokens: int
    output_tokens: int | None
    most_micro_usd: int | None
    models: tuple[ModelEstimate, ...]
    left: Left


class Choice:
    """Asks the router what there is, and the database what the user's plan allows of it."""

    def __init__(
        self, offers: Offers, offering: Offering, retriever: Retriever, estimates: Estimates, *, titles: bool
    ) -> None:
        """`titles`: whether conversations are given some."""
        self._titles = titles
        self._offers = offers
        self._offering = offering
        self._retriever = retriever
        self._estimates = estimates

    async def models(self, user: User) -> Choosable:
        offers, best = await self._offers.all()
        offered = [self._offering.offered(offer.spec) for offer in offers]
        allowed = {(one.provider, one.model): one for one in await self._estimates.allowed(user.token, offered)}
        if best is not None and (best.provider, best.model) not in allowed:
            best = await self._first(allowed)
        return Choosable(offers, allowed, best)

    async def _first(self, allowed: Collection[tuple[str, str]]) -> Candidate | None:
        try:
            candidates = await self._offers.candidates(ModelPreference())
        except AppError:
            return None
        return next((one for one in candidates if (one.provider, one.model) in allowed), None)

    async def estimate(
        self,
        user: User,
        content: str,
        *,
        conversation_id: str | None,
        parent_id: str | msgspec.UnsetType | None,
        max_tokens: int | None,
        use_rag: bool | None,
    ) -> Estimate:
        """`parent_id` as for `Send`. Raises what the database function `estimate_turn` raises."""
        offers, _ = await self._offers.all()
        specs = {(offer.spec.provider, offer.spec.model): offer.spec for offer in offers if offer.available}
        estimated = await self._estimates.turn(
            user.token,
            content,
            conversation_id=conversation_id,
            parent_id=parent_id,
            max_tokens=max_tokens,
            models=[self._offering.offered(spec) for spec in specs.values()],
            passage_tokens=PASSAGE_TOKENS if self._retriever.wanted(use_rag) else 0,
            system_tokens=self._offering.system_tokens,
        )
        models = tuple(
            self._of(spec, one, estimated, max_tokens)
            for one in estimated.models
            for spec in specs.values()
            if (spec.provider, spec.model) == (one.provider, one.model)
        )
        costs = [model.cost_micro_usd for model in models]
        known = [cost for cost in costs if cost is not None]
        most = None
        if known and len(known) == len(costs):
            most = ATTEMPTS_PER_TURN * (max(known) - estimated.embedding_micro_usd) + estimated.embedding_micro_usd
            if self._titles and estimated.untitled:
                most += max(self._title(one) for one in estimated.models)
        return Estimate(estimated.prompt_tokens, estimated.output_tokens, most, models, estimated.left)

    def _title(self, allowed: AllowedModel) -> int:
        """What a title by this model costs at most. It is one call of the cheapest that can be called."""
        usage = Usage(TITLE_PROMPT_BYTES + 2 * MESSAGE_TEMPLATE_TOKENS + TEMPLATE_TOKENS, OUTPUT_TOKENS)
        return self._offering.price(allowed, allowed.provider, allowed.model, usage) or 0

    def _of(
        self, spec: ModelSpec, allowed: AllowedModel, estimated: Estimated, max_tokens: int | None
    ) -> ModelEstimate:
        limit = self._offering.reply_limit(estimated.most_output_tokens, spec.max_output_tokens, asked=max_tokens)
        limit = limit or spec.max_output_tokens or LONGEST_REPLY
        # no token is less than a byte, so that no tokenizer counts more than this
        prompt = estimated.prompt_tokens * BYTES_PER_TOKEN
        # the system's text and the passages are messages too
        prompt += MESSAGE_TEMPLATE_TOKENS * (estimated.messages + 2) + TEMPLATE_TOKENS
        read, cached = (
            self._offering.price(allowed, spec.provider, spec.model, Usage(prompt, limit, part)) for part in (0, prompt)
        )
        if read is None or cached is None:
            return ModelEstimate(spec.provider, spec.model, limit, None)
        cost = max(read, cached) + estimated.embedding_micro_usd
        return ModelEstimate(spec.provider, spec.model, limit, cost)
