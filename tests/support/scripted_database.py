"""A database in memory that behaves as the real one's functions do, and fails when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

import msgspec

from app.chat.live import Reply
from app.errors import InvalidRequest, NotFound, SupabaseUnavailable
from app.store.messages import Begun, ReplyPart
from app.store.replies import Charge, FinishedReply, Journaled, Kept, Piece, Spent
from app.store.rows import StoredMessage
from app.values import FinalState, ReplyStatus, Usage
from tests.support.scripted_providers import virtually

Test = Callable[..., Coroutine[Any, Any, None]]


def in_virtual_time(test: Test) -> Callable[..., None]:
    """Run a test in a loop in which waiting takes no time."""

    @wraps(test)
    def run(**arguments: Any) -> None:
        virtually(lambda: test(**arguments))

    return run


@dataclass
class Row:
    """A stored reply: what of its columns matters here."""

    owner: str = "owner"
    content: str = ""
    reasoning: str = ""
    seq: int = 0
    status: ReplyStatus = "streaming"
    provider: str | None = "openai"
    model: str | None = "m"
    finish_reason: str | None = None
    error_code: str | None = None
    problem: dict[str, object] | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    reasoning_ms: int | None = None
    sources: list[dict[str, object]] | None = None
    flagged: list[str] | None = None
    stop_requested: bool = False

    def finish(self, reply: FinishedReply) -> None:
        """Take what `finish_replies` is sent."""
        for name, value in msgspec.json.decode(msgspec.json.encode(reply.row())).items():
            if hasattr(self, name):
                setattr(self, name, value)


@dataclass
class Call:
    """One call, by the loop's time."""

    function: str
    at: float
    pieces: tuple[Piece, ...] = ()
    ids: tuple[str, ...] = ()
    spent: tuple[Spent, ...] = ()


@dataclass
class Database:
    """`before` and `after` are called with each call, before and after it takes effect; what they raise, it raises."""

    latency: float = 0.005
    rows: dict[str, Row] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    spent: dict[str, tuple[Charge, ...]] = field(default_factory=dict)
    """What the journal knows of each reply's calls."""
    charged: dict[str, tuple[Charge, ...] | None] = field(default_factory=dict)
    """What each reply was charged with at its end."""
    in_flight: dict[str, int] = field(default_factory=dict)
    most_in_flight: dict[str, int] = field(default_factory=dict)
    before: Callable[[Call], None] = lambda _: None
    after: Callable[[Call], None] = lambda _: None

    def of(self, function: str) -> list[Call]:
        return [call for call in self.calls if call.function == function]

    async def journal_write(
        self, pieces: Sequence[Piece], alive: Sequence[str], spent: Sequence[Spent] = ()
    ) -> Journaled:
        call = await self._begun("journal_write", pieces=tuple(pieces), ids=tuple(alive), spent=tuple(spent))
        self.spent |= {known.id: known.calls for known in spent}
        for piece in pieces:
            row = self.rows.get(piece.id)
            if row is not None and row.status == "streaming" and row.seq == piece.seq - 1:
                row.content += piece.text
                row.reasoning += piece.reasoning or ""
                row.seq = piece.seq
        self._done(call)
        return Journaled(
            stop=tuple(id_ for id_ in alive if id_ in self.rows and self.rows[id_].stop_requested),
            gone=tuple(id_ for id_ in alive if id_ not in self.rows),
        )

    async def finish_replies(self, replies: Sequence[FinishedReply]) -> list[Kept]:
        call = await self._begun("finish_replies", ids=tuple(reply.id for reply in replies))
        for reply in replies:
            self.charged[reply.id] = reply.calls
            row = self.rows.get(reply.id)
            if row is not None and row.status in ("streaming", "interrupted"):
                row.finish(reply)
        self._done(call)
        return [Kept(reply.id, reply.cost_micro_usd) for reply in replies if reply.id in self.rows]

    async def begin_turn(self, token: str, what: object, *, writer: str, reply_id: str, **_: object) -> Begun:
        call = await self._begun("begin_turn", ids=(reply_id,))
        self.rows[reply_id] = Row(owner=token)
        self._done(call)
        return Begun(False, _stored("asked", Row(content="hello", status="complete")), self.stored(reply_id))

    async def read_reply(self, token: str, message_id: str, after: int, reasoned: int) -> ReplyPart:
        call = await self._begun("read_reply", ids=(message_id,))
        row = self.rows.get(message_id)
        if row is None or row.owner != token:
            raise NotFound("No such reply.")
        self._done(call)
        message = msgspec.structs.replace(self.stored(message_id), content="", reasoning="")
        over = row.status != "streaming"
        return ReplyPart(
            row.content[after:],
            message,
            len(row.content) if over else None,
            row.reasoning[reasoned:],
            len(row.reasoning) if over else None,
        )

    async def get(self, token: str, message_id: str) -> StoredMessage:
        self._done(await self._begun("get", ids=(message_id,)))
        return self.stored(message_id)

    async def stop_reply(self, token: str, message_id: str) -> StoredMessage:
        self._done(await self._begun("stop_reply", ids=(message_id,)))
        self.rows[message_id].stop_requested = True
        return self.stored(message_id)

    def stored(self, message_id: str) -> StoredMessage:
        return _stored(message_id, self.rows[message_id])

    async def _begun(
        self,
        function: str,
        *,
        pieces: tuple[Piece, ...] = (),
        ids: tuple[str, ...] = (),
        spent: tuple[Spent, ...] = (),
    ) -> Call:
        call = Call(function, asyncio.get_running_loop().time(), pieces, ids, spent)
        self.calls.append(call)
        running = self.in_flight[function] = self.in_flight.get(function, 0) + 1
        self.most_in_flight[function] = max(running, self.most_in_flight.get(function, 0))
        try:
            await asyncio.sleep(self.latency)
            self.before(call)
        finally:
            self.in_flight[function] -= 1
        return call

    def _done(self, call: Call) -> None:
        self.after(call)


def unavailable(_: Call) -> None:
    raise SupabaseUnavailable(retry_after=1)


def times(number: int, then: Callable[[Call], None], function: str = "") -> Callable[[Call], None]:
    """The first `number` calls of that function meet `then`; the others nothing."""
    left = [number]

    def meet(call: Call) -> None:
        if left[0] and call.function.startswith(function):
            left[0] -= 1
            then(call)

    return meet


def refuses(text: str) -> Callable[[Call], None]:
    """Refuse a journal write that holds this text."""

    def refuse(call: Call) -> None:
        if any(text in piece.text for piece in call.pieces):
            raise InvalidRequest

    return refuse


def new_reply(database: Database, name: str) -> Reply:
    """A reply that was begun: its row is there."""
    database.rows[name] = Row()
    return Reply(name, conversation_id="conversation", user_id="owner")


def final(name: str, content: str, status: ReplyStatus = "complete") -> FinishedReply:
    ended = FinalState(
        status=status, finish_reason="stop", usage=Usage(1, 1), provider="openai", model="m", length=len(content)
    )
    return FinishedReply(id=name, content=content, final=ended)


def _stored(name: str, row: Row) -> StoredMessage:
    columns: dict[str, object] = dict(vars(row))
    return msgspec.convert(
        columns
        | {
            "id": name,
            "conversation_id": "conversation",
            "role": "assistant",
            "parent_id": "asked",
            "version": 1,
            "position": 1,
            "created_at": "2026-11-22T12:00:00+00:00",
            "updated_at": "2026-11-22T12:00:00+00:00",
        },
        StoredMessage,
    )
