"""200 subscribers on 100 replies: nothing is lost or out of order, and the journal does not feel them."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from tests.realtime.conftest import Connect
from tests.realtime.people import Connection, Someone, as_service, journal, new_conversation, value
from tests.support.sockets import V1, V2, Socket

REPLIES = 100
WRITES = 10
# each reply is written once in two pauses: twice as often as by default
PAUSE_SECONDS = 0.125


async def new_replies(db: Connection, owner: Someone) -> dict[str, str]:
    """Replies that stream, each in a conversation of its own: the conversation of each."""
    replies = {}
    async with as_service(db):
        for _ in range(REPLIES):
            conversation = await new_conversation(db, owner)
            query = (
                "with reply as (insert into public.messages (conversation_id, user_id, role, status) "
                "values (%s, %s, 'assistant', 'streaming') returning id, user_id) "
                "insert into private.live_replies (message_id, user_id, writer, lease_expires_at) "
                "select id, user_id, gen_random_uuid(), now() + interval '1 hour' from reply returning message_id::text"
            )
            replies[str(await value(db, query, conversation, owner.id))] = conversation
    return replies


async def write(db: Connection, replies: dict[str, str], seq: int) -> float:
    """One write of the journal for all replies; how long it took."""
    started = time.perf_counter()
    await journal(db, *((reply, seq, "four words of text ") for reply in replies))
    took = time.perf_counter() - started
    await asyncio.sleep(max(0.0, PAUSE_SECONDS - took))
    return took


async def deltas(socket: Socket) -> list[int]:
    """The seqs of the replies' pieces, as they come."""
    return [(await socket.next("broadcast")).sent["seq"] for _ in range(WRITES)]


async def test_two_hundred_subscribers(connect: Connect, db: Connection, owner: Someone) -> None:
    """Writes of replies that are subscribed to and of as many that are not take turns, so that whatever else this
    machine does meets both."""
    watched, unwatched = await new_replies(db, owner), await new_replies(db, owner)
    async with AsyncExitStack() as opened:
        sockets = [await opened.enter_async_context(connect(version)) for _ in range(REPLIES) for version in (V1, V2)]
        topics = [f"conversation:{conversation}" for conversation in watched.values() for _ in range(2)]
        joining = zip(sockets, topics, strict=True)
        answers = await asyncio.gather(*(s.join(topic, private=True, token=owner.token) for s, topic in joining))
        assert [answer["status"] for answer in answers] == ["ok"] * 2 * REPLIES
        received = asyncio.gather(*(deltas(socket) for socket in sockets))
        heard, alone = [], []
        for seq in range(1, WRITES + 1):
            heard.append(await write(db, watched, seq))
            alone.append(await write(db, unwatched, seq))
        assert await received == [list(range(1, WRITES + 1))] * 2 * REPLIES
    heard.sort()
    alone.sort()
    assert heard[WRITES // 2] < 1.5 * alone[WRITES // 2] + 0.02
    assert heard[-1] < 2 * alone[-1] + 0.1
