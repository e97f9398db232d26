"""Lanes: nobody has more than their share, nobody waits while there is room, and the users take turns."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import RateLimited, SupabaseUnavailable
from app.lanes import Lane
from tests.support.scripted_database import in_virtual_time

AT_ONCE, SHARE, WAITING, WAITING_OF_ALL, SECONDS = 4, 2, 3, 6, 5.0


def new_lane(**numbers: int) -> Lane:
    given: dict[str, Any] = {
        "at_once": AT_ONCE,
        "share": SHARE,
        "waiting": WAITING,
        "waiting_of_all": WAITING_OF_ALL,
        "seconds": SECONDS,
    }
    return Lane(**given | numbers, what="calls", full=SupabaseUnavailable)


async def settled() -> None:
    """Everything that can go on has gone on."""
    for _ in range(5):
        await asyncio.sleep(0)


class Scene:
    """Calls in a lane, each known by its user and the order in which it came."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.calls: dict[int, asyncio.Task[None]] = {}
        self.users: list[str] = []
        self.begun: list[tuple[str, int]] = []
        self.running: dict[int, str] = {}
        self._ends: dict[int, asyncio.Event] = {}

    async def come(self, user: str) -> int:
        number = len(self.calls)
        self.users.append(user)
        self._ends[number] = asyncio.Event()
        self.calls[number] = asyncio.create_task(self._call(user, number))
        await settled()
        return number

    async def _call(self, user: str, number: int) -> None:
        await self.lane.enter(user)
        try:
            self.begun.append((user, number))
            self.running[number] = user
            await self._ends[number].wait()
        finally:
            self.running.pop(number, None)
            self.lane.leave(user)

    async def end(self, number: int) -> None:
        self._ends[number].set()
        await settled()

    async def give_up(self, number: int) -> None:
        self.calls[number].cancel()
        await settled()

    def waiting(self) -> list[int]:
        return [number for number, call in self.calls.items() if not call.done() and number not in self.running]

    async def over(self) -> None:
        for call in self.calls.values():
            call.cancel()
        await asyncio.gather(*self.calls.values(), return_exceptions=True)


@in_virtual_time
async def test_one_user_has_a_share_and_leaves_the_rest_to_others() -> None:
    scene = Scene(new_lane())
    for _ in range(5):
        await scene.come("flood")
    assert list(scene.running.values()) == ["flood"] * SHARE
    await scene.come("another")
    assert Counter(scene.running.values()) == {"flood": SHARE, "another": 1}
    await scene.over()


@in_virtual_time
async def test_more_than_may_wait_is_refused_at_once_and_told_when_to_come_back() -> None:
    scene = Scene(new_lane())
    calls = [await scene.come("flood") for _ in range(SHARE + WAITING + 1)]
    refusal = scene.calls[calls[-1]].exception()
    assert isinstance(refusal, RateLimited)
    assert refusal.retry_after == 1
    assert str(refusal) == "Of one user's calls, 2 run at once and 3 wait for up to 5 s; send the request again."
    assert len(scene.waiting()) == WAITING
    await scene.over()


@in_virtual_time
async def test_users_take_turns_whatever_one_of_them_has_waiting() -> None:
    scene = Scene(new_lane(at_once=1, share=1))
    for user in ("flood", "flood", "flood", "flood", "one", "two", "one"):
        await scene.come(user)
    while scene.running:
        await scene.end(next(iter(scene.running)))
    assert [user for user, _ in scene.begun] == ["flood", "one", "two", "flood", "one", "flood", "flood"]


@in_virtual_time
async def test_lane_that_is_full_of_others_says_so() -> None:
    scene = Scene(new_lane(at_once=1))
    for user in range(1 + WAITING_OF_ALL):
        await scene.come(str(user))
    refused = scene.calls[await scene.come("late")].exception()
    assert isinstance(refused, SupabaseUnavailable)
    await scene.over()


