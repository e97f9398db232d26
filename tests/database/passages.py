"""Passages with vectors that a test chooses, and the texts of those that were found."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.callers import Caller, Connection, one

MODEL = "text-embedding-3-small"


def index(db: Connection, user: Caller, title: str, *vectors: str, model: str = MODEL, metadata: object = None) -> UUID:
    """A document whose passages, named by title and place, have these vectors."""
    document: UUID = one(
        db,
        "insert into public.documents (user_id, title, status) values (%s, %s, 'ready') returning id",
        [user.id, title],
    )
    for place, embedding in enumerate(vectors):
        db.execute(
            "insert into public.embeddings "
            "(document_id, user_id, passage, content, metadata, embedding, embedding_model) "
            "values (%s, %s, %s, %s, %s, %s, %s)",
            [document, user.id, place, f"{title} {place}", Jsonb(metadata or {}), embedding, model],
        )
    return document


def contents(passages: list[dict[str, Any]]) -> list[str]:
    return [passage["content"] for passage in passages]
