"""Replies that are being read: the text at any offset, followers, waiting for the end, and every limit."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat import live as live_module
from app.chat.live import MAX_REASONING_CHARACTERS, Followers, Reply
from app.errors import Draining, RateLimited
from app.values import Done


def new_reply(name: str = "m") -> Reply:
    return Reply(name, conversation_id="c", user_id="u")


DONE = Done("complete", "stop", None, None, None, 0)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(), st.lists(st.integers(0, 50), max_size=3))))
def test_text_from_any_offset_is_the_text(steps: list[tuple[str, list[int]]]) -> None:
    """Whatever was asked for before: looking changes nothing."""
    reply, whole = new_reply(), ""
    for piece, offsets in steps:
        reply.append(piece)
        whole += piece
        assert reply.length == len(whole)
        for offset in offsets:
            if offset <= len(whole):
                assert reply.text(offset) == whole[offset:]
    assert reply.text() == whole


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.text(), st.integers(0, 50))))
def test_reasoning_from_any_offset_is_the_reasoning_and_no_text(steps: list[tuple[bool, str, int]]) -> None:
    reply, text, thoughts = new_reply(), "", ""
    for thinks, piece, offset in steps:
        if thinks:
            reply.think(piece)
            thoughts += piece
        else:
            reply.append(piece)
            text += piece
        assert (reply.length, reply.reasoned) == (len(text), len(thoughts))
        if offset <= len(thoughts):
            assert reply.reasoning(offset) == thoughts[offset:]
    assert (reply.text(), reply.reasoning()) == (text, thoughts)


def test_reasoning_is_held_back_released_and_withdrawn_with_the_text() -> None:
    reply = new_reply()
    reply.hold()
    reply.think("Hm.")
    reply.append("Yes")
    assert (reply.reasoned, reply.length, reply.written) == (0, 0, 3)
    reply.release()
    assert (reply.reasoning(), reply.text()) == ("Hm.", "Yes")
    reply.withdraw()
    assert (reply.reasoning(), reply.reasoned, reply.text()) == ("", 0, "")


def test_reasoning_that_was_held_back_and_discarded_is_seen_by_nobody() -> None:
    reply = new_reply()
    reply.hold()
    reply.think("Hm.")
    reply.append("Yes")
    assert reply.discard() == ("Yes", "Hm.")
    reply.release()
    assert (reply.reasoning(), reply.text()) == ("", "")


def test_reasoning_that_is_held_back_has_the_same_limit() -> None:
    reply = new_reply()
    reply.think("a")
    reply.hold()
    for _ in range(3):
        reply.think("b" * (MAX_REASONING_CHARACTERS // 2))
    assert reply.discard() == ("", "b" * (MAX_REASONING_CHARACTERS - 1))


def test_reasoning_has_a_limit_and_the_text_goes_on() -> None:
    reply = new_reply()
    reply.think("a" * (MAX_REASONING_CHARACTERS - 1))
    reply.think("bcd")
    reply.think("e")
    reply.append("text")
    assert reply.reasoned == MAX_REASONING_CHARACTERS
    assert reply.reasoning()[-2:] == "ab"
    assert reply.text() == "text"


# ── waiting for the end ──────────────────────────────────────────────────────────────────────────────────────────


async def test_end_wakes_all_who_wait() -> None:
    reply = new_reply()
    waiting = [asyncio.create_task(reply.ended()) for _ in range(3)]
    await asyncio.sleep(0)
    assert reply.awaited
    reply.end(DONE)
    await asyncio.gather(*waiting)
    assert not reply.awaited


async def test_end_that_has_been_is_not_waited_for() -> None:
    reply = new_reply()
    reply.end(DONE)
    await asyncio.wait_for(reply.ended(), 1)


async def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    reply = new_reply()
    one, two = (asyncio.create_task(reply.ended()) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.gather(one, return_exceptions=True)
    assert reply.awaited
    assert not two.done()
    reply.end(DONE)
    await two


async def test_detached_reply_is_not_waited_for() -> None:
    reply = new_reply()
    waiting = asyncio.create_task(reply.ended())
    await asyncio.sleep(0)
    reply.detach()
    await waiting
    assert reply.ending is None


# ── followers ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_follower_wakes_with_every_change() -> None:
    live, reply = Followers(), new_reply()
    follower = live.follow(reply)
    writes: list[None] = []
    follower.connect(lambda: writes.append(None), None)
    changes = (lambda: reply.append("x"), lambda: reply.end(DONE), reply.detach, live.drain, follower.drop)
    for number, change in enumerate(changes, 1):
        change()
        assert len(writes) == number


async def test_follower_of_a_detached_reply_is_to_connect_again() -> None:
    live, reply = Followers(), new_reply()
    before = live.follow(reply)
    reply.detach()
    assert before.reconnect
    assert live.follow(reply).reconnect


async def test_followers_of_a_reply_are_bounded() -> None:
    live, reply = Followers(), new_reply()
    followers = [live.follow(reply) for _ in range(live_module.MAX_FOLLOWERS_PER_REPLY)]
    with pytest.raises(RateLimited) as refused:
        live.follow(reply)
    assert refused.value.retry_after is not None
    live.follow(new_reply("other"))
    live.unfollow(followers[0])
    live.follow(reply)


async def test_followers_of_a_user_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever they read; another user's are not counted among them."""
    monkeypatch.setattr(live_module, "MAX_FOLLOWERS_PER_USER", 2)
    live = Followers()
    first = live.follow(new_reply("1"))
    live.follow(new_reply("2"))
    with pytest.raises(RateLimited):
        live.follow(new_reply("3"))
    with pytest.raises(RateLimited):
        live.check_room("u")
    live.check_room("another")
    live.follow(Reply("4", conversation_id="c", user_id="another"))
    live.unfollow(first)
    live.check_room("u")
    live.follow(new_reply("3"))


