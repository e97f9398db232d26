"""Group commit: one database call carries the new text of every reply of this process.

Two lanes, each with one call in flight while the next collects. The first appends text and renews leases at a steady
pace, so its number of calls does not grow with the number of replies. The second commits final states at once, or up to
a tenth of a second later when devices were told much of a reply just now. Both repeat exactly the call that failed
until the database has taken it, which its functions make harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from app import observe, watch
from app.chat.endings import Cut
from app.chat.live import Reply
from app.errors import AppError, InvalidRequest, SupabaseRefused, SupabaseUnavailable
from app.store.replies import Charge, FinishedReply, Journaled, Kept, Piece, Spent

INTERVAL_SECONDS = 0.5
"""Text is stored at most this long after it arrived; also the pace at which stops and leases are exchanged."""
OUTAGE_SECONDS = 60.0
"""How long the database may fail before the replies that cannot be stored are given up."""
REFUSAL_SECONDS = 5.0
"""The same while Supabase refuses the call: only a change of keys under way makes another try worth it."""
MAX_FINISH_BATCH = 100
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_MAX_HEAD_START = 0.1
_PIECES_BEFORE_END = 2
_BUDGET_SECONDS = 1.05
"""What is written is pushed to the user's devices, at most 4 messages of a reply a second. Two of them are its end: the
last piece of text and the news that it is over. A twentieth more than a second, as the way to a device is not even."""


T = TypeVar("T")


class JournalStore(Protocol):
    """Where the journal is kept: `store.replies.Replies`."""

    async def journal_write(
        self, pieces: Sequence[Piece], alive: Sequence[str], spent: Sequence[Spent]
    ) -> Journaled: ...
    async def finish_replies(self, replies: Sequence[FinishedReply]) -> list[Kept]: ...


class Entry:
    """A live reply, as the journal sees it: how much of its text and reasoning has been taken.

    `charges(text, thought)` are all calls that were made for it so far, when so many bytes of text and of reasoning
    have been taken: what is charged if this process is killed. None before there is a call; a call that was refused is
    charged with nothing.

    `cut(why)` is called with `STOPPED` when a user asked for it on any replica, `DELETED` when the reply was deleted,
    and `OUTAGE` when the database has failed for too long or refuses its text.
    """

    __slots__ = ("_bytes", "_charges", "_offset", "_pushed", "_reasoned", "_seq", "_told", "cut", "reply")

    def __init__(
        self,
        reply: Reply,
        cut: Callable[[Cut], None],
        charges: Callable[[int, int], tuple[Charge, ...] | None] = lambda *_: None,
    ) -> None:
        self.reply = reply
        self.cut = cut
        self._charges = charges
        self._bytes = [0, 0]
        """Of the text and of the reasoning that were taken."""
        self._told: tuple[Charge, ...] | None = None
        """The calls that the journal knows; None while it expects one."""
        self._offset = 0
        self._reasoned = 0
        self._seq = 0
        self._pushed: deque[float] = deque(maxlen=_PIECES_BEFORE_END + 1)
        """When its newest pieces were."""

    def take(self, now: float) -> Taken | None:
        """What has come since the last time; None when nothing has."""
        piece, spent = self._next_piece(now), self._next_spent()
        return Taken(self.reply.id, piece, spent) if piece is not None or spent is not None else None

    def _next_piece(self, now: float) -> Piece | None:
        reply = self.reply
        if reply.length <= self._offset and reply.reasoned <= self._reasoned:
            return None
        text = reply.text(self._offset) if reply.length > self._offset else ""
        self._offset += len(text)
        reasoning = reply.reasoning(self._reasoned) if reply.reasoned > self._reasoned else None
        self._reasoned = reply.reasoned
        self._bytes[0] += len(text.encode())
        self._bytes[1] += len((reasoning or "").encode())
        self._seq += 1
        self._pushed.append(now)
        sources = reply.sources if self._seq == 1 else None
        return Piece(reply.id, self._seq, text, reply.provider, reply.model, sources, reasoning)

    def _next_spent(self) -> Spent | None:
        """The calls that were made, after the latest piece; None when nothing has changed."""
        charges = self._charges(*self._bytes)
        if charges is None or charges == self._told:
            return None
        self._told = charges
        return Spent(self.reply.id, charges)

    def until_end(self, now: float) -> float:
        """The seconds until its end may be pushed; 0 or less when it may be now."""
        taken = (self.reply.length, self.reply.reasoned) == (self._offset, self._reasoned)
        if len(self._pushed) <= _PIECES_BEFORE_END or taken:
            return 0.0
        return self._pushed[0] + _BUDGET_SECONDS - now


class Taken(NamedTuple):
    """What one reply has for the database. The calls are those after the piece."""

    reply_id: str
    piece: Piece | None
    spent: Spent | None


class _Final:
    """A final state that waits to be committed."""

    __slots__ = ("deadline", "done", "state")

    def __init__(self, state: FinishedReply, outage: float) -> None:
        loop = asyncio.get_running_loop()
        self.state = state
        self.done: asyncio.Future[Kept | None] = loop.create_future()
        self.deadline = loop.time() + outage


class Journal:
    """Writes the replies of one process. `run` is its task. `interval` and `outage` in seconds."""

    def __init__(
        self, store: JournalStore, *, interval: float = INTERVAL_SECONDS, outage: float = OUTAGE_SECONDS
    ) -> None:
        self._store = store
        self._interval = interval
        self._outage = outage
        self._entries: dict[str, Entry] = {}
        self._finishing: list[_Final] = []
        self._opened = asyncio.Event()
        self._finish_asked = asyncio.Event()
        self._taken: list[Taken] = []
        """Taken from the replies and not yet stored. A lane that is started again begins with it."""
        self._stored_until = 0.0
        """All text that came before is stored, in the event loop's time."""

    @property
    def lag(self) -> float:
        """How many seconds of the open replies' text may not be stored yet; 0 while none is open."""
        return asyncio.get_running_loop().time() - self._stored_until if self._entries else 0.0

    @property
    def finishing(self) -> int:
        """How many final states wait for the next call."""
        return len(self._finishing)

    def open(self, entry: Entry) -> None:
        """Journal this reply from now on, until it is finished or closed."""
        if not self._entries:
            self._stored_until = asyncio.get_running_loop().time()
        self._entries[entry.reply.id] = entry
        self._opened.set()

    def close(self, reply_id: str) -> None:
        """Journal it no longer. One that has not been finished is interrupted when its lease has run out."""
        self._entries.pop(reply_id, None)

    async def finish(self, final: FinishedReply) -> Kept | None:
        """Commit its final state. Returns None when the reply no longer exists.

        Raises `AppError` when the database did not take it for `OUTAGE_SECONDS`, or refuses it.
        """
        entry = self._entries.pop(final.id, None)
        # A shorter interval means more Realtime messages, so the pause applies to the default only.
        if entry is not None and self._interval >= INTERVAL_SECONDS:
            pause = entry.until_end(asyncio.get_running_loop().time())
            if pause > 0:
                await asyncio.sleep(pause)
        waiting = _Final(final, self._outage)
        self._finishing.append(waiting)
        self._finish_asked.set()
        return await waiting.done

    async def run(self) -> None:
        """Write for as long as the process runs. Ends when either lane does."""
        async with asyncio.TaskGroup() as lanes:
            # Awaited here, since a task group takes no notice of a task that something else has cancelled.
            await asyncio.gather(lanes.create_task(self._append_lane()), lanes.create_task(self._finish_lane()))

    # ── the first lane: text and leases ──────────────────────────────────────────────────────────────────────────

    async def _append_lane(self) -> None:
        loop = asyncio.get_running_loop()
        took = self._interval  # the first write is given its head start
        while True:
            await self._opened.wait()
            # text that arrives while one write starts is collected by the next: that one ends within the interval
            await asyncio.sleep(self._interval - min(2 * took, _MAX_HEAD_START * self._interval))
            if not self._entries:
                self._opened.clear()
                continue
            started = loop.time()
            await self._append()
            took = loop.time() - started

    async def _append(self) -> None:
        now = asyncio.get_running_loop().time()
        alive = list(self._entries)
        if not self._taken:
            self._taken = [taken for entry in self._entries.values() if (taken := entry.take(now)) is not None]
        try:
            answer = await self._write(self._taken, alive, now + self._outage)
        except AppError:
            for reply_id in alive:  # those opened since have a patience of their own
                self._cut(reply_id, Cut.OUTAGE)
            self._taken = []
            return
        self._stored_until = now
        watch.watcher().journaled("text", len(self._taken), asyncio.get_running_loop().time() - now)
        self._taken = []
        for why, ids in ((Cut.STOPPED, answer.stop), (Cut.DELETED, answer.gone)):
            for reply_id in ids:
                self._cut(reply_id, why)

    async def _write(self, taken: list[Taken], alive: list[str], deadline: float) -> Journaled:
        pieces = [one.piece for one in taken if one.piece is not None]
        spent = [one.spent for one in taken if one.spent is not None]

        async def call() -> Journaled:
            return await self._store.journal_write(pieces, alive, spent)

        try:
            return await self.persist(call, deadline)
        except InvalidRequest as error:
            if len(taken) <= 1:
                for one in taken:
                    observe.event("journal.refused", message_id=one.reply_id, code=error.code)
                    self._cut(one.reply_id, Cut.OUTAGE)
                return Journaled((), ())
        # a value that the database refuses takes no other reply with it: halves, until it stands alone
        middle = len(taken) // 2
        first = await self._write(taken[:middle], alive, deadline)
        second = await self._write(taken[middle:], alive, deadline)
        return Journaled(first.stop + second.stop, first.gone + second.gone)

    def _cut(self, reply_id: str, why: Cut) -> None:
        if (entry := self._entries.get(reply_id)) is not None:
            entry.cut(why)

    # ── the second lane: final states ────────────────────────────────────────────────────────────────────────────

    async def _finish_lane(self) -> None:
        while True:
            await self._finish_asked.wait()
            batch, self._finishing = self._finishing[:MAX_FINISH_BATCH], self._finishing[MAX_FINISH_BATCH:]
            if not self._finishing:
                self._finish_asked.clear()
            try:
                await self._finish(batch)
            except BaseException:
                for final in batch:  # whatever ends this lane, nobody waits for it for ever
                    _settle(final.done, SupabaseUnavailable())
                raise

    async def _finish(self, batch: list[_Final]) -> None:
        async def call() -> list[Kept]:
            return await self._store.finish_replies([final.state for final in batch])

        started = asyncio.get_running_loop().time()
        try:
            # counted from when each was asked for: those that queued behind an outage do not wait through another one
            kept = await self.persist(call, max(final.deadline for final in batch))
        except InvalidRequest as error:
            # a value that the database refuses: find the reply that holds it, so that it takes no other one with it
            if len(batch) == 1:
                observe.event("journal.refused", message_id=batch[0].state.id, code=error.code)
                _settle(batch[0].done, error)
            else:
                for one in batch:
                    await self._finish([one])
        except AppError as error:
            for final in batch:
                _settle(final.done, error)
        else:
            watch.watcher().journaled("final", len(batch), asyncio.get_running_loop().time() - started)
            found = {one.id: one for one in kept}
            for final in batch:
                _settle(final.done, found.get(final.state.id))

    @staticmethod
    async def persist(call: Callable[[], Awaitable[T]], deadline: float) -> T:
        """Repeat `call` until it succeeds or `deadline` has passed. Raises the last `AppError`; `InvalidRequest`, which
        no repetition helps, at once."""
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while True:
            try:
                return await call()
            except InvalidRequest:
                watch.watcher().journal_failed()
                raise
            except AppError as error:
                watch.watcher().journal_failed()
                if isinstance(error, SupabaseRefused):
                    deadline = min(deadline, loop.time() + REFUSAL_SECONDS)
                if loop.time() + pause > deadline:
                    raise
                observe.event("journal.retry", pause=pause, code=error.code)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
            except Exception as error:
                # the lanes outlive whatever one call meets, or no reply of this process would ever end
                watch.watcher().journal_failed()
                observe.unforeseen("journal.refused", error)
                raise InvalidRequest from error


def _settle(done: asyncio.Future[Kept | None], result: Kept | AppError | None) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        if isinstance(result, AppError):
            done.set_exception(result)
        else:
            done.set_result(result)
