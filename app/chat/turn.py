"""One turn: begin, prompt, route, stream, finish. The reply is written by a task of the process, never by a request."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import cast

import msgspec

from app import observe
from app.chat.journal import Journal
from app.chat.live import MAX_REPLY_CHARACTERS, LiveReplies, Reply
from app.chat.prompt import build_prompt, estimate_usage
from app.chat.screening import Screening
from app.chat.sources import Asker, Found, Retriever
from app.errors import (
    AppError,
    ContentFiltered,
    Interrupted,
    NotFound,
    ProviderError,
    ProviderUnavailable,
    SupabaseUnavailable,
)
from app.guard.moderation import Moderation
from app.messages import (
    ChatRequest,
    Delta,
    Done,
    Ending,
    Failed,
    Finish,
    Message,
    ProviderName,
    Quota,
    ReplyStatus,
    Restart,
    Started,
    Stopped,
    Usage,
)
from app.routing.catalog import Catalog
from app.routing.failover import Answering, Failover
from app.routing.offers import Offers
from app.routing.router import Candidate, Wish
from app.store.messages import Begun, Messages
from app.store.replies import FinishedReply, TurnVerdict
from app.store.rows import StoredMessage

DELETED = Failed(NotFound("The reply was deleted.").problem(), "interrupted", 0)
STORE_SECONDS = 1.5
"""How long the last final states may take when the process ends; what is late, another replica recovers."""


class Turn(msgspec.Struct, frozen=True):
    """A begun turn. `reply` is None when an earlier request began it: then its reply may be anywhere, or over."""

    user_message: StoredMessage
    message: StoredMessage
    reply: Reply | None
    quotas: Mapping[str, Quota] = {}
    """What is left of the asker's limits."""


class _Outcome(msgspec.Struct):
    """How writing a reply ended."""

    screening: Screening
    status: ReplyStatus = "interrupted"
    finish_reason: str | None = None
    usage: Usage | None = None
    error: AppError | None = None
    asked: bool = False
    """A provider was asked: what it was sent is used up, whatever came of it."""
    found: Found | None = None


