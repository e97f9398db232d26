"""Contexts: how large a request each model accepts, learnt when its server refuses one, and the size of the next."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from app.errors import ContextTooLong
from app.observe import event
from app.routing.router import Candidate
from app.values import BYTES_PER_TOKEN, ChatRequest, ProviderName, estimate_request

NAMED_SECONDS = 3600.0
"""How long a limit that a server named is used. After that, a longer request may cost one refused call."""
GUESSED_SECONDS = 600.0
"""How long a limit is used that was guessed because the server named none."""
MOST_CONTEXTS = 256
"""Users may name any model, so the number is limited: beyond it, the least recently used limit is forgotten."""
LEAST_TOKENS = 256
"""Requests are never made smaller than this."""
LEAST_KEPT_TOKENS = 1024
"""The lowest limit that is remembered. Chat models have more, and a server's error may quote numbers that a user wrote,
while a remembered limit applies to all users."""

SMALLER = 3
"""A request is divided by this when the server names no limit."""
CLOSER = 1.05
"""Factor on the tokens that the server counted, as a margin: the shortened prompt is a different text."""
DENSER = 1.3
"""Factor on the estimate when a prompt was refused that should have fitted, and the server gave no count."""
LAST_DENSITY = 1.5
"""A further factor at the last attempt, which has to fit."""
MOST_DENSE = 1.5 * BYTES_PER_TOKEN
"""The highest density. A token has at least one byte, so a server that counts more counts something else too."""


class _Limit(msgspec.Struct, frozen=True):
    tokens: int
    until: float


class Contexts:
    """The limits that were learnt, for all turns of the process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limits: OrderedDict[tuple[ProviderName, str], _Limit] = OrderedDict()

    def fitted(self, candidate: Candidate) -> Candidate:
        """`candidate` with the context that has been learnt so far."""
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
        """`candidate` with the limits for the next request, after it has refused `request` as too long. None when the
        request is already so short that a smaller one would not help.

        The limit is remembered: one that the server named for longer than a guess. The density (tokens for each
        estimated token) applies to this turn only, since other users write other languages. `last`: no further attempt
        will be made, so this one must fit.
        """
        estimate = max(1, estimate_request(request))
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
            prompt = round(estimate * density)
            sent = _least(candidate.context_tokens, prompt + (request.max_tokens or 0))
            if sent <= LEAST_TOKENS:
                return None
            limit = max(LEAST_TOKENS, sent // SMALLER)
            # a short prompt says nothing of the model's context: its sender asked for a long reply
            if min(prompt, sent) > LEAST_KEPT_TOKENS:
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
