"""The turn functions, called as a user and as the service."""

from __future__ import annotations

import uuid
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.callers import SERVICE, Caller, Connection, acting, one, rpc

Answer = dict[str, Any]


def begin(db: Connection, user: Caller, **arguments: object) -> Answer:
    """Begin a turn as the user, with a writer of its own unless one is given."""
    with acting(db, user):
        answer: Answer = rpc(db, "begin_turn", **{"p_writer": uuid.uuid4(), **arguments})
    # only the call that was admitted has them, and they change with every call: see tests/guard
    answer.pop("quotas", None)
    return answer


def send(db: Connection, user: Caller, conversation: UUID, content: str = "Hello", **arguments: object) -> Answer:
    return begin(db, user, p_conversation_id=conversation, p_content=content, **arguments)


def regenerate(db: Connection, user: Caller, message: str | UUID, **arguments: object) -> Answer:
    return begin(db, user, p_reply_to=message, **arguments)


def piece(
    reply: str, seq: int, text: str, provider: str = "demo", model: str = "demo-1", sources: object = None
) -> Answer:
    return {"id": reply, "seq": seq, "text": text, "provider": provider, "model": model, "sources": sources}


def journal(db: Connection, *pieces: Answer, alive: list[str] | None = None) -> Answer:
    """Write pieces as the service; `alive` is by default the replies of the pieces."""
    ids = [UUID(one_id) for one_id in (alive if alive is not None else [p["id"] for p in pieces])]
    with acting(db, SERVICE):
        answer: Answer = rpc(db, "journal_write", p_pieces=Jsonb(list(pieces)), p_alive=ids)
    return answer


def final(reply: str, content: str, status: str = "complete", **fields: object) -> Answer:
    """The final state of a reply."""
    return {"id": reply, "content": content, "status": status, **fields}


def finish(db: Connection, *finals: Answer) -> list[str]:
    with acting(db, SERVICE):
        ids: list[str] = rpc(db, "finish_replies", p_replies=Jsonb(list(finals)))
    return ids


def recover(db: Connection) -> list[str]:
    with acting(db, SERVICE):
        ids: list[str] = rpc(db, "recover_replies")
    return ids


def answered(db: Connection, user: Caller, conversation: UUID, asked: str, reply: str) -> Answer:
    """A whole turn: the reply is complete."""
    begun = send(db, user, conversation, asked)
    finish(db, final(begun["message"]["id"], reply))
    return begun


def row(db: Connection, message: str | UUID) -> Answer:
    """The row of a message, as JSON."""
    found: Answer = one(db, "select to_jsonb(m) from public.messages as m where id = %s", [message])
    return found


def live(db: Connection, reply: str | UUID) -> bool:
    """Whether the reply has a lease, run out or not."""
    found: bool = one(db, "select exists (select from private.live_replies where message_id = %s)", [reply])
    return found


def expire(db: Connection, reply: str | UUID) -> None:
    """Let the reply's lease have run out."""
    db.execute(
        "update private.live_replies set lease_expires_at = now() - interval '1 second' where message_id = %s", [reply]
    )


def branch(db: Connection, user: Caller, conversation: UUID, **arguments: object) -> list[Answer]:
    """A page of the branch that is shown."""
    with acting(db, user):
        page: list[Answer] = rpc(db, "read_branch", p_conversation_id=conversation, **arguments)
    return page


def switch(db: Connection, user: Caller, conversation: UUID, message: str | UUID) -> Answer:
    with acting(db, user):
        changed: Answer = rpc(db, "switch_branch", p_conversation_id=conversation, p_message_id=message)
    return changed


def delete(db: Connection, user: Caller, message: str | UUID) -> Answer:
    with acting(db, user):
        changed: Answer = rpc(db, "delete_message", p_message_id=message)
    return changed


def told(db: Connection, conversation: UUID) -> Answer:
    """The row of a conversation, as JSON."""
    found: Answer = one(db, "select to_jsonb(c) from public.conversations as c where id = %s", [conversation])
    return found
