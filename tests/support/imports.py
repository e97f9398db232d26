"""Imports as the service writes them, in parts."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from tests.support.callers import SERVICE, Caller, Connection, acting, rpc

AT = "2026-01-02T03:04:05+00:00"


def said(id: str, parent: str | None = None, role: str = "user") -> dict[str, Any]:
    """A message of a file."""
    return {
        "id": id,
        "parent_id": parent,
        "role": role,
        "content": f"content of {id}",
        "reasoning": "",
        "status": "complete",
        "created_at": AT,
        "updated_at": AT,
    }


class Import:
    """An import that a user has begun, of one conversation."""

    def __init__(self, db: Connection, user: Caller, source: str, head: str) -> None:
        self._db = db
        self._source, self._head = source, head
        self._fresh = False
        with acting(db, user):
            self._id = rpc(db, "begin_import", p_conversations=1)["id"]

    def write(self, *messages: dict[str, Any], last: bool = True) -> int:
        """A part of it. How many messages it has added."""
        conversation = {"id": self._source, "head_id": self._head, "created_at": AT, "fresh": self._fresh}
        with acting(self._db, SERVICE):
            written = rpc(
                self._db,
                "import_messages",
                p_import_id=self._id,
                p_conversation=Jsonb(conversation | {"title": None, "model": None, "instructions": None}),
                p_messages=Jsonb(list(messages)),
                p_part="last" if last else "more",
            )
            if last:
                rpc(self._db, "end_import", p_import_id=self._id, p_error=None)
        self._fresh = written["fresh"]
        added: int = written["added"]
        return added
