"""One reply, from the begun turn to its stored end.

A `ReplyWriter` holds all that there is of a reply while it is written: what it was asked, its candidates, its text, why
it is cut short and how it ended. `_run` carries it through its steps, in a task of the process and never of a request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import NamedTuple, assert_never, cast

import msgspec

from app import observe
from app.chat.asked import Asked
from app.chat.endings import DELETED, Cut, ending_of
from app.chat.journal import Entry, Journal
from app.chat.live import MAX_REPLY_CHARACTERS, Reply
from app.chat.prompt import build_request, completed_usage
from app.chat.screening import Screening
from app.chat.sources import Found
from app.errors import (
    AppError,
    ContentFiltered,
    Interrupted,
    ProviderError,
    ProviderUnavailable,
    SupabaseUnavailable,
)
from app.guard.moderation import Moderation
from app.routing.catalog import Catalog
from app.routing.failover import Answering, Failover
from app.routing.router import Candidate
from app.store.messages import Begun
from app.store.replies import FinishedReply
from app.values import (
    ChatRequest,
    Delta,
    FinalState,
    Finish,
    Message,
    Passage,
    ProviderName,
    Reasoning,
    ReplyStatus,
    Usage,
)


class Tools(NamedTuple):
    """What every reply of a process is written with."""

    failover: Failover
    moderation: Moderation
    journal: Journal
    catalog: Catalog


class End(msgspec.Struct, frozen=True):
    """How the writing ended. With an error, the readers are told its problem."""

    status: ReplyStatus
    finish_reason: str | None = None
    error: AppError | None = None


class ReplyWriter:
    """`search` is the task that looks for what the reply may draw on, where one does."""

    def __init__(
        self,
        tools: Tools,
        user_id: str,
        asked: Asked,
        begun: Begun,
        candidates: Sequence[Candidate],
        search: asyncio.Task[Found] | None,
    ) -> None:
        self.reply = Reply(begun.message.id, conversation_id=begun.message.conversation_id, user_id=user_id)
        self.reply.begin(begun.user_message.id, candidates[0].provider, candidates[0].model)
        self._tools = tools
        self._asked = asked
        self._question = begun.user_message.content
        self._history = begun.history
        self._candidates = candidates
        self._search = search
        self._passages: Sequence[Passage] = ()
        self._screening = Screening(tools.moderation, self.reply, lambda: self.cut(Cut.REFUSED))
        self._task: asyncio.Task[None] | None = None
        self._cuttable = False
        """`_task` is in the step that may be cancelled."""
        self._why: Cut | None = None
        """Why it is cut short, if it is."""
        self._sent: Sequence[Message] = ()
        """What the last provider that was called was sent: that is used up, whatever came of it."""
        self._usage: Usage | None = None
        self._end = End("interrupted", error=Interrupted())

    def start(self, over: Callable[[], object]) -> None:
        """Begin to write. `over` is called when nothing more will change, before the readers learn it."""
        self._tools.journal.open(Entry(self.reply, self.cut))
        self._task = asyncio.create_task(self._run(over))

    def cut(self, why: Cut) -> None:
        """End the reply early. The first reason counts, and none once the text is written."""
        if self._why is None:
            self._why = why
            if self._cuttable and self._task is not None:
                self._task.cancel()

    async def _run(self, over: Callable[[], object]) -> None:
        final: FinalState | None = None
        try:
            await self._write()
            self._complete_usage()
            await self._check_text()
            final = await self._store()
        except Exception as error:
            observe.unforeseen("turn.failed", error)
        finally:
            self._tools.journal.close(self.reply.id)
            over()
            if final is not None:
                self.reply.end(ending_of(final))
            else:
                # What is not stored is not told. The readers look for themselves, and find the reply interrupted once
                # its lease has run out.
                self.reply.detach()

    # ── the steps ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _write(self) -> None:
        """Have the text written, until its provider ends it, it is cut short or it fails."""
        try:
            if self._why is not None:  # before this task got to run
                raise asyncio.CancelledError
            self._cuttable = True
            if self._search is not None:
                found = await self._search
                self._passages = found.passages
                self.reply.draw_on(found.sources)
            events = self._tools.failover.answer(self._candidates, self._request_for)
            await self._screening.run(self._question, self._take(events))
        except asyncio.CancelledError as error:
            if self._why is not None:
                # The task goes on to store what there is. Nothing that it awaits then may take it for cancelled.
                if self._task is not None:
                    self._task.uncancel()
                self._cut_short(self._why)
            elif self._task is not None and self._task.cancelling():
                raise  # the event loop ends
            else:  # a library cancelled what this task awaits
                observe.unforeseen("turn.failed", error)
                self._end = End("failed", error=AppError())
        except ContentFiltered as error:
            self._end, self._usage = End("filtered", "content_filter"), error.usage
        except ProviderError:
            # after a visible token: no second provider's text is glued to it
            self._end = End("failed", error=ProviderUnavailable("The provider failed inside the reply."))
        except AppError as error:
            self._end = End("failed", error=error)
        except Exception as error:
            observe.unforeseen("turn.failed", error)
            self._end = End("failed", error=AppError())
        finally:
            self._cuttable = False  # from here on nothing may cut the final write
            if self._search is not None:
                self._search.cancel()  # nobody waits for it any more

    def _request_for(self, candidate: Candidate) -> ChatRequest:
        request = build_request(
            candidate.model,
            self._history,
            self._question,
            context_tokens=candidate.context_tokens,
            max_tokens=self._asked.preference.max_tokens,
            density=candidate.density,
            passages=self._passages,
            reasoning=self._asked.reasoning,
        )
        self._sent = request.messages
        return request

    async def _take(self, events: AsyncGenerator[Answering | Delta | Reasoning | Finish]) -> None:
        """Put what the provider streams into the reply."""
        reply = self.reply
        async with aclosing(events):
            async for event in events:
                if type(event) is Delta:
                    text = storable(event.text)
                    if reply.written + len(text) > MAX_REPLY_CHARACTERS:
                        reply.append(text[: MAX_REPLY_CHARACTERS - reply.written])
                        self._end = End("complete", "length")
                        return
                    reply.append(text)
                elif type(event) is Finish:
                    self._end, self._usage = End("complete", event.reason), event.usage
                elif type(event) is Reasoning:
                    reply.think(storable(event.text))
                elif type(event) is Answering and (
                    event.reason is not None or (event.provider, event.model) != (reply.provider, reply.model)
                ):
                    reply.restart(event.reason or "provider_unavailable", event.provider, event.model)

    def _cut_short(self, why: Cut) -> None:
        match why:
            case Cut.REFUSED:
                self._refuse()
            case _ if self._end.status == "complete" and not self.reply.held:
                pass  # the order came after the last token: nothing is missing
            case Cut.STOPPED:
                self._end = End("stopped")
            case Cut.OUTAGE:
                self._end = End("failed", error=SupabaseUnavailable())
            case Cut.DELETED | Cut.SHUTDOWN:
                self._end = End("interrupted", error=Interrupted())
            case _:
                assert_never(why)

    def _refuse(self) -> None:
        flagged = self._screening.verdict.flagged is not None
        self._end = End("filtered" if flagged else "failed", error=self._screening.refusal)

    def _complete_usage(self) -> None:
        """Estimate what was used, where the provider did not get to say it."""
        reply = self.reply
        text, thought = reply.discard()
        # Providers do not charge for a reply that fails before its first token, be it of the text or of the reasoning.
        shown = reply.length or reply.reasoned
        if self._usage is not None or shown or (self._sent and self._end.status in ("complete", "stopped", "filtered")):
            text, thought = reply.text() + text, reply.reasoning() + thought
            self._usage = completed_usage(self._usage, self._sent, text, thought)

    async def _check_text(self) -> None:
        """Have the whole text moderated, where that is asked for."""
        if not await self._screening.check_reply():
            self._refuse()

    async def _store(self) -> FinalState | None:
        """Commit how the reply ended. None when that was not possible."""
        reply, end = self.reply, self._end
        final = FinalState(
            status=end.status,
            finish_reason=end.finish_reason,
            problem=end.error.problem() if end.error else None,
            usage=self._usage,
            provider=reply.provider,
            model=reply.model,
            length=reply.length,
        )
        finished = FinishedReply(
            id=reply.id,
            user_id=reply.user_id,
            content=reply.text(),
            reasoning=reply.reasoning(),
            final=final,
            sources=reply.sources,
            cost_micro_usd=self._cost(),
            verdict=self._screening.verdict,
        )
        try:
            return final if await self._tools.journal.finish(finished) else DELETED
        except AppError as error:
            observe.event("turn.unstored", message_id=reply.id, code=error.code)
            return None

    def _cost(self) -> int | None:
        """In micro-dollars; None when the price, or what was used, is not known."""
        provider, model = self.reply.provider, self.reply.model
        if self._usage is None or provider is None or model is None:
            return None
        return self._tools.catalog.spec(cast("ProviderName", provider), model).cost(self._usage)


def storable(text: str) -> str:
    """`text` without what Postgres' text type cannot hold: NUL and unpaired surrogates become U+FFFD."""
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\ufffd")
