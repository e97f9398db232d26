"""Circuit breakers: one breaker and one cooldown for every (provider, model), so that failing models get no calls.

pybreaker holds the state, calls the listeners and has the storage. The admission is ours, because pybreaker is not made
for asyncio: when half-open it would admit every concurrent caller, it counts consecutive failures only, and it counts a
cancelled call as a failure. All of this runs on the event loop's thread and never waits, except to ask the other
replicas for the one trial.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
import pybreaker

from app.errors import ProviderError
from app.observe import event
from app.routing.router import BreakerState
from app.routing.window import Outcome, Window
from app.values import ProviderName

OPEN_SECONDS = 30.0
"""At least as long as the window, so that the failures which opened a breaker no longer count when it closes."""
COOLDOWN_SECONDS = 2.0
"""The cooldown after a 429 that names no time. It doubles with every further one until a call succeeds."""
QUOTA_COOLDOWN_SECONDS = 60.0
"""The least cooldown after an exhausted quota that names no time."""
LONGEST_COOLDOWN_SECONDS = 300.0

ROUNDING_SECONDS = 1.0
"""The precision of times in the shared storage, which keeps whole seconds."""

MOST_BREAKERS = 256
"""Users may name any model, so the number is limited: beyond it, the least recently used breaker is removed."""


class Health(msgspec.Struct, frozen=True):
    """The state of a model's breaker, and the seconds until it may admit a call (0: now)."""

    breaker: BreakerState
    wait: float


HEALTHY = Health("closed", 0.0)


class Permit:
    """Permission for one call. Its holder reports how the call went, or gives it back with `release`."""

    __slots__ = ("_breaker", "_outcome", "_settled", "heard_at", "succeeded")

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._outcome: Outcome | None = None
        self._settled = False
        self.succeeded = False
        self.heard_at: Callable[[], float] | None = None
        """Returns when the call last showed a sign of life, in the event loop's time. None: it has shown none."""

    def succeed(self) -> None:
        """The first token came. A later `fail` takes this back."""
        self.succeeded = True
        self._outcome = self._breaker.succeeded(self)

    def fail(self, error: ProviderError, unless_heard_since: float | None = None) -> None:
        """The call failed; `error.breaker` says what that means for the breaker.

        `unless_heard_since` is for a call that was given up because it was silent: a moment in the event loop's time.
        If another call of the model has shown a sign of life since then, the failure does not count, since this call
        only waited in a queue or was too large for the model.
        """
        if not self._settled:
            self._settled = True
            match error.breaker:
                case "failure" if unless_heard_since is None or not self._breaker.heard(unless_heard_since, but=self):
                    self._breaker.failed(self, self._outcome)
                case "cooldown":
                    self._breaker.cool(error)
            self._breaker.release(self)

    def release(self) -> None:
        """The call is over and nothing more is to be counted: it ended well, or it was cancelled."""
        if not self._settled:
            self._settled = True
            self._breaker.release(self)


class Sharing(Protocol):
    """How replicas share the states of their breakers."""

    def changed(self, breaker: Breaker) -> None:
        """Our own breaker opened or closed: tell the other replicas."""

    def refresh(self, breakers: Mapping[tuple[ProviderName, str], Breaker]) -> None:
        """Fetch the other replicas' states, unless that was just done. Returns at once; the states arrive later."""

    async def claim(self, breaker: Breaker) -> bool:
        """Claim the one trial of this breaker. False when another replica has it."""

    def give_back(self, breaker: Breaker) -> None:
        """Our trial ended without a result: any replica may claim the next."""

    async def aclose(self) -> None: ...


class Alone:
    """Shares nothing: for a process without Redis."""

    def changed(self, breaker: Breaker) -> None: ...

    def refresh(self, breakers: Mapping[tuple[ProviderName, str], Breaker]) -> None: ...

    async def claim(self, breaker: Breaker) -> bool:
        return True

    def give_back(self, breaker: Breaker) -> None: ...

    async def aclose(self) -> None: ...


class _Announcer(pybreaker.CircuitBreakerListener):
    """Logs pybreaker's changes of state, and passes them to the sharing."""

    def __init__(self, breaker: Breaker, sharing: Sharing) -> None:
        self._breaker = breaker
        self._sharing = sharing

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        event(
            "breaker.changed",
            provider=self._breaker.provider,
            model=self._breaker.model,
            old=old_state.name if old_state else None,
            new=new_state.name,
        )
        if new_state.name != pybreaker.STATE_HALF_OPEN:
            # half-open is not shared: the other replicas need only the result of the trial
            self._sharing.changed(self._breaker)


