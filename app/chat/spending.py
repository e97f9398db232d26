"""Spending: every call that was made for a turn, and what each used. It is charged however the turn ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from app.errors import ContentFiltered, ProviderError
from app.store.replies import CallKind, Charge
from app.values import MESSAGE_TOKENS, ChatRequest, Tally, Usage, estimate_request, tokens_of

Cost = Callable[[str, str, Usage], int | None]
"""What this usage costs by a provider's model, in micro-dollars; None when the price is not known."""


_NOTHING = Usage(0, 0)


class _Call:
    """One call. `thought_before` is how many bytes of reasoning the reply had when it was made."""

    __slots__ = ("estimate", "free", "limit", "model", "provider", "said", "tally", "thought_before")

    def __init__(self, provider: str, request: ChatRequest, tally: Tally, thought_before: int) -> None:
        self.provider = provider
        self.model = request.model
        self.limit = request.max_tokens
        # without what a template may add to each message
        self.estimate = estimate_request(request) - MESSAGE_TOKENS * len(request.messages)
        self.tally = tally
        self.thought_before = thought_before
        self.said: Usage | None = None
        """What the provider said at the end."""
        self.free = False
        """It was not sent, or was answered with an error in place of a reply: no provider charges for that."""

    def usage(self, text: int, thought: int) -> Usage:
        """What it used, with estimates in the place of what the provider has not said: of the messages that it was
        sent, and of so many bytes of text and reasoning that came. A reply has no more than it was allowed."""
        said = self.said or self.tally.usage or _NOTHING
        reasoning = tokens_of(thought)
        written = tokens_of(text) + reasoning
        if self.limit is not None:
            written = min(written, self.limit)
        written = said.completion_tokens or written
        return Usage(
            said.prompt_tokens or self.estimate,
            written,
            said.cached_tokens,
            said.reasoning_tokens or min(reasoning, written),
        )


class Spending:
    """Of one turn. Its calls are made one after the other, so that what is told is told of the latest."""

    def __init__(self, cost: Cost, others: Sequence[Charge] = (), *, kind: CallKind = "reply") -> None:
        """`others` are the charges for what else is called for the turn, as they come; `kind` is what its own calls are
        made for."""
        self._cost = cost
        self._calls: list[_Call] = []
        self._others = others
        self._kind: CallKind = kind

    def calling(self, provider: str, request: ChatRequest, thought: int) -> ChatRequest:
        """This request is sent now; returns it with the tally that its provider counts on. `thought` is how many bytes
        of reasoning the reply has by then."""
        tally = Tally()
        self._calls.append(_Call(provider, request, tally, thought))
        return msgspec.structs.replace(request, tally=tally)

    def failed(self, error: ProviderError) -> None:
        """The call failed with `error`."""
        call = self._calls[-1]
        if isinstance(error, ContentFiltered) and error.usage is not None:
            call.said = error.usage
        call.free = call.said is None and not call.tally.taken and not (error.sent and error.status is None)

    def finished(self, usage: Usage | None) -> None:
        """The provider has ended the reply, and says this of it."""
        self._calls[-1].said = usage

    @property
    def called(self) -> bool:
        """Whether a provider has a reply to charge for."""
        return bool(self._calls) and not self._calls[-1].free

    def answer(self, text: int, thought: int) -> Usage | None:
        """What is told of the reply, which has so many bytes of text and of reasoning: the prompt of the latest call,
        and all that came. None before there is a call."""
        return self._calls[-1].usage(text, thought) if self._calls else None

    def known(self, text: int, thought: int) -> tuple[Charge, ...] | None:
        """The charges so far, for the database, which expects a call until it is told: None before there is one."""
        return self.charges(text, thought) if self._calls or self._others else None

    def charges(self, text: int, thought: int) -> tuple[Charge, ...]:
        """All calls, once the reply has so many bytes of text and of reasoning."""
        made: list[Charge] = []
        for place, call in enumerate(self._calls):
            if not call.free:
                usage = self._used(place, text, thought)
                made.append(
                    Charge(
                        kind=self._kind,
                        provider=call.provider,
                        model=call.model,
                        prompt_tokens=usage.prompt_tokens,
                        completion_tokens=usage.completion_tokens,
                        cached_tokens=usage.cached_tokens,
                        cost_micro_usd=self._cost(call.provider, call.model, usage),
                    )
                )
        return (*self._others, *made)

    def _used(self, place: int, text: int, thought: int) -> Usage:
        """Text is the latest call's, as none follows a call that has failed after some; reasoning is of the call that
        was the latest when it came."""
        call, later = self._calls[place], self._calls[place + 1 : place + 2]
        until = later[0].thought_before if later else thought
        return call.usage(0 if later else text, until - call.thought_before)
