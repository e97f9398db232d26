"""Group commit: one database call carries the new text of every reply of this process.

Two lanes, each with one call in flight while the next collects. The first appends text and renews leases at a steady
pace, so its number of calls does not grow with the number of replies. The second commits final states at once. Both
repeat exactly the call that failed until the database has taken it, which its functions make harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from app import observe
from app.chat.live import Reply
from app.errors import AppError, SupabaseUnavailable
from app.store.service import FinishedReply, Journaled, Piece

INTERVAL_SECONDS = 0.5
"""Text is stored at most this long after it arrived; also the pace at which stops and leases are exchanged."""
OUTAGE_SECONDS = 60.0
"""How long the database may fail before the replies that cannot be stored are given up."""
MAX_FINISH_BATCH = 100
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_MAX_HEAD_START = 0.1


T = TypeVar("T")


class JournalStore(Protocol):
    """Where the journal is kept: `store.service.ServiceJobs`."""

    async def journal_write(self, pieces: Sequence[Piece], alive: Sequence[str]) -> Journaled: ...
    async def finish_replies(self, replies: Sequence[FinishedReply]) -> list[str]: ...


class _Entry:
    """How much of a live reply the journal has taken."""

    __slots__ = ("offset", "on_stop", "reply", "seq")

    def __init__(self, reply: Reply, on_stop: Callable[[str], None]) -> None:
        self.reply = reply
        self.on_stop = on_stop
        self.offset = 0
        self.seq = 0


class Journal:
    """Writes the replies of one process. `run` is its task; `close` ends it after the last final state."""

    def __init__(self, store: JournalStore, *, interval: float = INTERVAL_SECONDS) -> None:
        self._store = store
        self._interval = interval
        self._entries: dict[str, _Entry] = {}
        self._finishing: list[tuple[FinishedReply, asyncio.Future[bool]]] = []
        self._opened = asyncio.Event()
        self._finish_asked = asyncio.Event()
        self.writes = 0
        """Calls of the first lane so far, repeated ones included."""

    def open(self, reply: Reply, on_stop: Callable[[str], None]) -> None:
        """Journal `reply` from now on. `on_stop(reason)` is called with `stopped` when a user asked for it on any
        replica, `gone` when the reply was deleted, and `outage` when the database has failed for too long."""
        self._entries[reply.id] = _Entry(reply, on_stop)
        self._opened.set()

    async def finish(self, final: FinishedReply) -> bool:
        """Commit the final state. Returns False when the reply no longer exists.

        Raises `SupabaseUnavailable` when the database did not take it for `OUTAGE_SECONDS`.
        """
        self._entries.pop(final.id, None)
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._finishing.append((final, done))
        self._finish_asked.set()
        return await done

    async def run(self) -> None:
        async with asyncio.TaskGroup() as lanes:
            lanes.create_task(self._append_lane())
            lanes.create_task(self._finish_lane())

    # ── the first lane: text and leases ──────────────────────────────────────────────────────────────────────────

    async def _append_lane(self) -> None:
        loop = asyncio.get_running_loop()
        took = 0.0
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
        pieces: list[Piece] = []
        alive: list[str] = []
        for entry in self._entries.values():
            reply = entry.reply
            alive.append(reply.id)
            if reply.length > entry.offset:
                text = reply.text(entry.offset)
                entry.offset += len(text)
                entry.seq += 1
                pieces.append(Piece(reply.id, entry.seq, text, reply.provider, reply.model))
        try:
            answer = await self._persist(lambda: self._write(pieces, alive))
        except SupabaseUnavailable:
            for entry in tuple(self._entries.values()):
                entry.on_stop("outage")
            return
        except AppError as error:
            # a value that the database refuses: the replies' final states, committed one by one, will single it out
            observe.event("journal.refused", code=error.code)
            for piece in pieces:
                if (refused := self._entries.get(piece.id)) is not None:
                    refused.on_stop("outage")
            return
        for reason, ids in (("stopped", answer.stop), ("gone", answer.gone)):
            for reply_id in ids:
                if (stopped := self._entries.get(reply_id)) is not None:
                    stopped.on_stop(reason)

    async def _write(self, pieces: list[Piece], alive: list[str]) -> Journaled:
        self.writes += 1
        return await self._store.journal_write(pieces, alive)

    # ── the second lane: final states ────────────────────────────────────────────────────────────────────────────

    async def _finish_lane(self) -> None:
        while True:
            await self._finish_asked.wait()
            batch, self._finishing = self._finishing[:MAX_FINISH_BATCH], self._finishing[MAX_FINISH_BATCH:]
            if not self._finishing:
                self._finish_asked.clear()
            await self._finish(batch)

    async def _finish(self, batch: list[tuple[FinishedReply, asyncio.Future[bool]]]) -> None:
        try:
            finished = set(await self._persist(lambda: self._store.finish_replies([final for final, _ in batch])))
        except SupabaseUnavailable as error:
            for _, done in batch:
                _settle(done, error)
        except AppError as error:
            # the database refuses a value: find the reply that holds it, so that it takes no other one with it
            if len(batch) == 1:
                observe.event("journal.refused", message_id=batch[0][0].id, code=error.code)
                _settle(batch[0][1], error)
            else:
                for one in batch:
                    await self._finish([one])
        else:
            for final, done in batch:
                _settle(done, final.id in finished)

    async def _persist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeat `call` while Supabase is unavailable, for `OUTAGE_SECONDS`; other errors are the caller's."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + OUTAGE_SECONDS
        pause = _FIRST_PAUSE
        while True:
            try:
                return await call()
            except SupabaseUnavailable:
                if loop.time() + pause > deadline:
                    raise
                observe.event("journal.retry", pause=pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)


def _settle(done: asyncio.Future[bool], result: bool | AppError) -> None:
    with contextlib.suppress(asyncio.InvalidStateError):
        if isinstance(result, AppError):
            done.set_exception(result)
        else:
            done.set_result(result)
