"""Virtual time, which passes on demand, and providers that do as they are told."""

from __future__ import annotations

import asyncio
import itertools
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from app.errors import ProviderError
from app.providers.description import Patience
from app.routing.breaker import Breakers, Sharing
from app.routing.deadlines import Deadlines
from app.routing.failover import Answering, Failover
from app.routing.router import Candidate
from app.values import (
    Alive,
    ChatRequest,
    Delta,
    Finish,
    Message,
    Opened,
    ProviderName,
    Reasoning,
    StreamItem,
    ToolCallDelta,
)

T = TypeVar("T")

DONE = Finish("stop", None)
HANG = 1e9
"""A step that outlasts every deadline."""

OPENED = Opened()
ALIVE = Alive()

Step = str | float | Opened | Alive | Reasoning | ToolCallDelta | Finish | BaseException
"""Text arrives, seconds pass, the provider shows life, the reply ends, or something breaks."""
Play = Sequence[Step]
Event = Answering | Reasoning | Delta | ToolCallDelta | Finish

ANSWER: Play = ("Hel", "lo", DONE)

PATIENCE = Patience(first_sign=20.0, first_token=40.0, gap=15.0)


class _Jump(selectors.DefaultSelector):
    """Where a loop would wait, its time jumps."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everything waits for something that will never happen")
        self._loop.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in which waiting takes no time. Its time is the clock of everything under test."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__(_Jump(self))

    def time(self) -> float:
        return self.now


def virtually(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run `main` in a loop of virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def clock() -> float:
    return asyncio.get_running_loop().time()


def failure(kind: type[ProviderError], **fields: Any) -> ProviderError:
    return kind("scripted", provider="scripted", **fields)


class Scripted:
    """A provider that performs a play a call, and `otherwise` when they are used up."""

    def __init__(self, name: ProviderName, *plays: Play, otherwise: Play = ANSWER) -> None:
        self.name: ProviderName = name
        self.plays = list(plays)
        self.otherwise = otherwise
        self.calls: list[float] = []
        """When each call began."""
        self.requests: list[ChatRequest] = []
        self.streaming = 0
        """How many streams are open."""
        self.most_streaming = 0
        self.models: frozenset[str] | ProviderError = frozenset()
        self.listed = 0
        self.listing_takes = 0.0

    async def stream(self, request: ChatRequest) -> AsyncGenerator[StreamItem]:
        self.calls.append(clock())
        self.requests.append(request)
        self.streaming += 1
        self.most_streaming = max(self.most_streaming, self.streaming)
        try:
            for step in self.plays.pop(0) if self.plays else self.otherwise:
                match step:
                    case str():
                        yield Delta(step)
                    case float() | int():
                        await asyncio.sleep(step)
                    case Opened() | Alive() | Reasoning() | ToolCallDelta() | Finish():
                        yield step
                    case _:
                        raise step
        finally:
            self.streaming -= 1

    async def list_models(self) -> frozenset[str]:
        self.listed += 1
        await asyncio.sleep(self.listing_takes)
        if isinstance(self.models, ProviderError):
            raise self.models
        return self.models

    async def aclose(self) -> None: ...


class Stage:
    """Providers, breakers and a failover in virtual time."""

    def __init__(
        self,
        *providers: Scripted,
        patience: Patience = PATIENCE,
        reply: float = 300.0,
        sharing: Sharing | None = None,
    ) -> None:
        self.providers: Mapping[ProviderName, Scripted] = {provider.name: provider for provider in providers}
        self.breakers = Breakers(clock=clock, sharing=sharing)
        deadlines = Deadlines(reply, dict.fromkeys(self.providers, patience))
        self.failover = Failover(self.providers, self.breakers, deadlines, clock=clock)
        self.candidates = tuple(Candidate(name, f"{name}-model") for name in self.providers)
        self._turns = itertools.count(1)

    def answer(self) -> AsyncGenerator[Event]:
        """A turn, whose number the providers see as its prompt."""
        prompt = (Message("user", str(next(self._turns))),)
        return self.failover.answer(self.candidates, lambda candidate: ChatRequest(candidate.model, prompt))

    async def collect(self) -> list[Event]:
        """Everything that the failover yields."""
        async with aclosing(self.answer()) as events:
            return [event async for event in events]

    async def text(self) -> tuple[str, str]:
        """Who answered, and what."""
        events = await self.collect()
        answering = [event for event in events if isinstance(event, Answering)][-1]
        return answering.provider, "".join(event.text for event in events if isinstance(event, Delta))

    def health(self, name: ProviderName) -> str:
        return self.breakers.health(name, f"{name}-model").breaker

    def retries(self) -> list[float]:
        """When calls were made that the same turn had already made to the same provider."""
        times = []
        for provider in self.providers.values():
            seen = set()
            for at, request in zip(provider.calls, provider.requests, strict=True):
                turn = request.messages[0].content
                if turn in seen:
                    times.append(at)
                seen.add(turn)
        return sorted(times)
