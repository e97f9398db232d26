"""Turns in virtual time, on a scripted database and scripted providers: how a reply ends, and who is told when."""

from __future__ import annotations

import asyncio

import pytest

from app.chat.journal import OUTAGE_SECONDS
from app.chat.live import MAX_REPLY_CHARACTERS
from app.chat.turn import STOP_SECONDS, STORE_SECONDS
from app.errors import BrokenStream, ContentFiltered, ContextTooLong, Draining, NotFound, SupabaseUnavailable
from app.values import Done, Failed, Finish, Reasoning, Restart, Stopped, Usage
from tests.chat.scene import LONG, Person, scene
from tests.support.scripted_database import Call, Database, in_virtual_time, unavailable
from tests.support.scripted_providers import Play, clock, failure

# ── how a reply ends ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("play", "status", "text", "finish_reason", "code"),
    [
        (("all of ", "it", Finish("stop", None)), "complete", "all of it", "stop", None),
        (("as much as fits", Finish("length", None)), "complete", "as much as fits", "length", None),
        (("half", failure(BrokenStream)), "failed", "half", None, "provider_unavailable"),
        (("half",), "failed", "half", None, "provider_unavailable"),  # no finish reason
        ((failure(BrokenStream),) * 1, "complete", "Hello", "stop", None),  # another try, nobody saw the first
        (("half", failure(ContentFiltered)), "filtered", "half", "content_filter", None),
        (("half", RuntimeError("a bug")), "failed", "half", None, "internal_error"),
        ((Finish("stop", None),) * 1, "complete", "Hello", "stop", None),  # without text, and asked again
        ((Finish("length", None),), "complete", "", "length", None),  # all of it was thinking
        (("as much as fits", failure(ContextTooLong)), "complete", "as much as fits", "length", None),
    ],
)
@in_virtual_time
async def test_ends(play: Play, status: str, text: str, finish_reason: str | None, code: str | None) -> None:
    async with scene(play) as on:
        reply = await on.whole()
        row = on.database.rows[reply.id]
        assert (row.status, row.content, row.finish_reason, row.error_code) == (status, text, finish_reason, code)
        if code is None:
            assert isinstance(reply.ending, Done)
        else:
            assert isinstance(reply.ending, Failed)
            assert reply.ending.problem.code == code
        assert reply.ending.status == status
        assert reply.ending.length == len(text)
        assert (len(on.turns), on.provider.streaming) == (0, 0)


@in_virtual_time
async def test_a_reply_without_text_is_no_success() -> None:
    async with scene(otherwise=(Finish("stop", Usage(5, 0)),)) as on:
        reply = await on.whole()
        row = on.database.rows[reply.id]
        assert (row.status, row.error_code, row.content) == ("failed", "provider_unavailable", "")
        assert len(on.provider.calls) == 2


@in_virtual_time
async def test_readers_are_told_that_another_call_answers_after_reasoning() -> None:
    async with scene((Reasoning("Hm."), failure(BrokenStream)), (Reasoning("Ah."), "text", Finish("stop", None))) as on:
        reply = await on.whole()
        restarts = [event for event in reply.preamble if isinstance(event, Restart)]
        assert restarts == [Restart("broken_stream", "openai", "openai-model")]
        assert on.database.rows[reply.id].content == "text"


@pytest.mark.parametrize(
    ("play", "milliseconds"),
    [
        ((2.0, Reasoning("Hm."), 3.0, Reasoning("Ah."), 1.5, "te", 4.0, "xt", Finish("stop", None)), 4500),
        ((Reasoning("Hm."), 3.0, failure(ContentFiltered)), 3000),  # to the end, where no text follows
        (("text", Finish("stop", None)), None),
    ],
    ids=["before the text", "without text", "without reasoning"],
)
@in_virtual_time
async def test_time_of_thinking_is_from_the_first_reasoning_to_the_text(play: Play, milliseconds: int | None) -> None:
    async with scene(play) as on:
        assert on.database.rows[(await on.whole()).id].reasoning_ms == milliseconds


@pytest.mark.parametrize(
    ("counted", "usage"),
    [(Usage(7, 3), (7, 3)), (Usage(7, 0), (7, 2)), (Usage(0, 3), (2, 3)), (None, (2, 2))],
    ids=["all", "no completion", "no prompt", "nothing"],
)
@in_virtual_time
async def test_what_a_provider_does_not_count_is_estimated(counted: Usage | None, usage: tuple[int, int]) -> None:
    """The question is `hello`."""
    async with scene(("eight ch", Finish("stop", counted))) as on:
        row = on.database.rows[(await on.whole()).id]
        assert (row.prompt_tokens, row.completion_tokens) == usage


