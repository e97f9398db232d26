"""Whatever happens to turns, what is charged is what the ledger holds, and nothing stays held."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.guard.plans import entitle, new_plan
from tests.support.callers import Caller, Connection, acting, new_conversation, new_user, one
from tests.support.turn_functions import Answer, final, finish, journal, piece, recover, send

USAGES = st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 100))
WHICH = st.integers(0, 20)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 1), st.none() | st.integers(1, 3000)),
        st.tuples(st.just("send_too_much"), st.integers(0, 1)),
        st.tuples(st.just("repeat"), WHICH),
        st.tuples(st.just("write"), WHICH, st.text("abcé", min_size=1, max_size=40)),
        st.tuples(st.just("finish"), WHICH, st.sampled_from(["complete", "stopped", "failed", "filtered"]), USAGES),
        st.tuples(st.just("fail_unanswered"), WHICH),
        st.tuples(st.just("finish_again"), WHICH),
        st.tuples(st.just("crash"), WHICH),
        st.tuples(st.just("come_back"), WHICH, USAGES),
        st.tuples(st.just("delete"), st.integers(0, 1)),
    ),
    min_size=5,
    max_size=40,
)


@dataclass
class Sent:
    """A turn as the test knows it."""

    begun: Answer
    call: dict[str, Any]
    place: int
    live: bool = True
    deleted: bool = False
    crashed: bool = False
    text: str = ""
    pieces: int = 0
    charged: int = 0
    last: Answer | None = None

    @property
    def id(self) -> str:
        return str(self.begun["message"]["id"])


@dataclass
class History:
    """One user's turns, on the database and in the test's own books."""

    db: Connection
    user: Caller
    places: list[UUID]
    sent: list[Sent] = field(default_factory=list)

    def run(self, step: tuple[Any, ...]) -> None:
        action, which, *rest = step
        if action in ("send", "send_too_much", "delete"):
            getattr(self, action)(which, *rest)
        elif self.sent:
            getattr(self, action)(self.sent[which % len(self.sent)], *rest)

    def send(self, place: int, max_tokens: int | None) -> None:
        call = {"p_writer": uuid4(), "p_reply_id": uuid4(), "p_max_tokens": max_tokens}
        self.sent.append(Sent(send(self.db, self.user, self.places[place], "Hello", **call), call, place))

    def send_too_much(self, place: int) -> None:
        with pytest.raises(psycopg.DatabaseError, match=r"^invalid_request"):
            send(self.db, self.user, self.places[place], "Hello", p_max_tokens=2_000_000_000)

    def repeat(self, turn: Sent) -> None:
        if turn.live and not turn.deleted:
            assert send(self.db, self.user, self.places[turn.place], "Hello", **turn.call)["message"]["id"] == turn.id

    def write(self, turn: Sent, text: str) -> None:
        if turn.live and not turn.deleted:
            turn.text += text
            turn.pieces += 1
            journal(self.db, piece(turn.id, turn.pieces, text))

    def finish(self, turn: Sent, status: str, usage: tuple[int, int, int]) -> None:
        if turn.live:
            self._finish(turn, status, usage)

    def _finish(self, turn: Sent, status: str, usage: tuple[int, int, int]) -> None:
        prompt, completion, cached = usage
        turn.last = final(
            turn.id,
            turn.text or "x",
            status,
            user_id=str(self.user.id),
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=cached,
            cost_micro_usd=prompt + 2 * completion,
        )
        finish(self.db, turn.last)
        turn.live, turn.charged = False, prompt + completion

    def fail_unanswered(self, turn: Sent) -> None:
        if turn.live and not turn.text:
            turn.last = final(turn.id, "", "failed", user_id=str(self.user.id))
            finish(self.db, turn.last)
            turn.live = False

    def finish_again(self, turn: Sent) -> None:
        if turn.last is not None:
            finish(self.db, turn.last)

    def crash(self, turn: Sent) -> None:
        """The writer is gone, for as long as the lease and what is held may wait for it."""
        for column, table, key in (
            ("lease_expires_at", "live_replies", "message_id"),
            ("expires_at", "reservations", "reply_id"),
        ):
            self.db.execute(
                f"update private.{table} set {column} = now() - interval '1 second' where {key} = %s",  # noqa: S608
                [turn.id],
            )
        recover(self.db)
        if turn.live:
            turn.live, turn.crashed = False, True
            if turn.text and not turn.deleted:
                used = one(self.db, "select tokens_used from public.messages where id = %s", [turn.id])
                # 5 characters were sent
                assert used >= 2 + (len(turn.text.encode()) + 3) // 4
                turn.charged = used

    def come_back(self, turn: Sent, usage: tuple[int, int, int]) -> None:
        """A writer that was taken for dead settles after all."""
        if turn.crashed and turn.last is None:
            self._finish(turn, "complete", usage)

    def delete(self, place: int) -> None:
        with acting(self.db, self.user):
            self.db.execute("delete from public.conversations where id = %s", [self.places[place]])
        for turn in self.sent:
            turn.deleted |= turn.place == place
        self.places[place] = new_conversation(self.db, self.user)
        for turn in self.sent:
            if turn.place == place:
                turn.place = -1

    def check(self) -> None:
        ledger = dict(
            self.db.execute(
                "select reply_id::text, sum(tokens)::integer from private.usage_ledger where user_id = %s group by 1",
                [self.user.id],
            ).fetchall()
        )
        assert {turn.id: turn.charged for turn in self.sent if turn.charged} == {
            reply: tokens for reply, tokens in ledger.items() if tokens
        }
        held = self.db.execute(
            "select reply_id::text from private.reservations where user_id = %s", [self.user.id]
        ).fetchall()
        assert sorted(reply for (reply,) in held) == sorted(turn.id for turn in self.sent if turn.live)
        shown = self.db.execute(
            "select id::text, tokens_used from public.messages where user_id = %s and tokens_used is not null",
            [self.user.id],
        ).fetchall()
        assert dict(shown) == {
            turn.id: turn.charged
            for turn in self.sent
            if not turn.deleted
            and not turn.live
            and (turn.charged or (turn.last or {}).get("prompt_tokens") is not None)
        }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_charges_are_the_ledger_and_the_reserve_returns_to_zero(db: Connection, steps: list[tuple[Any, ...]]) -> None:
    with db.transaction(force_rollback=True):
        user = new_user(db)
        entitle(db, user.id, new_plan(db, requests_per_minute=1_000_000, tokens_per_minute=1_000_000_000))
        history = History(db, user, [new_conversation(db, user) for _ in range(2)])
        for step in steps:
            history.run(step)
            history.check()
        for turn in history.sent:
            history.crash(turn)
        history.check()
        assert one(db, "select count(*) from private.reservations where user_id = %s", [user.id]) == 0
