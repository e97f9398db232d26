"""Users, valid and invalid tokens, and rows that users own, made by plain SQL."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import jwt
import psycopg
from psycopg.types.json import Jsonb

from scripts.local_supabase import LocalSupabase

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


@dataclass(frozen=True)
class Someone:
    """A user of the project, with a token that lasts an hour."""

    id: str
    token: str

    @property
    def topic(self) -> str:
        return f"user:{self.id}"


class Tokens:
    """Signs tokens as the project does."""

    def __init__(self, stack: LocalSupabase) -> None:
        self._url = stack.url
        self._key = jwt.PyJWK(stack.signing_key)
        self._kid = stack.signing_key["kid"]

    def of(self, user_id: str, *, seconds: float = 3600, kid: str | None = None, **claims: Any) -> str:
        """A user's token that is good for `seconds`. A claim that is None is left out."""
        now = time.time()
        content = {
            "iss": f"{self._url}/auth/v1",
            "sub": user_id,
            "aud": "authenticated",
            "role": "authenticated",
            "iat": int(now),
            "exp": int(now + seconds),
            **claims,
        }
        kept = {name: value for name, value in content.items() if value is not None}
        return jwt.encode(kept, self._key.key, algorithm="ES256", headers={"kid": kid or self._kid})


def soon(seconds: int = 2) -> int:
    """A whole second from `seconds` to `seconds` + 1 away: when a token is to expire, in Unix time."""
    return int(time.time()) + seconds + 1


async def new_someone(db: Connection, tokens: Tokens) -> Someone:
    user_id = str(uuid.uuid4())
    await db.execute("insert into auth.users (id, email) values (%s, %s)", [user_id, f"{user_id}@parley.example"])
    return Someone(user_id, tokens.of(user_id))


async def value(db: Connection, query: str, *parameters: Any) -> Any:
    """The one value that the query returns."""
    cursor = await db.execute(query, parameters)
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


@asynccontextmanager
async def as_service(db: Connection) -> AsyncGenerator[None]:
    """Inside the block, which is one transaction, the connection has the rights of the secret key and no more."""
    async with db.transaction():
        await db.execute("set local role service_role")
        yield


async def journal(db: Connection, *pieces: tuple[str, int, str], **more: Any) -> None:
    """One write of the journal: (reply, seq, text) each, and what `more` pieces have."""
    listed = [
        {"id": reply, "seq": seq, "text": text, "provider": "demo", "model": "m", **more} for reply, seq, text in pieces
    ]
    async with as_service(db):
        await db.execute(
            "select public.journal_write(%s, %s::uuid[])", [Jsonb(listed), [reply for reply, _, _ in pieces]]
        )


async def finish(db: Connection, reply: str, content: str, status: str = "complete", **final: Any) -> None:
    """The journal's other write: a reply's final state."""
    async with as_service(db):
        replies = [{"id": reply, "content": content, "status": status, **final}]
        await db.execute("select public.finish_replies(%s)", [Jsonb(replies)])


async def new_conversation(db: Connection, owner: Someone, title: str | None = None) -> str:
    query = "insert into public.conversations (user_id, title) values (%s, %s) returning id::text"
    return str(await value(db, query, owner.id, title))


async def new_message(db: Connection, owner: Someone, conversation: str, content: str = "Hello") -> str:
    """A user's message."""
    query = (
        "insert into public.messages (conversation_id, user_id, role, content) values (%s, %s, 'user', %s) "
        "returning id::text"
    )
    return str(await value(db, query, conversation, owner.id, content))


async def new_reply(db: Connection, owner: Someone, conversation: str) -> str:
    """A reply that has begun to stream, to a message of its own."""
    asked = await new_message(db, owner, conversation)
    query = (
        "insert into public.messages (conversation_id, user_id, role, status, parent_id, parent_position) "
        "select conversation_id, user_id, 'assistant', 'streaming', id, position from public.messages where id = %s "
        "returning id::text"
    )
    reply = str(await value(db, query, asked))
    await db.execute(
        "insert into private.live_replies (message_id, user_id, writer, lease_expires_at) "
        "values (%s, %s, gen_random_uuid(), now() + interval '1 hour')",
        [reply, owner.id],
    )
    return reply
