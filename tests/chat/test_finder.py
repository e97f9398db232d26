"""The reply finder in virtual time, on a scripted database: replies that another replica writes, and finished ones."""

from __future__ import annotations

import asyncio
import gc
import weakref

import msgspec
import pytest

from app.chat.finder import LOOK_SECONDS, PATIENCE_SECONDS, ReplyFinder
from app.chat.live import Followers, Reply
from app.errors import NotFound, Unauthenticated
from app.values import Done, Failed, Source, Sources, Started, Stopped
from tests.support.scripted_database import Call, Database, Row, in_virtual_time, times, unavailable
from tests.support.scripted_providers import clock


class Person:
    def __init__(self, id: str = "owner") -> None:
        self.id = self.token = id


class Written(dict[str, Reply]):
    """The replies that this process writes."""

    def find(self, message_id: str) -> Reply | None:
        return self.get(message_id)


def scene(*rows: Row, written: Reply | None = None) -> tuple[ReplyFinder, Followers, Database]:
    """ReplyFinder on a database with these replies, named 0, 1, …, of which this process may write one."""
    database = Database(rows={str(number): row for number, row in enumerate(rows)})
    here = Written({written.id: written} if written is not None else {})
    return ReplyFinder(database, here), Followers(), database  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "ending"),
    [
        (Row(content="text", status="complete", finish_reason="stop"), Done),
        (Row(content="text", status="filtered", finish_reason="content_filter"), Done),
        (Row(content="text", status="stopped"), Stopped),
        (Row(content="text", status="failed", error_code="provider_unavailable"), Failed),
        (Row(content="text", status="failed", error_code="of a later version"), Failed),
        (Row(content="text", status="interrupted"), Failed),
    ],
)
@in_virtual_time
async def test_a_finished_reply_is_read_from_its_row(row: Row, ending: type) -> None:
    readers, _, database = scene(row)
    reply = await readers.open(Person(), "0")
    assert reply.text() == "text"
    assert isinstance(reply.preamble[0], Started)
    assert isinstance(reply.ending, ending)
    assert reply.ending is not None
    assert reply.ending.length == 4
    await asyncio.sleep(10)
    assert len(database.calls) == 1
    if isinstance(reply.ending, Failed):
        known = {"failed": ("provider_unavailable", "internal_error"), "interrupted": ("interrupted",)}
        assert reply.ending.problem.code in known[row.status]


@in_virtual_time
async def test_a_reply_that_grows_elsewhere_is_followed_to_its_end() -> None:
    row = Row(content="one ")
    readers, live, database = scene(row)
    reply = await readers.open(Person(), "0")
    live.follow(reply)
    for number in range(5):
        row.content += f"{number} ünï😀 "
        await asyncio.sleep(0.5)
        assert reply.text() == row.content
    row.content, row.status, row.finish_reason = row.content + "the end", "complete", "stop"
    await reply.ended()
    assert reply.text() == row.content
    assert isinstance(reply.ending, Done)
    calls = len(database.calls)
    await asyncio.sleep(10)
    assert len(database.calls) == calls


@in_virtual_time
async def test_what_a_reply_draws_on_comes_before_its_text() -> None:
    """Also to a reader of another replica who was there before the first piece was stored."""
    row = Row()
    readers, live, _ = scene(row)
    reply = await readers.open(Person(), "0")
    live.follow(reply)
    await asyncio.sleep(1)
    source = Source("p", "d", "Tea book", 0.9, "Green tea")
    row.content, row.sources = "As [1] says", [msgspec.to_builtins(source)]
    await asyncio.sleep(0.5)
    started, *others = reply.preamble
    assert isinstance(started, Started)
    assert (others, reply.text()) == ([Sources((source,))], "As [1] says")
    row.content, row.status = "As [1] says.", "complete"
    await reply.ended()
    assert reply.preamble == [started, *others]


@in_virtual_time
async def test_many_readers_are_one_look() -> None:
    readers, live, database = scene(Row())
    replies = await asyncio.gather(*(readers.open(Person(), "0") for _ in range(20)))
    assert len({id(reply) for reply in replies}) == 1
    for reply in replies:
        live.follow(reply)
    calls = len(database.calls)
    await asyncio.sleep(10)
    assert len(database.calls) - calls <= 10 / LOOK_SECONDS