@in_virtual_time
async def test_reasoning_is_charged_also_where_no_text_followed() -> None:
    """The provider charges for it. The question is `hello`."""
    async with scene(otherwise=(Reasoning("twelve chars"), failure(BrokenStream))) as on:
        row = on.database.rows[(await on.whole()).id]
        assert (row.status, row.content) == ("failed", "")
        thought = len(row.reasoning)
        assert thought >= 12
        assert (row.prompt_tokens, row.completion_tokens) == (2, -(-thought // 4))
        assert row.reasoning_tokens == row.completion_tokens


@in_virtual_time
async def test_a_reply_that_failed_before_any_sign_costs_nothing() -> None:
    async with scene(otherwise=(failure(BrokenStream),)) as on:
        row = on.database.rows[(await on.whole()).id]
        assert (row.status, row.prompt_tokens, row.completion_tokens) == ("failed", None, None)


@in_virtual_time
async def test_a_reply_without_end_is_ended_at_its_limit() -> None:
    async with scene(("x" * 100_000,) * 8) as on:
        reply = await on.whole()
        row = on.database.rows[reply.id]
        assert (row.status, row.finish_reason) == ("complete", "length")
        assert len(row.content) == MAX_REPLY_CHARACTERS
        assert on.provider.streaming == 0


@in_virtual_time
async def test_no_end_is_told_before_it_is_stored() -> None:
    database = Database(latency=1)
    async with scene(("text", Finish("stop", None)), database=database) as on:
        _, reply = await on.send()

        def stored(call: Call) -> None:
            if call.function == "finish_replies":
                assert reply.ending is None
                assert on.database.rows[reply.id].status == "complete"

        database.after = stored
        await reply.ended()
        assert database.of("finish_replies")
        assert reply.ending is not None


@in_virtual_time
async def test_an_end_that_cannot_be_stored_is_not_told() -> None:
    """Its readers are sent to look for themselves."""
    async with scene(("text", Finish("stop", None))) as on:
        _, reply = await on.send()
        follower = on.live.follow(reply)
        on.database.before = unavailable
        await reply.ended()
        assert reply.ending is None
        assert reply.detached
        assert follower.reconnect
        assert len(on.turns) == 0
        assert on.database.rows[reply.id].status == "streaming"


@in_virtual_time
async def test_a_bug_after_the_text_leaves_no_reply_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is journaled no longer, so that its lease runs out, and its readers are sent to look for themselves."""

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("app.chat.writer.Spending.answer", fail)
    async with scene(("text", 1.0, Finish("stop", None))) as on:
        _, reply = await on.send()
        await reply.ended()
        assert (reply.ending, reply.detached, len(on.turns)) == (None, True, 0)
        calls = len(on.database.calls)
        await asyncio.sleep(5)
        assert len(on.database.calls) == calls


@in_virtual_time
async def test_a_long_outage_ends_the_reply_and_says_so_once_it_is_over() -> None:
    async with scene(("word ", 1.0) * 100) as on:
        _, reply = await on.send()
        on.database.before = unavailable
        await asyncio.sleep(OUTAGE_SECONDS - 5)
        assert on.provider.streaming == 1
        await asyncio.sleep(10)
        assert on.provider.streaming == 0
        assert reply.ending is None
        on.database.before = lambda _: None
        await reply.ended()
        row = on.database.rows[reply.id]
        assert (row.status, row.error_code) == ("failed", "supabase_unavailable")
        assert row.content == reply.text()
        assert len(row.content) > len("word ") * (OUTAGE_SECONDS - 5)


@in_virtual_time
async def test_the_end_of_a_deleted_reply_is_that_it_is_gone() -> None:
    async with scene(("text", 1.0, Finish("stop", None))) as on:
        _, reply = await on.send()
        del on.database.rows[reply.id]
        await reply.ended()
        assert isinstance(reply.ending, Failed)
        assert (reply.ending.problem.code, reply.ending.length) == ("not_found", 0)


# ── stop ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_stop_keeps_the_text_and_closes_the_provider() -> None:
    async with scene(LONG) as on:
        _, reply = await on.send()
        await asyncio.sleep(5.05)
        stopped = await on.turns.stop(Person(), reply.id)
        assert on.provider.streaming == 0
        assert (stopped.status, stopped.content) == ("stopped", reply.text())
        assert reply.length == pytest.approx(5 * 50, abs=10)
        assert stopped.completion_tokens
        assert isinstance(reply.ending, Stopped)
        assert reply.ending.usage is not None


@in_virtual_time
async def test_stop_by_the_database_ends_the_reply_with_the_next_write() -> None:
    async with scene(LONG) as on:
        _, reply = await on.send()
        await asyncio.sleep(3)
        began = clock()
        on.database.rows[reply.id].stop_requested = True
        await reply.ended()
        assert clock() - began < 0.6
        assert on.database.rows[reply.id].status == "stopped"


@in_virtual_time
async def test_stop_before_the_first_step_asks_no_provider() -> None:
    async with scene(LONG) as on:
        _, reply = await on.send()
        stopped = await on.turns.stop(Person(), reply.id)
        assert (stopped.status, stopped.content) == ("stopped", "")
        assert on.provider.calls == []


@in_virtual_time
async def test_stop_while_the_end_is_being_stored_leaves_it() -> None:
    async with scene(("whole", Finish("stop", None)), database=Database(latency=1)) as on:
        _, reply = await on.send()
        await asyncio.sleep(0.5)
        assert on.database.in_flight["finish_replies"] == 1
        stopped = await on.turns.stop(Person(), reply.id)
        assert (stopped.status, stopped.content) == ("complete", "whole")


@in_virtual_time
async def test_stops_of_many_are_one() -> None:
    async with scene(LONG) as on:
        _, reply = await on.send()
        await asyncio.sleep(2)
        answers = await asyncio.gather(*(on.turns.stop(Person(), reply.id) for _ in range(10)))
        assert {answer.status for answer in answers} == {"stopped"}
        assert len(on.database.of("finish_replies")) == 1


@in_virtual_time
async def test_stop_does_not_wait_for_a_database_that_fails() -> None:
    async with scene(LONG) as on:
        _, reply = await on.send()
        await asyncio.sleep(2)
        on.database.before = unavailable
        began = clock()
        with pytest.raises(SupabaseUnavailable):
            await on.turns.stop(Person(), reply.id)
        assert clock() - began < STOP_SECONDS + 1
        assert on.provider.streaming == 0
        on.database.before = lambda _: None
        await reply.ended()
        assert on.database.rows[reply.id].status == "stopped"


@in_virtual_time
async def test_a_stranger_stops_nothing() -> None:
    async with scene(LONG) as on:
        _, reply = await on.send()
        with pytest.raises(NotFound):
            await on.turns.stop(Person("stranger", "stranger"), reply.id)
        await asyncio.sleep(1)
        assert on.provider.streaming == 1
        await on.turns.stop(Person(), reply.id)


# ── capacity and drain ───────────────────────────────────────────────────────────────────────────────────────────


@in_virtual_time
async def test_turns_being_begun_count_as_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chat.turn.MAX_REPLIES", 3)
    async with scene(database=Database(latency=1)) as on:
        begun = await asyncio.gather(*(on.send() for _ in range(5)), return_exceptions=True)
        assert [isinstance(one, Draining) for one in begun] == [False] * 3 + [True] * 2
        assert len(on.database.of("begin_turn")) == 3


@in_virtual_time
async def test_no_turn_is_begun_whose_sender_could_not_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chat.live.MAX_FOLLOWERS", 1)
    async with scene(LONG) as on:
        _, reply = await on.send()
        on.live.follow(reply)
        with pytest.raises(Draining):
            await on.send()
        assert len(on.database.of("begin_turn")) == 1
        await on.turns.stop(Person(), reply.id)


@in_virtual_time
async def test_a_turn_that_was_not_begun_leaves_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.chat.turn.MAX_REPLIES", 1)
    async with scene() as on:
        on.database.before = unavailable
        for _ in range(3):
            with pytest.raises(Exception, match="cannot be reached"):
                await on.send()
        on.database.before = lambda _: None
        assert (await on.whole()).text() == "Hello"


@in_virtual_time
async def test_drain_lets_short_replies_finish_and_ends_long_ones() -> None:
    async with scene(("short", 2.0, Finish("stop", None)), LONG) as on:
        _, short = await on.send()
        await asyncio.sleep(0.01)
        _, long = await on.send()
        await asyncio.sleep(1)
        began = clock()
        on.live.drain()
        with pytest.raises(Draining):
            await on.send()
        await on.turns.drain(6)
        assert clock() - began == pytest.approx(6, abs=0.1)
        assert on.provider.streaming == 0
        rows = on.database.rows
        assert (rows[short.id].status, rows[short.id].content) == ("complete", "short")
        assert (rows[long.id].status, rows[long.id].content) == ("interrupted", long.text())
        assert long.length == pytest.approx(7 * 50, abs=20)


@in_virtual_time
async def test_drain_without_replies_is_over_at_once() -> None:
    async with scene() as on:
        began = clock()
        on.live.drain()
        await on.turns.drain(6)
        assert clock() - began < 0.1


@in_virtual_time
async def test_drain_waits_for_turns_being_begun() -> None:
    async with scene(("short", Finish("stop", None)), database=Database(latency=1)) as on:
        sending = asyncio.create_task(on.send())
        await asyncio.sleep(0.5)
        on.live.drain()
        await on.turns.drain(6)
        _, reply = await sending
        assert on.database.rows[reply.id].status == "complete"


@in_virtual_time
async def test_a_turn_begun_after_the_patience_is_interrupted_without_asking_a_provider() -> None:
    async with scene(LONG, database=Database(latency=8)) as on:
        sending = asyncio.create_task(on.send())
        await asyncio.sleep(0.5)
        on.live.drain()
        on.database.latency = 0.01
        await on.turns.drain(6)
        _, reply = await sending
        await reply.ended()
        assert on.database.rows[reply.id].status == "interrupted"
        assert on.provider.calls == []


@in_virtual_time
async def test_drain_ends_in_time_when_nothing_can_be_stored() -> None:
    async with scene(LONG) as on:
        _, reply = await on.send()
        await asyncio.sleep(1)
        on.database.before = unavailable
        waiting = asyncio.create_task(reply.ended())
        began = clock()
        on.live.drain()
        await on.turns.drain(6)
        assert clock() - began <= 6 + STORE_SECONDS + 0.1
        await waiting  # whoever waits is let go, without an end that nobody knows
        assert reply.ending is None
        assert reply.detached
