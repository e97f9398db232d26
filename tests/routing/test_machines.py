"""What holds for breaker and failover whatever happens, in whatever order: stateful tests with a fake clock."""

from __future__ import annotations

import asyncio
import re
from contextlib import aclosing
from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
)

from app.errors import (
    AppError,
    AuthenticationRefused,
    BrokenStream,
    ContentFiltered,
    ContextTooLong,
    ModelNotFound,
    ProviderError,
    QuotaExhausted,
    RequestRefused,
    ServerError,
    Stalled,
    Throttled,
    Unreachable,
)
from app.routing.breaker import OPEN_SECONDS, Breakers, Permit
from app.routing.failover import Answering
from app.routing.retry import ATTEMPTS_PER_CANDIDATE, ATTEMPTS_PER_TURN
from app.routing.window import FAILING_SHARE, LEAST_CALLS, SECONDS
from app.values import ChatRequest, Finish, ProviderName, Reasoning
from tests.support.scripted_providers import (
    ALIVE,
    DONE,
    HANG,
    OPENED,
    Event,
    Play,
    Scripted,
    Stage,
    VirtualLoop,
    failure,
)

FAILURES = [Unreachable, ServerError, Stalled, BrokenStream]
NEUTRAL = [AuthenticationRefused, ModelNotFound, RequestRefused, ContextTooLong, ContentFiltered]
COOLING = [Throttled, QuotaExhausted]


@dataclass
class Held:
    """A permit in somebody's hands."""

    permit: Permit
    trial: bool
    succeeded_at: float | None = None


class BreakerMachine(RuleBasedStateMachine):
    """One breaker, any number of callers, and a model of it that remembers everything."""

    held = Bundle("held")

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.breakers = Breakers(clock=lambda: self.now)
        self.outcomes: list[tuple[float, bool]] = []
        """Of the calls since it last closed: when, and whether it failed."""
        self.opened_at: float | None = None
        self.cooling_until = 0.0
        self.trial: Held | None = None

    def admitted(self) -> Permit | None:
        return asyncio.run(self.breakers.admit("openai", "m"))

    @rule(target=held)
    def ask(self) -> object:
        permit = self.admitted()
        due = self.opened_at is None or (self.now >= self.opened_at + OPEN_SECONDS and self.trial is None)
        assert (permit is not None) == (due and self.now >= self.cooling_until)
        if permit is None:
            return multiple()
        given = Held(permit, trial=self.opened_at is not None)
        if given.trial:
            self.trial = given
        return given

    @rule(one=held)
    def first_token(self, one: Held) -> None:
        if one.succeeded_at is not None:
            return
        one.permit.succeed()
        one.succeeded_at = self.now
        if self.trial is one:
            self.trial = self.opened_at = None
            self.outcomes = []
        if self.opened_at is None:
            self.outcomes.append((self.now, False))

    @rule(one=consumes(held), kind=st.sampled_from(FAILURES))
    def fail(self, one: Held, kind: type[ProviderError]) -> None:
        one.permit.fail(failure(kind))
        if self.trial is one:
            self.trial, self.opened_at = None, self.now
        elif self.opened_at is None:
            counted = (one.succeeded_at or 0.0, False)
            if counted in self.outcomes and one.succeeded_at is not None:
                self.outcomes.remove(counted)
                self.outcomes.append((one.succeeded_at, True))
                if one.succeeded_at <= self.now - SECONDS:
                    self.outcomes.append((self.now, True))
            else:
                self.outcomes.append((self.now, True))
            recent = [failed for at, failed in self.outcomes if at > self.now - SECONDS]
            if len(recent) >= LEAST_CALLS and sum(recent) >= FAILING_SHARE * len(recent):
                self.opened_at = self.now
                self.outcomes = []

    @rule(one=consumes(held), kind=st.sampled_from(NEUTRAL))
    def refuse(self, one: Held, kind: type[ProviderError]) -> None:
        one.permit.fail(failure(kind))
        if self.trial is one:
            self.trial = None

    @rule(one=consumes(held), kind=st.sampled_from(COOLING), seconds=st.sampled_from([1.0, 40.0]))
    def throttle(self, one: Held, kind: type[ProviderError], seconds: float) -> None:
        one.permit.fail(failure(kind, retry_after=seconds))
        self.cooling_until = max(self.cooling_until, self.now + seconds)
        if self.trial is one:
            self.trial = None

    @rule(one=consumes(held))
    def let_go(self, one: Held) -> None:
        one.permit.release()
        if self.trial is one:
            self.trial = None

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0, 30.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def says_what_it_is(self) -> None:
        if not hasattr(self, "now"):
            return
        shown = self.breakers.health("openai", "m").breaker
        if self.opened_at is None:
            assert shown == ("cooldown" if self.now < self.cooling_until else "closed")
        else:
            assert shown == ("open" if self.now < self.opened_at + OPEN_SECONDS else "half-open")


