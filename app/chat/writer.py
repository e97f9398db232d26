"""One reply, from its begin to its stored end: what a turn's reply and a completion have in common.

A `Writer` holds all that there is of a reply while it is written: its candidates, its text, why it is cut short and how
it ended. `_run` carries it through its steps, in a task of the process and never of a request.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import NamedTuple, assert_never

import msgspec

from app import observe, watch
from app.chat.endings import Cut, ending_of
from app.chat.journal import Journal
from app.chat.live import MAX_REPLY_CHARACTERS, Reply
from app.chat.screening import Screening
from app.chat.spending import Spending
from app.chat.titles import Titles
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
from app.store.replies import Charge
from app.values import (
    ChatRequest,
    Delta,
    FinalState,
    Finish,
    Reasoning,
    ReplyStatus,
    ReplyUsage,
    StreamItem,
    ToolCallDelta,
    Usage,
)


class Tools(NamedTuple):
    """What every reply of a process is written with."""

    failover: Failover
    moderation: Moderation
    journal: Journal
    catalog: Catalog
    system_prompt: str | None = None
    """The operator's."""
    titles: Titles | None = None
    """None: conversations are given none."""


class End(msgspec.Struct, frozen=True):
    """How the writing ended. With an error, the readers are told its problem."""

    status: ReplyStatus
    finish_reason: str | None = None
    error: AppError | None = None


