"""The journal in virtual time, on a scripted database: its pace, its repetitions, and what it gives up on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from app.chat.endings import Cut
from app.chat.journal import INTERVAL_SECONDS, MAX_FINISH_BATCH, OUTAGE_SECONDS, REFUSAL_SECONDS, Entry, Journal
from app.chat.live import Reply
from app.errors import AppError, InvalidRequest, SupabaseRefused, SupabaseUnavailable
from app.store.replies import Charge, Kept
from tests.support.scripted_database import (
    Call,
    Database,
    final,
    in_virtual_time,
    new_reply,
    refuses,
    times,
    unavailable,
)
from tests.support.scripted_providers import clock

CHARGE = Charge(
    kind="reply", provider="p", model="m", prompt_tokens=1, completion_tokens=1, cached_tokens=0, cost_micro_usd=None
)


@asynccontextmanager
async def journal_on(database: Database) -> AsyncGenerator[Journal]:
    journal = Journal(database)
    running = asyncio.create_task(journal.run())
    try:
        yield journal
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


class Stops:
    """Why replies were cut short."""

    def __init__(self) -> None:
        self.told: dict[str, list[Cut]] = {}

    def of(self, reply: Reply) -> Callable[[Cut], None]:
        return self.told.setdefault(reply.id, []).append


async def write(reply: Reply, tokens: int, gap: float) -> None:
    for index in range(tokens):
        reply.append(f"{index} ")
        await asyncio.sleep(gap)


# ── the pace ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("latency", [0.001, 0.01, 0.025])
@in_virtual_time
async def test_text_is_stored_within_the_interval(latency: float) -> None:
    database = Database(latency=latency)
    reply = new_reply(database, "r")
    came: list[float] = []
    late: list[float] = []

    def stored(call: Call) -> None:
        nonlocal came
        for piece in call.pieces:
            number = piece.text.count(" ")
            late.extend(clock() - at for at in came[:number])
            came = came[number:]

    database.after = stored
    async with journal_on(database) as journal:
        journal.open(Entry(reply, Stops().of(reply)))
        for index in range(400):
            came.append(clock())
            reply.append(f"{index} ")
            await asyncio.sleep(0.037)
    assert len(late) > 380
    assert max(late) <= INTERVAL_SECONDS + 1e-6


@in_virtual_time
async def test_reasoning_is_stored_beside_the_text_in_the_same_calls() -> None:
    database = Database()
    reply = new_reply(database, "1")
    async with journal_on(database) as journal:
        journal.open(Entry(reply, Stops().of(reply)))
        for number in range(40):
            reply.think(f"thought {number} ")
            if number > 30:
                reply.append(f"word {number} ")
            await asyncio.sleep(0.1)
        await asyncio.sleep(2 * INTERVAL_SECONDS)
        assert (database.rows["1"].content, database.rows["1"].reasoning) == (reply.text(), reply.reasoning())
    assert len(database.of("journal_write")) <= 4 / INTERVAL_SECONDS + 4


@pytest.mark.parametrize("latency", [0.001, 0.02])
@in_virtual_time
async def test_a_reply_is_pushed_at_most_four_times_a_second(latency: float) -> None:
    """Its beginning is one message, each piece is one, its end is two; whenever it ends. One that is over within a
    second, which has no time to wait, may cost a fifth."""
    database = Database(latency=latency)
    waits: list[float] = []
    async with journal_on(database) as journal:
        for milliseconds in range(100, 2600, 10):
            name = str(milliseconds)
            reply = new_reply(database, name)
            begun, calls = clock(), len(database.calls)
            journal.open(Entry(reply, Stops().of(reply)))
            while clock() < begun + milliseconds / 1000:
                reply.append("x")
                await asyncio.sleep(0.01)
            reply.append("the end")
            ended = clock()
            assert await journal.finish(final(name, reply.text()))
            waits.append(clock() - ended)
            made = database.calls[calls:]
            pushed = [begun, *(call.at for call in made if call.pieces and call.pieces[0].id == name)]
            pushed += [call.at for call in made if call.function == "finish_replies"] * 2
            most = max(sum(start <= at < start + 1 for at in pushed) for start in pushed)
            assert most <= (4 if milliseconds >= 1000 else 5)
    assert max(waits) < 0.2


@pytest.mark.parametrize("replies", [1, 10, 500])
@in_virtual_time
async def test_the_number_of_calls_does_not_grow_with_the_number_of_replies(replies: int) -> None:
    database = Database()
    async with journal_on(database) as journal:
        written = []
        for number in range(replies):
            reply = new_reply(database, str(number))
            journal.open(Entry(reply, Stops().of(reply)))
            written.append(asyncio.create_task(write(reply, 300, 0.05)))
            await asyncio.sleep(0.001)
        began, calls = clock(), len(database.calls)
        await asyncio.sleep(10)
        assert clock() - began == pytest.approx(10)
        assert 19 <= len(database.calls) - calls <= 21
        await asyncio.gather(*written)


@in_virtual_time
async def test_replies_that_come_and_go_do_not_change_the_pace() -> None:
    database = Database()
    async with journal_on(database) as journal:
        began = clock()
        for number in range(200):
            reply = new_reply(database, str(number))
            journal.open(Entry(reply, Stops().of(reply)))
            reply.append("x")
            await asyncio.sleep(0.05)
            assert await journal.finish(final(reply.id, "x"))
        assert len(database.of("journal_write")) <= (clock() - began) * 2.2


@in_virtual_time
async def test_nothing_is_called_while_nothing_is_written() -> None:
    database = Database()
    reply = new_reply(database, "r")
    async with journal_on(database) as journal:
        journal.open(Entry(reply, Stops().of(reply)))
        await write(reply, 5, 0.1)
        await journal.finish(final("r", reply.text()))
        await asyncio.sleep(2)
        calls = len(database.calls)
        await asyncio.sleep(600)
        assert len(database.calls) == calls


@in_virtual_time
async def test_leases_are_renewed_without_new_text() -> None:
    database = Database()
    reply = new_reply(database, "r")
    async with journal_on(database) as journal:
        journal.open(Entry(reply, Stops().of(reply)))
        await asyncio.sleep(5)
    assert len(database.calls) >= 9
    assert all(call.ids == ("r",) and call.pieces == () for call in database.calls)


@in_virtual_time
async def test_while_one_write_is_in_flight_the_next_collects() -> None:
    database = Database(latency=3)
    replies = [new_reply(database, str(number)) for number in range(5)]
    async with journal_on(database) as journal:
        for reply in replies:
            journal.open(Entry(reply, Stops().of(reply)))
        await asyncio.gather(*(write(reply, 100, 0.05) for reply in replies))
        await asyncio.sleep(8)
    assert database.most_in_flight == {"journal_write": 1}
    assert len(database.of("journal_write")) <= 5
    for reply in replies:
        assert database.rows[reply.id].content == reply.text()


# ── repetition ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answered", [False, True], ids=["it never arrived", "its answer was lost"])
@in_virtual_time
async def test_a_failed_write_is_repeated_as_it_was(answered: bool) -> None:
    database = Database()
    fault = times(3, unavailable, "journal_write")
    if answered:
        database.after = fault
    else:
        database.before = fault
    reply = new_reply(database, "r")
    async with journal_on(database) as journal:
        journal.open(Entry(reply, Stops().of(reply)))
        await write(reply, 60, 0.05)
        await asyncio.sleep(2)
    first, *repeated = database.calls[:4]
    assert first.pieces
    assert [call.pieces for call in repeated] == [first.pieces] * 3
    row = database.rows["r"]
    assert row.content == reply.text()
    assert row.seq == len({piece.seq for call in database.calls for piece in call.pieces})


@in_virtual_time
async def test_a_final_state_that_is_committed_twice_is_committed_once() -> None:
    database = Database()
    database.after = times(2, unavailable, "finish_replies")
    reply = new_reply(database, "r")
    async with journal_on(database) as journal:
        journal.open(Entry(reply, Stops().of(reply)))
        reply.append("whole")
        assert await journal.finish(final("r", "whole"))
    assert len(database.of("finish_replies")) == 3
    assert (database.rows["r"].content, database.rows["r"].status) == ("whole", "complete")


@in_virtual_time
async def test_a_write_under_way_adds_nothing_to_a_final_text() -> None:
    database = Database(latency=1)
    reply = new_reply(database, "r")
    async with journal_on(database) as journal:
        journal.open(Entry(reply, Stops().of(reply)))
        reply.append("all of it")
        await asyncio.sleep(0.6)
        assert database.in_flight == {"journal_write": 1}
        database.latency = 0.01
        await journal.finish(final("r", "all of it"))
        await asyncio.sleep(3)
    assert database.rows["r"].content == "all of it"


# ── final states ─────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_final_states_are_committed_at_once_and_together() -> None:
    database = Database(latency=0.05)
    names = [str(number) for number in range(250)]
    for name in names:
        new_reply(database, name)
    async with journal_on(database) as journal:
        began = clock()
        assert all(await asyncio.gather(*(journal.finish(final(name, "x")) for name in names)))
        assert clock() - began == pytest.approx(3 * 0.05)
    assert [len(call.ids) for call in database.calls] == [MAX_FINISH_BATCH, MAX_FINISH_BATCH, 50]
    assert database.most_in_flight == {"finish_replies": 1}


@in_virtual_time
async def test_a_final_state_does_not_wait_for_the_text_of_others() -> None:
    database = Database(latency=5)
    other = new_reply(database, "other")
    new_reply(database, "r")
    async with journal_on(database) as journal:
        journal.open(Entry(other, Stops().of(other)))
        await asyncio.sleep(0.6)
        assert database.in_flight == {"journal_write": 1}
        database.latency = 0.01
        began = clock()
        await journal.finish(final("r", "x"))
        assert clock() - began < 0.1


@in_virtual_time
async def test_the_final_state_of_a_deleted_reply() -> None:
    async with journal_on(Database()) as journal:
        assert not await journal.finish(final("nobody", "x"))


# ── what the database says ───────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_stops_and_deletions_reach_their_reply() -> None:
    database, stops = Database(), Stops()
    stopped, deleted, other = (new_reply(database, name) for name in ("stopped", "deleted", "other"))
    async with journal_on(database) as journal:
        for reply in (stopped, deleted, other):
            journal.open(Entry(reply, stops.of(reply)))
        database.rows["stopped"].stop_requested = True
        del database.rows["deleted"]
        await asyncio.sleep(INTERVAL_SECONDS + 0.1)
    assert set(stops.told["stopped"]) == {Cut.STOPPED}
    assert set(stops.told["deleted"]) == {Cut.DELETED}
    assert stops.told["other"] == []


# ── what is given up ─────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_an_outage_shorter_than_the_patience_loses_nothing() -> None:
    database, stops = Database(), Stops()
    replies = [new_reply(database, str(number)) for number in range(3)]
    async with journal_on(database) as journal:
        for reply in replies:
            journal.open(Entry(reply, stops.of(reply)))
        writing = [asyncio.create_task(write(reply, 1000, 0.05)) for reply in replies]
        await asyncio.sleep(2)
        database.before = unavailable
        finishing = asyncio.create_task(journal.finish(final("2", "ended in between")))
        await asyncio.sleep(OUTAGE_SECONDS - 5)
        assert not finishing.done()
        database.before = lambda _: None
        assert await finishing
        await asyncio.gather(*writing)
        await asyncio.sleep(1)
    assert stops.told == {"0": [], "1": [], "2": []}
    assert database.rows["2"].content == "ended in between"
    for reply in replies[:2]:
        assert database.rows[reply.id].content == reply.text()


@in_virtual_time
async def test_after_a_long_outage_replies_are_given_up_and_the_next_ones_are_not() -> None:
    database, stops = Database(), Stops()
    replies = [new_reply(database, str(number)) for number in range(300)]
    async with journal_on(database) as journal:
        database.before = unavailable
        for reply in replies:
            journal.open(Entry(reply, stops.of(reply)))
            reply.append("lost")
        await asyncio.sleep(OUTAGE_SECONDS - 5)
        assert not any(stops.told.values())
        await asyncio.sleep(8)
        assert set(map(tuple, stops.told.values())) == {(Cut.OUTAGE,)}

        # now they end, and those that queue wait for the same outage, not for one each
        began = clock()
        ends = await asyncio.gather(
            *(journal.finish(final(reply.id, "lost", "failed")) for reply in replies), return_exceptions=True
        )
        assert {type(end) for end in ends} == {SupabaseUnavailable}
        assert clock() - began <= OUTAGE_SECONDS + 5

        database.before = lambda _: None
        after = new_reply(database, "after")
        journal.open(Entry(after, stops.of(after)))
        after.append("kept")
        await asyncio.sleep(3)
        assert database.rows["after"].content == "kept"
        assert await journal.finish(final("after", "kept"))


@in_virtual_time
async def test_a_refusal_is_not_waited_for_as_an_outage_is() -> None:
    """A key that was revoked does not come back by itself."""

    def revoked(_: object) -> None:
        raise SupabaseRefused("No.", setting="SUPABASE_SECRET_KEY")

    database, stops = Database(), Stops()
    reply = new_reply(database, "1")
    async with journal_on(database) as journal:
        journal.open(Entry(reply, stops.of(reply)))
        reply.append("kept")
        await asyncio.sleep(2)
        database.before = revoked
        reply.append(" and lost")
        began = clock()
        with pytest.raises(SupabaseRefused):
            await journal.finish(final("1", "kept and lost"))
        assert clock() - began <= REFUSAL_SECONDS + 2


@in_virtual_time
async def test_a_refused_text_ends_its_own_reply_only() -> None:
    database, stops = Database(), Stops()
    replies = [new_reply(database, str(number)) for number in range(40)]
    database.before = refuses("poison")
    async with journal_on(database) as journal:
        for reply in replies:
            journal.open(Entry(reply, stops.of(reply)))
            reply.append("poison" if reply.id == "17" else "text")
        await asyncio.sleep(0.6)
        assert stops.told.pop("17") == [Cut.OUTAGE]
        assert not any(stops.told.values())
        for reply in replies:
            reply.append(" and more")
        await asyncio.sleep(1)
    assert all(row.content == "text and more" for name, row in database.rows.items() if name != "17")
    assert database.rows["17"].content == ""


@in_virtual_time
async def test_refused_charges_end_their_own_reply_only() -> None:
    database, stops = Database(), Stops()
    replies = [new_reply(database, str(number)) for number in range(40)]

    def refuse(call: Call) -> None:
        if any(spent.id == "17" for spent in call.spent):
            raise InvalidRequest

    database.before = refuse
    async with journal_on(database) as journal:
        for reply in replies:
            journal.open(Entry(reply, stops.of(reply), lambda *_: (CHARGE,)))
            reply.append("text")
        await asyncio.sleep(0.6)
        assert stops.told.pop("17") == [Cut.OUTAGE]
        assert not any(stops.told.values())
    assert database.spent == {reply.id: (CHARGE,) for reply in replies if reply.id != "17"}
    assert all(row.content == "text" for name, row in database.rows.items() if name != "17")


@in_virtual_time
async def test_a_refused_final_state_takes_no_other_with_it() -> None:
    database = Database()
    names = [str(number) for number in range(30)]
    for name in names:
        new_reply(database, name)

    def refuse(call: Call) -> None:
        if "17" in call.ids:
            raise InvalidRequest

    database.before = refuse
    async with journal_on(database) as journal:
        ends = await asyncio.gather(*(journal.finish(final(name, "x")) for name in names), return_exceptions=True)
    assert isinstance(ends.pop(17), InvalidRequest)
    assert [end.id for end in ends if isinstance(end, Kept)] == [name for name in names if name != "17"]
    assert len(database.calls) <= 1 + 30


@pytest.mark.parametrize("function", ["journal_write", "finish_replies"])
@in_virtual_time
async def test_an_error_nobody_expected_does_not_end_the_journal(function: str) -> None:
    database, stops = Database(), Stops()
    first, second = new_reply(database, "first"), new_reply(database, "second")

    def surprise(_: Call) -> None:
        raise RuntimeError

    database.before = times(1, surprise, function)
    async with journal_on(database) as journal:
        journal.open(Entry(first, stops.of(first)))
        first.append("x")
        await asyncio.sleep(1)
        with suppress(AppError):
            await journal.finish(final("first", "x"))
        journal.open(Entry(second, stops.of(second)))
        second.append("y")
        await asyncio.sleep(1)
        assert database.rows["second"].content == "y"
        assert await journal.finish(final("second", "y"))


@pytest.mark.parametrize("function", ["journal_write", "finish_replies"])
@in_virtual_time
async def test_a_lane_that_somebody_else_cancels_ends_the_job(function: str) -> None:
    """A task group takes no notice of that: the other lane alone would go on, and nobody would start this one again."""
    database = Database()
    reply = new_reply(database, "a")

    def cancel(_: Call) -> None:
        raise asyncio.CancelledError

    database.before = times(1, cancel, function)
    journal = Journal(database)
    running = asyncio.create_task(journal.run())
    journal.open(Entry(reply, Stops().of(reply)))
    reply.append("x")
    ending = asyncio.create_task(journal.finish(final("a", "x"))) if function == "finish_replies" else None
    done, _ = await asyncio.wait((running,), timeout=5)
    assert done
    if ending is not None:
        with pytest.raises(SupabaseUnavailable):
            await ending


@in_virtual_time
async def test_a_lane_that_is_started_again_stores_what_it_had_taken() -> None:
    """A piece that is missing would hide all later ones from other replicas, as the database takes them in order."""
    database = Database()
    reply = new_reply(database, "a")

    def cancel(_: Call) -> None:
        raise asyncio.CancelledError

    database.before = times(1, cancel, "journal_write")
    journal = Journal(database)
    running = asyncio.create_task(journal.run())
    journal.open(Entry(reply, Stops().of(reply)))
    reply.append("first ")
    await asyncio.wait((running,), timeout=5)
    reply.append("second")
    again = asyncio.create_task(journal.run())
    await asyncio.sleep(3 * INTERVAL_SECONDS)
    again.cancel()
    assert database.rows["a"].content == "first second"


@in_virtual_time
async def test_an_outage_ends_no_reply_that_began_when_it_was_over() -> None:
    """The last call that failed was made before."""
    database, stops = Database(), Stops()
    old, new = new_reply(database, "old"), new_reply(database, "new")
    began = clock()

    def outage(call: Call) -> None:
        if call.at - began < OUTAGE_SECONDS:
            unavailable(call)

    database.before = outage
    async with journal_on(database) as journal:
        journal.open(Entry(old, stops.of(old)))
        old.append("lost")
        await asyncio.sleep(OUTAGE_SECONDS - 5)
        database.latency = 8
        await asyncio.sleep(6)
        journal.open(Entry(new, stops.of(new)))
        new.append("kept")
        await asyncio.sleep(5)
        database.latency = 0.01
        await asyncio.sleep(20)
    assert stops.told == {"old": [Cut.OUTAGE], "new": []}
    assert database.rows["new"].content == "kept"
