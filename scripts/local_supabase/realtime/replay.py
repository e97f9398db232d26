"""Replay: the newest messages that the database sent to a topic before a channel joined, oldest first."""

from __future__ import annotations

from scripts.local_supabase.realtime.database import Database
from scripts.local_supabase.realtime.wire import Broadcast

MAX_MESSAGES = 25


async def replay(database: Database, topic: str, since: int, limit: int) -> list[Broadcast]:
    """At most `limit` (1 to 25) messages inserted since `since`, in Unix milliseconds. Raises DatabaseUnavailable."""
    async with database.transaction() as connection:
        rows = await connection.execute(
            "select id::text, event, payload::text, binary_payload from realtime.messages "
            "where topic = %s and private is true and extension = 'broadcast' "
            "and inserted_at >= (to_timestamp(%s / 1000.0) at time zone 'UTC') "
            # all messages of one transaction have the same time; cmin is the number of the command in it
            "order by inserted_at desc, cmin::text::bigint desc limit %s",
            [topic, since, max(1, min(limit, MAX_MESSAGES))],
        )
        newest_first = await rows.fetchall()
    return [
        Broadcast(event, payload.encode(), id=id, replayed=True)
        if payload is not None
        else Broadcast(event, binary, binary=True, id=id, replayed=True)
        for id, event, payload, binary in reversed(newest_first)
        if event is not None and (payload is not None or binary is not None)
    ]
