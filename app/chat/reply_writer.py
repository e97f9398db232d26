"""The reply of a turn: its prompt is the conversation's, the journal stores it while it is written, a title follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import msgspec

from app import observe
from app.chat.asked import Asked
from app.chat.endings import DELETED
from app.chat.journal import Entry
from app.chat.live import Reply
from app.chat.offering import Offering
from app.chat.prompt import build_request
from app.chat.sources import EarlySearch
from app.chat.spending import Spending
from app.chat.writer import Tools, Writer
from app.errors import AppError
from app.routing.router import Candidate
from app.store.messages import Begun
from app.store.replies import FinishedReply
from app.values import ChatRequest, FinalState, Passage
from app.watch import NOBODY, Watch


class ReplyWriter(Writer):
    """`search` looks for what the reply may draw on, where anything does."""

    def __init__(
        self,
        tools: Tools,
        offering: Offering,
        user_id: str,
        asked: Asked,
        begun: Begun,
        candidates: Sequence[Candidate],
        search: EarlySearch | None,
        watched: Watch = NOBODY,
    ) -> None:
        reply = Reply(begun.message.id, conversation_id=begun.message.conversation_id, user_id=user_id)
        reply.begin(begun.user_message.id, candidates[0].provider, candidates[0].model)
        spending = Spending(partial(offering.cost, begun.models), search.spent if search is not None else ())
        super().__init__(tools, reply, candidates, spending, watched)
        self._offering = offering
        self._begun = begun
        self._asked = asked
        self._question = begun.user_message.content
        self._search = search
        self._passages: Sequence[Passage] = ()

    def start(self, over: Callable[[], object]) -> None:
        """See `Writer.start`."""
        self._tools.journal.open(Entry(self.reply, self.cut, self._spending.known))
        super().start(over)

    async def _prepare(self) -> None:
        if self._search is not None:
            found = await self._search.task
            self._watched.retrieved(self._search.began, len(found.passages), found.sources.error)
            self._passages = found.passages
            self.reply.draw_on(found.sources)

    def _screened(self) -> tuple[str, ...]:
        instructions = self._begun.instructions
        return (self._question,) if instructions is None else (self._question, instructions)

    def _request(self, candidate: Candidate) -> ChatRequest:
        return build_request(
            candidate.model,
            self._begun.history,
            self._question,
            system_prompt=self._tools.system_prompt,
            instructions=self._begun.instructions,
            context_tokens=candidate.context_tokens,
            max_tokens=self._asked.preference.max_tokens,
            bound=self._bound(candidate),
            density=candidate.density,
            passages=self._passages,
            passage_tokens=self._begun.passage_tokens,
            reasoning=self._asked.reasoning,
        )

    def _bound(self, candidate: Candidate) -> int | None:
        """What the reply may have in tokens, so that it costs no more than is held for it."""
        asked = self._asked.preference.max_tokens
        return self._offering.reply_limit(self._begun.output_tokens, candidate.max_output_tokens, asked=asked)

    def _written(self) -> None:
        if self._search is not None:
            self._search.cancel()  # nobody waits for it any more

    async def _wait_for_costs(self) -> None:
        if self._search is not None:
            await asyncio.wait({self._search.task})  # cancelled or done: now it is known what it has cost

    async def _store(self) -> FinalState | None:
        reply, final = self.reply, self._final()
        finished = FinishedReply(
            id=reply.id,
            user_id=reply.user_id,
            content=reply.text(),
            reasoning=reply.reasoning(),
            final=final,
            sources=reply.sources,
            cost_micro_usd=self._cost(),
            calls=self._charges,
            verdict=self._screening.verdict,
        )
        try:
            kept = await self._tools.journal.finish(finished)
        except AppError as error:
            observe.event("turn.unstored", message_id=reply.id, code=error.code)
            return None
        if kept is None or final.usage is None:
            return DELETED if kept is None else final
        usage = msgspec.structs.replace(final.usage, cost_micro_usd=kept.cost_micro_usd)
        return msgspec.structs.replace(final, usage=usage)

    def _cost(self) -> int | None:
        """Of the call that answered, in micro-dollars; None when the price, or what was used, is not known."""
        provider, model = self.reply.provider, self.reply.model
        if self._usage is None or provider is None or model is None:
            return None
        return self._offering.cost(self._begun.models, provider, model, self._usage)

    def _close(self) -> None:
        self._tools.journal.close(self.reply.id)

    def _told(self, final: FinalState) -> None:
        if self._tools.titles is not None and final.status == "complete" and self._begun.untitled:
            self._tools.titles.give(self.reply.user_id, self._begun)
