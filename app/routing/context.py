"""Contexts: how large a request each model takes, as its server said when it refused one, and what is asked next."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from app.errors import ContextTooLong
from app.observe import event
from app.routing.router import Candidate
from app.values import BYTES_PER_TOKEN, ChatRequest, ProviderName, estimate_prompt

NAMED_SECONDS = 3600.0
"""How long a limit that a server named is believed. Asking again costs one refused call."""
GUESSED_SECONDS = 600.0
"""How long a limit is believed that we guessed, since the server named none."""
MOST_CONTEXTS = 256
"""Users name models. Above this, the limit not used for longest is forgotten."""
LEAST_TOKENS = 256
"""No limit is taken to be lower."""
LEAST_KEPT_TOKENS = 1024
"""No limit is remembered to be lower: hardly a chat model has less, and an error may quote the numbers of a user, while
what is remembered holds for everybody."""

SMALLER = 3
"""By how much a request is made smaller when no limit is named."""
CLOSER = 1.05
"""By how much more than the server counted a prompt is taken to have, since the next one is another text."""
DENSER = 1.3
"""By how much too low an estimate is taken to be, when a prompt that should fit did not and nobody counted it."""
LAST_DENSITY = 1.5
"""How much denser still the text is taken to be at the last attempt, which has to fit."""
MOST_DENSE = 1.5 * BYTES_PER_TOKEN
"""A token is a byte at least. A server that counts more counts something else."""


class _Limit(msgspec.Struct, frozen=True):
    tokens: int
    until: float


class Contexts:
    """The limits that were found out, for all turns of the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: OrderedDict[tuple[ProviderName, str], _Limit] = OrderedDict()

    def fitted(self, candidate: Candidate) -> Candidate:
        """`candidate` with the context that is known by now."""
        key = (candidate.provider, candidate.model)
        limit = self._limits.get(key)
        if limit is None:
            return candidate
        if limit.until <= self._clock():
            del self._limits[key]
            return candidate
        self._limits.move_to_end(key)
        return msgspec.structs.replace(candidate, context_tokens=_least(candidate.context_tokens, limit.tokens))

    def smaller(
        self, candidate: Candidate, request: ChatRequest, refusal: ContextTooLong, *, last: bool
    ) -> Candidate | None:
        """What `candidate` is to be asked to fit after it has refused `request`; None: no model can find that too long.

        A limit that the server named is remembered, and so is a guess, for a shorter time. How many tokens the text
        has for one that is estimated is this turn's own: the next user writes another language. `last`: no further
        attempt will be made, so this one must fit.
        """
        estimate = max(1, estimate_prompt(request.messages))
        density = candidate.density
        if (named := refusal.limit) is not None:
            self._remember(candidate, named, NAMED_SECONDS)
            limit = _least(candidate.context_tokens, max(named, LEAST_TOKENS))
            if refusal.counted is not None:
                density = max(density, refusal.counted / estimate * CLOSER)
            elif estimate * density < limit:
                density = limit / estimate * DENSER
            else:
                density *= CLOSER
        else:
            sent = _least(candidate.context_tokens, round(estimate * density) + (request.max_tokens or 0))
            if sent <= LEAST_TOKENS:
                return None
            limit = max(LEAST_TOKENS, sent // SMALLER)
            if sent > LEAST_KEPT_TOKENS:
                self._remember(candidate, limit, GUESSED_SECONDS)
            if last:
                limit = min(limit, LEAST_KEPT_TOKENS)
        density = min(density * LAST_DENSITY if last else density, MOST_DENSE)
        event(
            "provider.context_full",
            provider=candidate.provider,
            model=candidate.model,
            estimated=estimate,
            counted=refusal.counted,
            limit=limit,
            named=named is not None,
        )
        return msgspec.structs.replace(candidate, context_tokens=limit, density=density)

    def _remember(self, candidate: Candidate, tokens: int, seconds: float) -> None:
        key = (candidate.provider, candidate.model)
        self._limits[key] = _Limit(max(tokens, LEAST_KEPT_TOKENS), self._clock() + seconds)
        self._limits.move_to_end(key)
        if len(self._limits) > MOST_CONTEXTS:
            self._limits.popitem(last=False)


def _least(known: int | None, tokens: int) -> int:
    return tokens if known is None else min(known, tokens)
