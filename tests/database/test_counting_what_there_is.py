"""The migration that introduces the counts of what is stored counts what was there before it."""

from __future__ import annotations

import uuid
from pathlib import Path
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.callers import SERVICE, Caller, Connection, acting, new_conversation, one, rpc, vector
from tests.support.turn_functions import send

MIGRATION = Path(__file__).parents[2] / "supabase" / "migrations" / "20261128210200_stored.sql"
WORKER = uuid.uuid4()


def put_in(db: Connection, owner: Caller, *contents: str) -> UUID:
    passages = [{"content": content, "metadata": {"start": 0}} for content in contents]
    with acting(db, owner):
        made = rpc(db, "create_document", p_title="x", p_passages=Jsonb(passages), p_content_hash=uuid.uuid4().hex)
    return UUID(made["document"]["id"])


def index(db: Connection, document: UUID, passages: int) -> None:
    """Index it whole."""
    db.execute(
        "update private.index_jobs set worker = %s, due_at = now() + interval '1 hour' where document_id = %s",
        [WORKER, document],
    )
    revision = one(db, "select revision from private.index_jobs where document_id = %s", [document])
    vectors = [{"passage": place, "embedding": vector(1)} for place in range(passages)]
    with acting(db, SERVICE):
        step = rpc(
            db,
            "index_passages",
            p_worker=WORKER,
            p_document_id=document,
            p_revision=revision,
            p_embedding_model="a-model",
            p_vectors=Jsonb(vectors),
            p_limit=1,
        )
    assert step["state"] == "ready"


def stored(db: Connection, owner: Caller) -> dict[str, int]:
    rows = db.execute("select kind, amount from private.stored where user_id = %s and amount > 0", [owner.id])
    return dict(rows.fetchall())


def test_everything_is_counted(db: Connection, owner: Caller) -> None:
    for _ in range(2):
        send(db, owner, new_conversation(db, owner))
    ready = put_in(db, owner, "one", "zwölf")
    index(db, ready, 2)
    put_in(db, owner, "waits")
    kept = stored(db, owner)
    assert kept.keys() == {"conversations", "messages", "documents", "passages", "document_bytes"}

    db.execute("delete from private.stored")
    db.execute("alter table public.documents disable trigger user")
    db.execute("update public.documents set bytes = 0")
    _, _, filling = MIGRATION.read_text().partition("-- what there is.")
    db.execute("--" + filling)
    assert stored(db, owner) == kept
    enabled = "select bool_and(tgenabled = 'O') from pg_trigger where tgrelid = 'public.documents'::regclass"
    assert one(db, enabled)