class Breaker:
    """The breaker and the cooldown of one (provider, model)."""

    def __init__(
        self,
        provider: ProviderName,
        model: str,
        clock: Callable[[], float],
        sharing: Sharing,
    ) -> None:
        self.provider = provider
        self.model = model
        self.opened_at = 0.0
        """When it last opened, on `clock`."""
        self._clock = clock
        self._sharing = sharing
        self._window = Window()
        self._trial: Permit | None = None
        self._permits: set[Permit] = set()
        """The permits of running calls."""
        self._heard_at = -math.inf
        """When a finished call last showed a sign of life."""
        self._cooling_until = 0.0
        self._coolings = 0
        self._storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._circuit = pybreaker.CircuitBreaker(
            name=f"{provider}/{model}",
            state_storage=self._storage,
            listeners=[_Announcer(self, sharing)],
        )

    @property
    def key(self) -> tuple[ProviderName, str]:
        return self.provider, self.model

    @property
    def state(self) -> str:
        """pybreaker's state: `closed`, `open` or `half-open`."""
        return self._storage.state

    def health(self) -> Health:
        now = self._clock()
        cooling = self._cooling_until - now
        if self._storage.state == pybreaker.STATE_CLOSED:
            return Health("cooldown", cooling) if cooling > 0 else HEALTHY
        if self._storage.state == pybreaker.STATE_OPEN and (wait := self.opened_at + OPEN_SECONDS - now) > 0:
            return Health("open", max(wait, cooling))
        # the open time is over: the next call is the trial, and others wait for its result
        return Health("half-open", max(1.0 if self._trial else 0.0, cooling))

    def admit(self) -> Permit | None:
        """A permit for one call, or None when the model may not be called now."""
        if self.health().wait > 0:
            return None
        permit = Permit(self)
        self._permits.add(permit)
        if self._storage.state != pybreaker.STATE_CLOSED:
            self._trial = permit
            if self._storage.state == pybreaker.STATE_OPEN:
                self._circuit.half_open()
        return permit

    def is_trial(self, permit: Permit) -> bool:
        return self._trial is permit

    def heard(self, since: float, *, but: Permit) -> bool:
        """Whether a call other than `but` has shown a sign of life after `since`."""
        others = (permit.heard_at for permit in self._permits if permit is not but)
        return self._heard_at > since or any(heard_at() > since for heard_at in others if heard_at is not None)

    def succeeded(self, permit: Permit) -> Outcome | None:
        self._coolings = 0
        if self._trial is permit:
            self._trial = None
            self._circuit.close()
        if self._storage.state != pybreaker.STATE_CLOSED:
            # this call began before the breaker opened, and only the trial may close it
            return None
        return self._window.add(self._clock(), failed=False)

    def failed(self, permit: Permit, outcome: Outcome | None) -> None:
        now = self._clock()
        if self._trial is permit:
            self._open(now)
        elif self._storage.state == pybreaker.STATE_CLOSED:
            self._window.fail(now, outcome)
            if self._window.tripped(now):
                self._open(now)

    def cool(self, error: ProviderError) -> None:
        """Make no calls for as long as the provider says, at most `LONGEST_COOLDOWN_SECONDS`."""
        now = self._clock()
        if now >= self._cooling_until:
            # when many calls are refused at the same time, only the first makes the next cooldown longer
            self._coolings += 1
        seconds = error.retry_after
        if seconds is None:
            seconds = COOLDOWN_SECONDS * 2.0 ** min(self._coolings - 1, 10)
            if not error.retryable:
                seconds = max(seconds, QUOTA_COOLDOWN_SECONDS)
        seconds = min(seconds, LONGEST_COOLDOWN_SECONDS)
        if now + seconds > self._cooling_until:
            self._cooling_until = now + seconds
            event("provider.cooling", provider=self.provider, model=self.model, seconds=round(seconds, 3))

    def release(self, permit: Permit) -> None:
        """The call is over. If it was a trial without a result, another call may be the trial."""
        self._permits.discard(permit)
        if permit.heard_at is not None:
            self._heard_at = max(self._heard_at, permit.heard_at())
        if self._trial is permit:
            self._trial = None
            self._sharing.give_back(self)

    def forgo(self, permit: Permit) -> None:
        """Give up the trial, because another replica has it."""
        self._permits.discard(permit)
        if self._trial is permit:
            self._trial = None

    def adopt(self, state: str, opened_at: float | None) -> None:
        """Take over the state that another replica shared. `opened_at` is when the breaker opened, on our clock."""
        if state == pybreaker.STATE_OPEN:
            news = opened_at is not None and opened_at > self.opened_at + ROUNDING_SECONDS
            if not news and self._storage.state != pybreaker.STATE_CLOSED:
                return
            self.opened_at = max(self.opened_at, opened_at or 0.0)
        if state != self._storage.state:
            self._storage.state = state
            # reading `state` makes pybreaker see the change in the storage and call the listeners
            _ = self._circuit.state

    def _open(self, now: float) -> None:
        self._trial = None
        self.opened_at = now
        self._circuit.open()


class Breakers:
    """All breakers of this process. Each is made when it is first needed."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, sharing: Sharing | None = None) -> None:
        self._clock = clock
        self._sharing = sharing or Alone()
        self._breakers: OrderedDict[tuple[ProviderName, str], Breaker] = OrderedDict()

    def health(self, provider: ProviderName, model: str) -> Health:
        """The health of a model, without calling it."""
        self._sharing.refresh(self._breakers)
        breaker = self._breakers.get((provider, model))
        return HEALTHY if breaker is None else breaker.health()

    def all(self) -> list[tuple[ProviderName, str, Health]]:
        """Every model that has a breaker, with its health."""
        return [(one.provider, one.model, one.health()) for one in self._breakers.values()]

    async def admit(self, provider: ProviderName, model: str) -> Permit | None:
        """A permit for one call, or None when the model may not be called now. The permit must be settled."""
        breaker = self._of(provider, model)
        permit = breaker.admit()
        if permit is None or not breaker.is_trial(permit):
            return permit
        try:
            if await self._sharing.claim(breaker):
                return permit
        except BaseException:
            permit.release()
            raise
        breaker.forgo(permit)
        return None

    async def aclose(self) -> None:
        """Stop sharing states with other replicas."""
        await self._sharing.aclose()

    def _of(self, provider: ProviderName, model: str) -> Breaker:
        key = (provider, model)
        breaker = self._breakers.get(key)
        if breaker is None:
            breaker = self._breakers[key] = Breaker(provider, model, self._clock, self._sharing)
            if len(self._breakers) > MOST_BREAKERS:
                self._breakers.popitem(last=False)
        else:
            self._breakers.move_to_end(key)
        return breaker
