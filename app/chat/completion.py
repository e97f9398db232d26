"""One completion: a reply outside of conversations. It is held in memory for its one reader, charged, and not stored.

What a client sends is the whole prompt: no history, no instructions and no documents of the user are added, see
docs/decisions/0031-completions.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec

from app.chat.live import Reply
from app.chat.offering import Offering
from app.chat.prompt import LEAST_OUTPUT_TOKENS, reply_limit
from app.chat.spending import Spending
from app.chat.writer import Tools, Writer
from app.errors import AppError, ContextTooLong, ParameterRefused, ParameterUnsupported, PromptTooLong, ProviderError
from app.routing.router import Candidate
from app.store.completions import BegunCompletion, FinishedCompletion
from app.store.replies import Charge
from app.values import (
    ChatRequest,
    FinalState,
    JsonSchema,
    Message,
    Tool,
    ToolCallDelta,
    Usage,
    estimate_request,
)
from app.watch import NOBODY, Watch

SETTLE_SECONDS = 2.0
"""How long the end of a completion waits for its charge to be stored. Storing goes on after that."""

TOO_LONG = "The prompt is longer than the model's context length. Send fewer messages, or shorter ones."

Settle = Callable[[FinishedCompletion], Awaitable[None]]
"""Stores a charge; it repeats until the database takes it, and outlives the completion."""


def with_system_prompt(asked: ChatRequest, system_prompt: str | None) -> ChatRequest:
    """The request with the operator's text before its messages."""
    if system_prompt is None:
        return asked
    return msgspec.structs.replace(asked, messages=(Message("system", system_prompt), *asked.messages))


class CompletionWriter(Writer):
    def __init__(
        self,
        tools: Tools,
        offering: Offering,
        user_id: str,
        completion_id: str,
        asked: ChatRequest,
        begun: BegunCompletion,
        candidates: Sequence[Candidate],
        settle: Settle,
        *,
        named: bool,
        watched: Watch = NOBODY,
    ) -> None:
        """`asked` is the request without the operator's text; the model of each call is its candidate's. `named`: it
        names a model or a provider."""
        reply = Reply(completion_id, conversation_id="", user_id=user_id)
        reply.begin("", candidates[0].provider, candidates[0].model)
        super().__init__(tools, reply, candidates, Spending(partial(offering.cost, begun.models)), watched)
        self.quotas = begun.quotas
        """What is left of the user's limits."""
        self._calls: list[ToolCallDelta] = []
        self._asked = asked
        self._prompt = with_system_prompt(asked, tools.system_prompt)
        self._prompt_tokens = estimate_request(self._prompt)
        self._offering = offering
        self._begun = begun
        self._settle = settle
        self._named = named

    @property
    def usage(self) -> Usage | None:
        """What the answering call has used, once the completion is over."""
        return self._usage

    @property
    def error(self) -> AppError | None:
        """Why it failed, once it is over."""
        return self._end.error

    def calls(self, start: int = 0) -> Sequence[ToolCallDelta]:
        """The parts of tool calls from the one at `start` on, as far as they may be seen."""
        if self.reply.held or self._screening.refusal is not None:
            return ()
        return self._calls[start:]

    def known(self) -> tuple[Charge, ...] | None:
        """See `Spending.known`."""
        text, thought = self._whole()
        return self._spending.known(len(text.encode()), len(thought.encode()))

    def _screened(self) -> tuple[str, ...]:
        """Everything that the model reads is the caller's, whatever role it is given; the newest message is judged by
        itself."""
        asked = self._asked
        texts = [text for message in asked.messages if (text := _text_of(message)).strip()]
        newest, before = "".join(texts[-1:]), texts[:-1]
        described = [
            _as_json(one) for one in (*asked.tools, asked.response_format) if isinstance(one, Tool | JsonSchema)
        ]
        return tuple(filter(None, (newest, "\n\n".join([*described, *before]))))

    def _shown(self) -> tuple[str, ...]:
        return *super()._shown(), "".join(f"{call.name or ''}{call.arguments}" for call in self.calls())

    def _request(self, candidate: Candidate) -> ChatRequest:
        most = candidate.max_output_tokens
        asked = self._asked.max_tokens
        bound = self._offering.reply_limit(self._begun.output_tokens, most, asked=asked)
        if asked is not None and most is not None:
            asked = min(asked, most)
        context = candidate.context_tokens
        # the caller's prompt is not shortened, but the reply may be
        left = None if context is None else context - round(self._prompt_tokens * candidate.density)
        return msgspec.structs.replace(
            self._prompt,
            model=candidate.model,
            max_tokens=reply_limit(left, max_tokens=asked, bound=bound),
            context_tokens=context,
        )

    def _failed(self, error: ProviderError) -> None:
        super()._failed(error)
        if not self._named or self._came:
            return
        # what the model that was asked for cannot do, no other one does in its place
        if isinstance(error, ParameterRefused):
            raise ParameterUnsupported(
                f"The model '{error.model}' does not support `{error.parameter}` as this request has it.",
                parameter=error.parameter,
            )
        # a shorter reply helps only where the prompt leaves room for one
        if isinstance(error, ContextTooLong) and self._prompt_tokens + LEAST_OUTPUT_TOKENS > (error.limit or 0):
            raise PromptTooLong(TOO_LONG)

    def _call(self, delta: ToolCallDelta) -> None:
        self._calls.append(delta)
        for follower in self.reply.followers:
            follower.wake()

    def _whole(self) -> tuple[str, str]:
        text, thought = self.reply.whole()
        return text + "".join(f"{call.name or ''}{call.arguments}" for call in self._calls), thought

    async def _store(self) -> FinalState:
        final, verdict = self._final(), self._screening.verdict
        finished = FinishedCompletion(
            id=self.reply.id,
            user_id=self.reply.user_id,
            calls=self._charges,
            flagged=verdict.flagged,
            flagged_part=verdict.part,
        )
        await asyncio.wait({asyncio.ensure_future(self._settle(finished))}, timeout=SETTLE_SECONDS)
        return final


def _text_of(message: Message) -> str:
    calls = (part for call in message.tool_calls for part in (call.name, call.arguments))
    return "\n".join(filter(None, (message.reasoning, message.content, *calls)))


def _as_json(described: Tool | JsonSchema) -> str:
    return msgspec.json.encode(described).decode()