async def test_followers_of_a_process_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "MAX_FOLLOWERS", 2)
    live = Followers()
    first = live.follow(new_reply("1"))
    live.follow(new_reply("2"))
    with pytest.raises(Draining):
        live.follow(new_reply("3"))
    live.unfollow(first)
    live.follow(new_reply("3"))


async def test_draining_takes_no_reader_and_sends_those_there_are_elsewhere() -> None:
    live, reply = Followers(), new_reply()
    before = live.follow(reply)
    live.drain()
    with pytest.raises(Draining):
        live.check_capacity()
    assert before.reconnect
    assert live.follow(reply).reconnect


# ── the watch ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_silence_is_never_longer_than_promised() -> None:
    assert live_module.HEARTBEAT_SECONDS + live_module.WATCH_SECONDS <= 15


async def watched(live: Followers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the watch look once."""
    monkeypatch.setattr(live_module, "WATCH_SECONDS", 0)
    watch = asyncio.create_task(live.watch())
    for _ in range(3):
        await asyncio.sleep(0)
    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)


async def test_silent_follower_is_to_be_sent_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    live = Followers()
    fresh, silent = live.follow(new_reply("1")), live.follow(new_reply("2"))
    silent._sent_at -= live_module.HEARTBEAT_SECONDS + 1
    writes: list[None] = []
    silent.connect(lambda: writes.append(None), None)
    await watched(live, monkeypatch)
    assert writes
    assert (fresh.beat, silent.beat) == (False, True)


async def test_follower_that_takes_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    live, aborted = Followers(), []
    slow, stuck = live.follow(new_reply("1")), live.follow(new_reply("2"))
    for follower in (slow, stuck):
        follower.connect(lambda: None, lambda: aborted.append(True))
        follower.wait()
    slow._sent_at -= live_module.STALL_SECONDS - 1
    stuck._sent_at -= live_module.STALL_SECONDS + 1
    await watched(live, monkeypatch)
    assert (slow.cut, stuck.cut) == (False, True)
    assert aborted
    assert not slow.beat