class Witness(Scripted):
    """A provider that notes how its breaker was at every call."""

    stage: Stage

    def __init__(self, name: ProviderName) -> None:
        super().__init__(name)
        self.seen: list[str] = []
        self.trying = 0

    async def stream(self, request: ChatRequest):  # type: ignore[no-untyped-def]
        shown = self.stage.health(self.name)
        self.seen.append(shown)
        trial = shown == "half-open"
        self.trying += trial
        assert self.trying <= 1, "two trials at once"
        try:
            async for item in super().stream(request):
                # the first token decides the trial
                self.trying -= trial
                trial = False
                yield item
        finally:
            self.trying -= trial


@dataclass
class Sent:
    """One turn and what came of it."""

    number: int
    task: asyncio.Task[None] | None = None
    events: list[Event] = field(default_factory=list)
    error: BaseException | None = None
    cancelled: bool = False


THOUGHT = Reasoning("Hm.")
PLAYS: list[Play] = [
    ["a", 0.5, "b", DONE],
    [OPENED, 1.0, THOUGHT, 3.0, ALIVE, "a", ALIVE, "b", DONE],
    [OPENED, THOUGHT, 0.5, failure(ServerError)],
    [THOUGHT, DONE],
    [" ", DONE],
    [THOUGHT, Finish("length", None)],
    [OPENED, HANG],
    [ALIVE, HANG],
    [0.1, failure(ContextTooLong)],
    ["a", DONE],
    [HANG],
    ["a", HANG],
    ["a"],
    [],
    *([0.05, failure(kind)] for kind in (*FAILURES, *NEUTRAL, *COOLING)),
    *(["a", 0.3, failure(kind)] for kind in (ServerError, ContentFiltered)),
    [failure(Throttled, retry_after=3.0)],
    [failure(ServerError, retry_after=100.0)],
]


class FailoverMachine(RuleBasedStateMachine):
    """Three providers whose mood changes, and turns that are sent and cancelled at any time."""

    running = Bundle("running")

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.turns: list[Sent] = []

        async def build() -> Stage:
            names: tuple[ProviderName, ...] = ("openai", "gemini", "claude")
            witnesses = [Witness(name) for name in names]
            stage = Stage(*witnesses)
            for witness in witnesses:
                witness.stage = stage
            return stage

        self.stage = self.runner.run(build())

    @rule(name=st.sampled_from(["openai", "gemini", "claude"]), play=st.sampled_from(PLAYS))
    def mood(self, name: ProviderName, play: Play) -> None:
        self.stage.providers[name].otherwise = play

    @rule(target=running, number=st.integers(1, 8))
    def send(self, number: int) -> object:
        async def main() -> None:
            for sent in new:
                sent.task = asyncio.create_task(self.turn(sent))
            await asyncio.sleep(0)

        new = [Sent(len(self.turns) + 1 + index) for index in range(number)]
        self.turns += new
        self.runner.run(main())
        return multiple(*new)

    async def turn(self, sent: Sent) -> None:
        try:
            async with aclosing(self.stage.answer()) as events:
                async for event in events:
                    sent.events.append(event)
        except (AppError, ProviderError, asyncio.CancelledError) as error:
            sent.error = error

    @rule(sent=consumes(running))
    def cancel(self, sent: Sent) -> None:
        async def main() -> None:
            if sent.task is not None and not sent.task.done():
                sent.cancelled = True
                sent.task.cancel()
                await asyncio.wait([sent.task])

        self.runner.run(main())

    @rule(seconds=st.sampled_from([0.01, 0.4, 3.0, 25.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.runner.run(asyncio.sleep(seconds))

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "stage"):
            return
        for provider in self.stage.providers.values():
            assert isinstance(provider, Witness)
            assert not {"open", "cooldown"} & set(provider.seen), "called while it is to be left alone"
        for sent in self.turns:
            self.turn_holds(sent)

    def turn_holds(self, sent: Sent) -> None:
        made = [
            sum(request.messages[0].content == str(sent.number) for request in provider.requests)
            for provider in self.stage.providers.values()
        ]
        assert sum(made) <= ATTEMPTS_PER_TURN
        assert max(made) <= ATTEMPTS_PER_CANDIDATE
        kinds = "".join(type(event).__name__[0] for event in sent.events)
        assert re.fullmatch("(AR*)*(D*F?)", kinds), "something other than answering, reasoning, deltas, finish"
        if kinds.endswith("F"):
            finish = sent.events[-1]
            assert "D" in kinds or (isinstance(finish, Finish) and finish.reason == "length"), "a blank reply"
        answering = [event.provider for event in sent.events if isinstance(event, Answering)]
        # the same again only where it had thought
        assert "R" in kinds or len(answering) == len(set(answering))
        if sent.task is not None and sent.task.done():
            if not sent.cancelled:
                assert (sent.error is None) == kinds.endswith("F")
            assert isinstance(sent.error, asyncio.CancelledError) == (sent.cancelled and sent.error is not None)

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return

        async def main() -> None:
            tasks = [sent.task for sent in self.turns if sent.task is not None]
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            assert all(provider.streaming == 0 for provider in self.stage.providers.values())

        self.runner.run(main())
        self.runner.close()


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestFailover = FailoverMachine.TestCase
TestFailover.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