class Turns:
    """Begins turns and owns the tasks that write their replies."""

    def __init__(
        self,
        messages: Messages,
        offers: Offers,
        failover: Failover,
        live: LiveReplies,
        journal: Journal,
        catalog: Catalog,
        retriever: Retriever,
        moderation: Moderation,
    ) -> None:
        self._messages = messages
        self._offers = offers
        self._failover = failover
        self._live = live
        self._journal = journal
        self._catalog = catalog
        self._retriever = retriever
        self._moderation = moderation
        self._writer = str(uuid.uuid4())
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running: set[str] = set()
        self._stops: dict[str, str] = {}
        self._beginning = 0
        """Turns that the database is beginning: `begin_turn` is under way."""
        self._closed = False

    # ── begin ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def send(
        self,
        asker: Asker,
        conversation_id: str,
        content: str,
        wish: Wish,
        *,
        use_rag: bool | None = None,
        idempotency_key: str | None = None,
        request_hash: str | None = None,
    ) -> Turn:
        """Store a user message and begin to answer it."""
        return await self._begin(
            asker,
            wish,
            use_rag,
            conversation_id=conversation_id,
            content=content,
            idempotency_key=idempotency_key,
            request_hash=request_hash,
        )

    async def regenerate(
        self,
        asker: Asker,
        message_id: str,
        wish: Wish,
        *,
        use_rag: bool | None = None,
        idempotency_key: str | None = None,
        request_hash: str | None = None,
    ) -> Turn:
        """Begin another reply to the user message that `message_id` is, or answers."""
        return await self._begin(
            asker, wish, use_rag, reply_to=message_id, idempotency_key=idempotency_key, request_hash=request_hash
        )

    async def _begin(self, asker: Asker, wish: Wish, use_rag: bool | None, **what: str | None) -> Turn:
        self._live.check_capacity(self._beginning)
        self._beginning += 1
        foreseen = self._retriever.foresee(asker, what.get("content"), use_rag)
        finding = None
        try:
            try:
                candidates = await self._offers.candidates(wish)
            except AppError:
                # nobody can answer, but what was begun before can still be read
                if (replayed := await self._replayed(asker, **what)) is None:
                    raise
                return replayed
            reply_id = str(uuid.uuid4())
            begun = await self._messages.begin_turn(
                asker.token, writer=self._writer, reply_id=reply_id, max_tokens=wish.max_tokens, **what
            )
            if begun.replayed:
                return Turn(begun.user_message, begun.message, None)
            if begun.model is not None and wish.provider is None and wish.model is None:
                with suppress(AppError):  # a model that has gone since is no reason not to answer
                    candidates = await self._offers.candidates(msgspec.structs.replace(wish, model=begun.model))
            finding = self._retriever.settle(
                asker, begun.user_message.content, use_rag, foreseen, searchable=begun.searchable
            )
        finally:
            self._beginning -= 1
            if finding is None and foreseen is not None:
                foreseen.cancel()
        reply = Reply(reply_id, conversation_id=begun.message.conversation_id, user_id=asker.id)
        reply.provider, reply.model = candidates[0].provider, candidates[0].model
        reply.announce(Started(reply.conversation_id, begun.user_message.id, reply_id, reply.provider, reply.model))
        self._live.add(reply)
        if self._closed:  # begun too late for an answer
            self._stops[reply_id] = "shutdown"
        self._journal.open(reply, lambda reason: self._cancel(reply_id, reason))
        self._tasks[reply_id] = asyncio.create_task(self._write(reply, begun, wish, candidates, finding))
        return Turn(begun.user_message, begun.message, reply, begun.quotas)

    async def _replayed(
        self, asker: Asker, *, idempotency_key: str | None, request_hash: str | None, **_: str | None
    ) -> Turn | None:
        """The turn that an earlier request with this key began."""
        if idempotency_key is None:
            return None
        begun = await self._messages.replay_turn(
            asker.token, idempotency_key=idempotency_key, request_hash=request_hash
        )
        return Turn(begun.user_message, begun.message, None) if begun is not None else None

    # ── stream ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _write(
        self,
        reply: Reply,
        begun: Begun,
        wish: Wish,
        candidates: Sequence[Candidate],
        finding: asyncio.Task[Found] | None,
    ) -> None:
        def request_for(candidate: Candidate) -> ChatRequest:
            prompt = build_prompt(
                begun.history,
                begun.user_message.content,
                context_tokens=candidate.context_tokens,
                max_tokens=wish.max_tokens,
                passages=outcome.found.passages if outcome.found else (),
            )
            return ChatRequest(candidate.model, prompt, wish.max_tokens)

        outcome = _Outcome(Screening(self._moderation, reply, lambda: self._cancel(reply.id, "refused")))
        try:
            if reply.id in self._stops:  # stopped before this task got to run
                raise asyncio.CancelledError
            self._running.add(reply.id)
            if finding is not None:
                outcome.found = await finding
                reply.announce(outcome.found.sources)
            events = self._failover.answer(candidates, request_for)
            await outcome.screening.run(begun.user_message.content, self._stream(reply, events, outcome))
        except asyncio.CancelledError:
            # taken as the order to end this reply early: the task itself goes on to store what there is
            self._cut_short(reply, outcome)
        except ContentFiltered as error:
            outcome.status, outcome.finish_reason, outcome.usage = "filtered", "content_filter", error.usage
        except ProviderError:
            # after a visible token: no second provider's text is glued to it
            outcome.status, outcome.error = "failed", ProviderUnavailable("The provider failed inside the reply.")
        except AppError as error:
            outcome.status, outcome.error = "failed", error
        except Exception as error:
            observe.unforeseen("turn.failed", error)
            outcome.status, outcome.error = "failed", AppError()
        finally:
            self._running.discard(reply.id)  # from here on nothing may cut the final write
            if finding is not None:
                finding.cancel()  # nobody waits for it any more
        withheld = reply.discard()
        # of a reply that failed before its first token nobody sends a bill
        if outcome.usage is None and (reply.length or (outcome.asked and outcome.status in ("stopped", "filtered"))):
            asked = Message("user", begun.user_message.content)
            outcome.usage = estimate_usage((*begun.history, asked), reply.text() + withheld)
        if not await outcome.screening.check_reply():
            self._refuse(outcome)
        await self._finish(reply, outcome)

    @staticmethod
    async def _stream(reply: Reply, events: AsyncGenerator[Answering | Delta | Finish], outcome: _Outcome) -> None:
        async with aclosing(events):
            async for event in events:
                if type(event) is Delta:
                    text, room = storable(event.text), MAX_REPLY_CHARACTERS - reply.written
                    reply.append(text[:room])
                    if len(text) > room:
                        outcome.status, outcome.finish_reason = "complete", "length"
                        return
                elif type(event) is Finish:
                    outcome.status, outcome.finish_reason, outcome.usage = "complete", event.reason, event.usage
                elif type(event) is Answering:
                    outcome.asked = True
                    if (event.provider, event.model) != (reply.provider, reply.model):
                        reply.provider, reply.model = event.provider, event.model
                        reply.announce(Restart(event.reason or "provider_unavailable", event.provider, event.model))

    def _cut_short(self, reply: Reply, outcome: _Outcome) -> None:
        reason = self._stops.get(reply.id)
        if reason == "refused":
            self._refuse(outcome)
            return
        if outcome.finish_reason is not None and not reply.held:
            return  # the order came after the last token: nothing is missing
        outcome.finish_reason = None
        if reason == "stopped":
            outcome.status = "stopped"
        elif reason == "outage":
            outcome.status, outcome.error = "failed", SupabaseUnavailable()
        else:  # this process ends, or the reply was deleted and there is nothing left to say
            outcome.status, outcome.error = "interrupted", Interrupted()

    @staticmethod
    def _refuse(outcome: _Outcome) -> None:
        outcome.status = "failed" if outcome.screening.flagged is None else "filtered"
        outcome.error, outcome.finish_reason = outcome.screening.refusal, None

    # ── finish ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _finish(self, reply: Reply, outcome: _Outcome) -> None:
        """Commit the final state, then tell the readers. What could not be committed is not told: they are sent to
        look for themselves, and find the reply interrupted once its lease has run out."""
        ending: Ending | None = None
        try:
            stored = await self._journal.finish(
                FinishedReply(
                    id=reply.id,
                    content=reply.text(),
                    status=outcome.status,
                    finish_reason=outcome.finish_reason,
                    error_code=outcome.error.code if outcome.error else None,
                    provider=reply.provider,
                    model=reply.model,
                    sources=reply.sources,
                    usage=outcome.usage,
                    user_id=reply.user_id,
                    cost_micro_usd=self._cost(reply, outcome.usage),
                    verdict=TurnVerdict(outcome.screening.passed, outcome.screening.flagged, outcome.screening.part),
                )
            )
            ending = _ending(reply, outcome) if stored else DELETED
        except AppError as error:
            observe.event("turn.unstored", message_id=reply.id, code=error.code)
        finally:
            self._tasks.pop(reply.id, None)
            self._stops.pop(reply.id, None)
            self._live.remove(reply)
            if ending is None:
                reply.detach()
            else:
                reply.end(ending)

    def _cost(self, reply: Reply, usage: Usage | None) -> int | None:
        """In micro-dollars; None when the price, or what was used, is not known."""
        if usage is None or reply.provider is None or reply.model is None:
            return None
        return self._catalog.spec(cast("ProviderName", reply.provider), reply.model).cost(usage)

    # ── stop ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def stop(self, asker: Asker, message_id: str) -> StoredMessage:
        """Stop a reply, whichever replica writes it. Returns it as it is now: one that another replica writes may
        still be `streaming` for up to a journal interval."""
        reply = self._live.get(message_id)
        if reply is not None and message_id in self._tasks:
            if reply.user_id != asker.id:
                raise NotFound("No such reply.")
            self._cancel(message_id, "stopped")
            await reply.ended()
            return await self._messages.get(asker.token, message_id)
        return await self._messages.stop_reply(asker.token, message_id)

    def _cancel(self, reply_id: str, reason: str) -> None:
        task = self._tasks.get(reply_id)
        if task is not None and reply_id not in self._stops:
            self._stops[reply_id] = reason
            if reply_id in self._running:
                task.cancel()

    async def drain(self, grace: float) -> None:
        """Let the replies finish for `grace` seconds, then end the rest as interrupted, with all their text. That
        includes turns that are being begun: their requests came before the order to end."""
        if self._closed:
            return
        await self._idle(grace)
        self._closed = True
        for reply_id in tuple(self._tasks):
            self._cancel(reply_id, "shutdown")
        await self._idle(STORE_SECONDS)
        for reply_id in self._tasks:
            if (reply := self._live.get(reply_id)) is not None:
                reply.detach()  # whoever waits for its end here waits in vain

    async def _idle(self, patience: float) -> None:
        """Wait until nothing is being begun or written, for at most `patience` seconds."""
        deadline = asyncio.get_running_loop().time() + patience
        # looks rather than waits, as it happens once in a process's life: an event would be set on every turn
        while (self._tasks or self._beginning) and asyncio.get_running_loop().time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def storable(text: str) -> str:
    """`text` without what Postgres' text type cannot hold: NUL and unpaired surrogates become U+FFFD."""
    if text.isascii():
        return text.replace("\x00", "\ufffd") if "\x00" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "\ufffd")


def _ending(reply: Reply, outcome: _Outcome) -> Ending:
    if outcome.status == "stopped":
        return Stopped(outcome.usage, reply.length)
    if outcome.error is not None:
        return Failed(outcome.error.problem(), outcome.status, reply.length)
    return Done(outcome.status, outcome.finish_reason, outcome.usage, reply.provider, reply.model, reply.length)