@in_virtual_time
async def test_lane_that_is_full_of_one_user_s_calls_has_room_for_others() -> None:
    """However many users flood it: who comes takes the place of the newest call of the user with the most."""
    scene = Scene(new_lane(at_once=1))
    await scene.come("first")
    floods = {user: [await scene.come(user) for _ in range(WAITING)] for user in ("flood", "another flood")}
    person = await scene.come("person")
    newest = floods["flood"][-1]
    assert isinstance(scene.calls[newest].exception(), RateLimited)
    assert [number for number in scene.waiting() if number != person] == [
        *floods["flood"][:-1],
        *floods["another flood"],
    ]
    # together, before any of them has noticed
    late = [asyncio.create_task(scene.lane.enter(f"late {number}")) for number in range(2)]
    await settled()
    assert len(scene.waiting()) == WAITING_OF_ALL - 2
    assert not any(task.done() for task in late)
    for task in late:
        task.cancel()
    await scene.over()
    assert len(scene.lane) == 0


@in_virtual_time
async def test_nobody_waits_for_ever() -> None:
    """Who waits for their own calls is told another thing than who waits for others."""
    scene = Scene(new_lane(at_once=2, share=1))
    await scene.come("flood")
    own = await scene.come("flood")
    await scene.come("another")
    others = await scene.come("third")
    await asyncio.sleep(SECONDS + 0.1)
    assert isinstance(scene.calls[own].exception(), RateLimited)
    assert isinstance(scene.calls[others].exception(), SupabaseUnavailable)
    assert len(scene.running) == 2
    await scene.over()
    assert len(scene.lane) == 0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["come", "end", "give up"]), st.integers(0, 3), st.integers(0, 100))))
def test_no_place_is_lost_or_left_free(steps: list[tuple[str, int, int]]) -> None:
    @in_virtual_time
    async def history() -> None:
        scene = Scene(new_lane())
        for what, user, choice in steps:
            if what == "come":
                await scene.come(str(user))
            elif what == "end" and scene.running:
                await scene.end(list(scene.running)[choice % len(scene.running)])
            elif what == "give up" and (waiting := scene.waiting()):
                await scene.give_up(waiting[choice % len(waiting)])
            running = Counter(scene.running.values())
            waiting_of = Counter(scene.users[number] for number in scene.waiting())
            assert running.total() <= AT_ONCE
            assert all(count <= SHARE for count in running.values())
            assert all(count <= WAITING for count in waiting_of.values())
            assert waiting_of.total() <= WAITING_OF_ALL
            if running.total() < AT_ONCE:
                assert all(running[waits] == SHARE for waits in waiting_of)
        for user in range(4):
            begun = [number for whose, number in scene.begun if whose == str(user)]
            assert begun == sorted(begun)
        await scene.over()
        assert len(scene.lane) == 0

    history()


@in_virtual_time
async def test_turn_that_comes_in_the_moment_of_giving_up_is_passed_on() -> None:
    scene = Scene(new_lane(at_once=1))
    first = await scene.come("one")
    second, third = await scene.come("two"), await scene.come("three")
    scene._ends[first].set()
    await asyncio.sleep(0)
    scene.calls[second].cancel()
    await settled()
    assert list(scene.running) == [third]
    await scene.over()


@in_virtual_time
async def test_user_who_comes_back_while_an_earlier_call_gives_up_keeps_the_place() -> None:
    lane = new_lane()
    await lane.enter("one")
    await lane.enter("one")
    waiting = asyncio.create_task(lane.enter("one"))
    await settled()
    waiting.cancel()
    # both end before the one that gives up has noticed, and the user comes back at once
    lane.leave("one")
    lane.leave("one")
    await lane.enter("one")
    with suppress(asyncio.CancelledError):
        await waiting
    assert len(lane) == 1
    lane.leave("one")
    assert len(lane) == 0


async def test_free_lane_costs_microseconds_and_no_task() -> None:
    lane = new_lane()
    tasks = len(asyncio.all_tasks())
    coroutine = lane.enter("user")
    with pytest.raises(StopIteration):
        coroutine.send(None)  # it has not waited for anything
    lane.leave("user")
    assert len(asyncio.all_tasks()) == tasks
    assert len(lane) == 0