class Writer:
    """Writes `reply`. `spending` notes what its calls use, and `watched` is told what happens."""

    def __init__(
        self, tools: Tools, reply: Reply, candidates: Sequence[Candidate], spending: Spending, watched: watch.Watch
    ) -> None:
        self.reply = reply
        self._watched = watched
        self._tools = tools
        self._candidates = candidates
        self._screening = Screening(tools.moderation, self.reply)
        self._task: asyncio.Task[None] | None = None
        self._cuttable = False
        """`_task` is in the step that may be cancelled."""
        self._why: Cut | None = None
        """Why it is cut short, if it is."""
        self._spending = spending
        self._most_words = sys.maxsize
        """How many words may have come when the latest call ends: it was told how many tokens it may bring."""
        self._came = 0
        """How many characters have come, of text, reasoning and tool calls."""
        self._called = 0
        """How many of them are of tool calls."""
        self._look_at = sys.maxsize
        """From how many on the words are counted."""
        self._thought_from: float | None = None
        self._thought_ms: int | None = None
        """From the first of the reasoning to the first of the text, or to the end."""
        self._usage: Usage | None = None
        self._charges: tuple[Charge, ...] = ()
        self._end = End("interrupted", error=Interrupted())

    def start(self, over: Callable[[], object]) -> None:
        """Begin to write. `over` is called when nothing more will change, before the readers learn it."""
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
            await self._wait_for_costs()
            self._complete_usage()
            self._watched.written(self._usage)
            await self._check_text()
            final = await self._store()
        except Exception as error:
            observe.unforeseen("turn.failed", error)
        finally:
            self._close()
            over()
            self._watched.ended(final, self._charges)
            if final is not None:
                self.reply.end(ending_of(final))
                self._told(final)
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
            await self._prepare()
            events = self._tools.failover.answer(
                self._candidates, self._request_for, self._failed, take=self._take_at_once, watched=self._watched
            )
            await self._screening.run(self._screened(), self._take(events), partial(self.cut, Cut.REFUSED))
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
        except ContentFiltered:
            self._end = End("filtered", "content_filter")
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
            self._end_thinking()
            self._written()

    def _request_for(self, candidate: Candidate) -> ChatRequest:
        request = self._request(candidate)
        self._most_words = sys.maxsize if request.max_tokens is None else self._words() + request.max_tokens
        self._look_at = self._came
        return self._spending.calling(candidate.provider, request, len(self.reply.whole()[1].encode()))

    def _failed(self, error: ProviderError) -> None:
        """A call failed."""
        self._spending.failed(error)

    async def _take(self, events: AsyncGenerator[Answering | Delta | Reasoning | ToolCallDelta | Finish]) -> None:
        """Put what the provider streams into the reply."""
        reply = self.reply
        async with aclosing(events):
            async for event in events:
                if type(event) is Delta:
                    self._end_thinking()  # the first of the text comes here, and never at once
                    text = storable(event.text)
                    room = MAX_REPLY_CHARACTERS - reply.written
                    reply.append(text[:room])
                    self._came += len(text)
                    if len(text) > room or (self._came >= self._look_at and self._is_too_long()):
                        self._end = End("complete", "length")
                        return
                elif type(event) is Finish:
                    self._end = End("complete", event.reason)
                    self._spending.finished(event.usage)
                elif type(event) is Reasoning:
                    if self._thought_from is None:
                        self._thought_from = asyncio.get_running_loop().time()
                    reply.think(storable(event.text))
                    self._came += len(event.text)
                    if self._came >= self._look_at and self._is_too_long():
                        self._end = End("complete", "length")
                        return
                elif type(event) is ToolCallDelta:
                    self._call(event)
                    self._came += len(event.arguments)
                    self._called += len(event.arguments)
                    if self._called > MAX_REPLY_CHARACTERS or (self._came >= self._look_at and self._is_too_long()):
                        self._end = End("complete", "length")
                        return
                elif type(event) is Answering and (
                    event.reason is not None or (event.provider, event.model) != (reply.provider, reply.model)
                ):
                    reply.restart(event.reason or "provider_unavailable", event.provider, event.model)

    def _take_at_once(self, item: StreamItem) -> bool:
        """Put into the reply what has just arrived. Nearly all of a reply comes here, in the call that receives it, and
        what ends the reply by `_take`."""
        if self._why is not None or (type(item) is not Delta and type(item) is not Reasoning):
            return False
        reply = self.reply
        text = item.text
        if "\x00" in text or not text.isascii():
            text = storable(text)
        size = len(text)
        if self._came + size >= self._look_at:
            return False
        if type(item) is Delta:
            if reply.written + size > MAX_REPLY_CHARACTERS:
                return False
            reply.append(text)
        else:
            reply.think(text)
        self._came += size
        return True

    def _end_thinking(self) -> None:
        if self._thought_from is not None and self._thought_ms is None:
            self._thought_ms = round((asyncio.get_running_loop().time() - self._thought_from) * 1000)

    def _is_too_long(self) -> bool:
        """Whether more has come than the provider was told that it may bring: not each of them obeys. No token holds
        parts of two words, so that it cannot have fewer tokens than words."""
        left = self._most_words - self._words()
        # each further word takes two characters at least
        self._look_at = self._came + 2 * left + 1
        return left < 0

    def _words(self) -> int:
        return sum(len(text.split()) for text in self._whole())

    def _whole(self) -> tuple[str, str]:
        """All that the model has written, and what it has thought, with what is held back."""
        return self.reply.whole()

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
        """Add up what was used, with estimates where the provider did not get to say it."""
        reply = self.reply
        text, thought = self._whole()
        reply.discard()
        sizes = len(text.encode()), len(thought.encode())
        self._charges = self._spending.charges(*sizes)
        # the readers of a failure are told of usage if text or reasoning came
        shown = reply.length or reply.reasoned
        if self._spending.called and (shown or self._end.status in ("complete", "stopped", "filtered")):
            self._usage = self._spending.answer(*sizes)

    async def _check_text(self) -> None:
        """Have all that the readers see moderated, where that is asked for."""
        if not await self._screening.check_reply(self._shown()):
            self._refuse()

    def _final(self) -> FinalState:
        """How the reply ended."""
        reply, end = self.reply, self._end
        return FinalState(
            status=end.status,
            finish_reason=end.finish_reason,
            problem=end.error.problem(observe.request_id()) if end.error else None,
            usage=ReplyUsage(**msgspec.structs.asdict(self._usage)) if self._usage is not None else None,
            provider=reply.provider,
            model=reply.model,
            length=reply.length,
            reasoning_ms=self._thought_ms if reply.reasoned else None,
        )

    # ── what differs ─────────────────────────────────────────────────────────────────────────────────────────────

    def _request(self, candidate: Candidate) -> ChatRequest:
        """The request that fits this candidate."""
        raise NotImplementedError

    def _screened(self) -> tuple[str, ...]:
        """The texts of its user's that are moderated."""
        raise NotImplementedError

    def _shown(self) -> tuple[str, ...]:
        """The texts that the readers see when all is written."""
        return self.reply.text(), self.reply.reasoning()

    async def _store(self) -> FinalState | None:
        """Commit how the reply ended. None when that was not possible."""
        raise NotImplementedError

    async def _prepare(self) -> None:
        """Wait for what the requests need."""

    def _call(self, delta: ToolCallDelta) -> None:
        """Take a part of a tool call; there is none where no tools are offered."""

    def _written(self) -> None:
        """No request follows."""

    async def _wait_for_costs(self) -> None:
        """Wait until all that the reply has cost is known."""

    def _close(self) -> None:
        """The reply is over, and nobody has been told yet."""

    def _told(self, final: FinalState) -> None:
        """The readers know the end."""


def storable(text: str) -> str:
    """`text` without what Postgres' text type cannot hold: NUL and unpaired surrogates become U+FFFD."""
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\ufffd")