@in_virtual_time
async def test_readers_of_a_finished_reply_share_its_text() -> None:
    row = Row(content="text", status="interrupted")
    readers, _, _ = scene(row)
    at_once = await asyncio.gather(*(readers.open(Person(), "0") for _ in range(20)))
    later = await readers.open(Person(), "0")
    assert len({id(reply) for reply in (*at_once, later)}) == 1
    with pytest.raises(NotFound):
        await readers.open(Person("stranger"), "0")
    # its writer was only cut off for a while: who asks now gets the whole
    row.content, row.status, row.finish_reason = "text and more", "complete", "stop"
    whole = await readers.open(Person(), "0")
    assert whole.text() == "text and more"
    assert isinstance(whole.ending, Done)
    assert later.text() == "text"
    assert await readers.open(Person(), "0") is whole


@in_virtual_time
async def test_the_text_of_a_finished_reply_goes_with_its_last_reader() -> None:
    readers, live, _ = scene(Row(content="text", status="complete", finish_reason="stop"))
    reply = await readers.open(Person(), "0")
    follower = live.follow(reply)
    forgotten = weakref.ref(reply)
    live.unfollow(follower)
    del reply, follower
    gc.collect()
    assert forgotten() is None


@in_virtual_time
async def test_nobody_looks_for_readers_who_have_gone() -> None:
    readers, live, database = scene(Row())
    reply = await readers.open(Person(), "0")
    follower = live.follow(reply)
    await asyncio.sleep(2)
    live.unfollow(follower)
    await asyncio.sleep(2 * LOOK_SECONDS)
    calls = len(database.calls)
    await asyncio.sleep(10)
    assert len(database.calls) == calls
    # and who comes back is looked for again
    again = await readers.open(Person(), "0")
    assert again is not reply


@in_virtual_time
async def test_who_only_waits_is_looked_for_too() -> None:
    row = Row()
    readers, _, _ = scene(row)
    reply = await readers.open(Person(), "0")
    waiting = asyncio.create_task(reply.ended())
    await asyncio.sleep(5)
    row.status = "stopped"
    await waiting
    assert isinstance(reply.ending, Stopped)


@in_virtual_time
async def test_a_reply_written_here_is_read_here() -> None:
    written = Reply("0", conversation_id="conversation", user_id="owner")
    readers, _, database = scene(Row(), written=written)
    assert await readers.open(Person(), "0") is written
    assert database.calls == []


@in_virtual_time
async def test_a_stranger_finds_nothing() -> None:
    written = Reply("0", conversation_id="conversation", user_id="owner")
    readers, live, _ = scene(Row(), Row(), Row(content="text", status="complete"), written=written)
    live.follow(await readers.open(Person(), "1"))
    for name in ("0", "1", "2", "none"):
        with pytest.raises(NotFound):
            await readers.open(Person("stranger"), name)


@in_virtual_time
async def test_readers_are_kept_through_an_outage() -> None:
    row = Row(content="before ")
    readers, live, database = scene(row)
    reply = await readers.open(Person(), "0")
    live.follow(reply)
    database.before = unavailable
    await asyncio.sleep(PATIENCE_SECONDS - 5)
    row.content += "after"
    database.before = lambda _: None
    await asyncio.sleep(1)
    assert reply.text() == "before after"
    assert not reply.detached


@in_virtual_time
async def test_readers_are_sent_elsewhere_when_the_outage_goes_on() -> None:
    readers, live, database = scene(Row())
    reply = await readers.open(Person(), "0")
    follower = live.follow(reply)
    database.before = unavailable
    began = clock()
    await reply.ended()
    assert clock() - began <= PATIENCE_SECONDS + 1
    assert follower.reconnect
    assert reply.ending is None


@in_virtual_time
async def test_readers_come_back_when_the_first_ones_token_has_run_out() -> None:
    def expired(_: Call) -> None:
        raise Unauthenticated

    readers, live, database = scene(Row())
    reply = await readers.open(Person(), "0")
    follower = live.follow(reply)
    database.before = times(1, expired)
    await asyncio.sleep(1)
    assert (follower.reconnect, reply.ending) == (True, None)
    assert await readers.open(Person(), "0") is not reply


@in_virtual_time
async def test_readers_of_a_deleted_reply_learn_it() -> None:
    readers, live, database = scene(Row(content="text"))
    reply = await readers.open(Person(), "0")
    live.follow(reply)
    del database.rows["0"]
    await reply.ended()
    assert isinstance(reply.ending, Failed)
    assert (reply.ending.problem.code, reply.ending.length) == ("not_found", 0)


@in_virtual_time
async def test_closing_lets_everyone_go() -> None:
    readers, live, _ = scene(Row(), Row())
    replies = [await readers.open(Person(), name) for name in ("0", "1")]
    follower = live.follow(replies[0])
    waiting = asyncio.create_task(replies[1].ended())
    await asyncio.sleep(1)
    await readers.aclose()
    await waiting
    assert follower.reconnect
