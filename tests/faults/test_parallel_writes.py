"""The service's calls for the same replies at the same time: they wait for each other in one order."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from scripts.local_supabase import LocalSupabase
from tests.support.replica_client import Client
from tests.support.rows import Rows

REPLIES = 60
ROUNDS = 30


async def test_a_journal_write_and_final_states_do_not_lock_each_other_out(
    stack: LocalSupabase, client: Client, rows: Rows
) -> None:
    """Postgres would end one of two calls that wait for each other, after a second."""
    chance = random.Random(4)  # noqa: S311  # an order, not a secret
    user = client.person.id
    (conversation,) = rows.all("insert into public.conversations (user_id) values (%s) returning id", user)

    async def call(function: str, *arguments: object) -> None:
        connection = await psycopg.AsyncConnection.connect(stack.database_url, autocommit=True)
        async with connection:
            places = ", ".join(["%s"] * len(arguments))
            await connection.execute(f"select public.{function}({places})".encode(), arguments)

    for _ in range(ROUNDS):
        ids = _streaming(rows, user, conversation["id"])
        journal, finish = chance.sample(ids, len(ids)), chance.sample(ids, len(ids))
        pieces = [{"id": id_, "seq": 1, "text": "x", "provider": "openai", "model": "m"} for id_ in journal]
        finals = [{"id": id_, "content": "xy", "status": "complete", "user_id": user} for id_ in finish]
        await asyncio.gather(
            call("journal_write", Jsonb(pieces), [uuid.UUID(id_) for id_ in journal]),
            call("finish_replies", Jsonb(finals)),
        )
    assert rows.streaming(user) == 0


def _streaming(rows: Rows, user: str, conversation: Any) -> list[str]:
    """Replies as `begin_turn` leaves them."""
    begun = rows.all(
        """
        with asked as (
          insert into public.messages (conversation_id, user_id, role, content)
          select %(conversation)s, %(user)s, 'user', 'hello' from generate_series(1, %(replies)s)
          returning id, position
        ), begun as (
          insert into public.messages
            (conversation_id, user_id, role, status, parent_id, parent_position)
          select %(conversation)s, %(user)s, 'assistant', 'streaming', a.id, a.position from asked as a
          returning id
        )
        select id from begun
        """,
        {"conversation": conversation, "user": user, "replies": REPLIES},
    )
    ids = [str(row["id"]) for row in begun]
    rows.all(
        """
        insert into private.live_replies (message_id, user_id, writer, lease_expires_at)
        select unnest(%s::uuid[]), %s, gen_random_uuid(), now() + private.lease() returning message_id
        """,
        ids,
        user,
    )
    return ids
