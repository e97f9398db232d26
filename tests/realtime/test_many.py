"""200 subscribers on 100 replies: nothing is lost or out of order, and the journal does not feel them."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

from tests.realtime.conftest import Connect
from tests.realtime.people import Connection, Someone, as_service, journal, new_conversation, value
from tests.realtime.sockets import V1, V2, Socket

REPLIES = 100
WRITES = 8
# two a second a reply by default; here twice as many
INTERVAL_SECONDS = 0.25


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


async def write(db: Connection, replies: dict[str, str], first_seq: int) -> list[float]:
    """Journal all replies at a steady pace; how long each write took."""
    took = []
    for seq in range(first_seq, first_seq + WRITES):
        started = time.perf_counter()
        await journal(db, *((reply, seq, "four words of text ") for reply in replies))
        took.append(time.perf_counter() - started)
        await asyncio.sleep(max(0.0, INTERVAL_SECONDS - took[-1]))
    return took


async def deltas(socket: Socket) -> list[int]:
    """The seqs of the replies' pieces, as they come."""
    return [(await socket.next("broadcast")).sent["seq"] for _ in range(WRITES)]


async def test_two_hundred_subscribers(connect: Connect, db: Connection, owner: Someone) -> None:
    replies = await new_replies(db, owner)
    alone = sorted(await write(db, replies, first_seq=1))
    async with AsyncExitStack() as opened:
        sockets = [await opened.enter_async_context(connect(version)) for _ in range(REPLIES) for version in (V1, V2)]
        topics = [f"conversation:{conversation}" for conversation in replies.values() for _ in range(2)]
        answers = await asyncio.gather(
            *(
                socket.join(topic, private=True, token=owner.token)
                for socket, topic in zip(sockets, topics, strict=True)
            )
        )
        assert [answer["status"] for answer in answers] == ["ok"] * 2 * REPLIES
        received = asyncio.gather(*(deltas(socket) for socket in sockets))
        heard = sorted(await write(db, replies, first_seq=WRITES + 1))
        expected = list(range(WRITES + 1, 2 * WRITES + 1))
        assert await received == [expected] * 2 * REPLIES
    # what they cost is a share of this machine's two cores, which others use too
    assert heard[WRITES // 2] < 2 * alone[WRITES // 2] + 0.02
    assert heard[-1] < 3 * alone[-1] + 0.1
